//! The services as separate processes over a real Apache Kafka, with a store and a port each.
//!
//! Whatever is proven of the embedded memos must hold here as well: the same events come to the same memories, nothing
//! acknowledged is lost or doubled, and what happens to a process or to the broker is told from the outside by nothing
//! but time. The broker is one per test binary where nobody harms it, and one of its own where somebody does.

#[path = "cluster/chaos.rs"]
mod chaos;
#[path = "cluster/cluster.rs"]
mod cluster;
#[path = "spine/harness.rs"]
mod harness;
#[path = "cluster/inlets.rs"]
mod inlets;
#[path = "cluster/same.rs"]
mod same;
