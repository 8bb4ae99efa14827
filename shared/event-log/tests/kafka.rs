//! The log over a real broker.
//!
//! One broker serves every test that does not hurt it; each test has topics of its own, by their prefix.

#[path = "kafka/conforms.rs"]
mod conforms;
#[path = "kafka/identity.rs"]
mod identity;
#[path = "kafka/keys.rs"]
mod keys;
#[path = "kafka/kit.rs"]
mod kit;
#[path = "kafka/members.rs"]
mod members;
#[path = "kafka/outages.rs"]
mod outages;
#[path = "../../../deploy/inlets/examples/rust/publish.rs"]
#[expect(dead_code, reason = "its main is the program's; the tests run what is behind it")]
mod publish;
#[path = "kafka/published.rs"]
mod published;
#[path = "kafka/reading.rs"]
mod reading;
#[path = "kafka/security.rs"]
mod security;
