//! The services as separate processes over a real Apache Kafka, with a store and a port each.
//!
//! Whatever is proven of the embedded memos must hold here as well: the same events come to the same memories, nothing
//! acknowledged is lost or doubled, and what happens to a process or to the broker is told from the outside by nothing
//! but time. The broker is one for all tests that do it no harm, and one of its own where somebody does.

#[path = "cluster/chaos.rs"]
mod chaos;
#[path = "cluster/forget.rs"]
mod forget;
#[path = "cluster/inlets.rs"]
mod inlets;
#[path = "cluster/keys.rs"]
mod keys;
#[path = "cluster/operations.rs"]
mod operations;
#[path = "cluster/processes.rs"]
mod processes;
#[path = "cluster/same.rs"]
mod same;
#[path = "cluster/traffic.rs"]
mod traffic;
#[path = "cluster/witness.rs"]
mod witness;
