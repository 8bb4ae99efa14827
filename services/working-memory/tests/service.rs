//! Working memory as a service: real actors over a real store, and a log in memory that breaks, fills or waits when it
//! is told to. What it logs is compared with the same fold run as one straight line.

#[path = "service/anchors.rs"]
mod anchors;
#[path = "service/backpressure.rs"]
mod backpressure;
#[path = "service/crash.rs"]
mod crash;
#[path = "service/forgetting.rs"]
mod forgetting;
#[path = "service/hands.rs"]
mod hands;
#[path = "service/idle.rs"]
mod idle;
#[path = "service/kit.rs"]
mod kit;
#[path = "service/passivation.rs"]
mod passivation;
#[path = "service/poison.rs"]
mod poison;
#[path = "service/tenants.rs"]
mod tenants;
