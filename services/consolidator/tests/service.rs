//! The consolidator as a service: real threads and real stores, and a log in memory that breaks or waits when it is
//! told to. What it remembers is compared with the same decisions made as one straight line.

#[path = "service/anchors.rs"]
mod anchors;
#[path = "service/crash.rs"]
mod crash;
#[path = "service/epochs.rs"]
mod epochs;
#[path = "service/forgetting.rs"]
mod forgetting;
#[path = "service/hands.rs"]
mod hands;
#[path = "service/kit.rs"]
mod kit;
#[path = "service/rivals.rs"]
mod rivals;
#[path = "service/work.rs"]
mod work;
