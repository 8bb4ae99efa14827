//! Recall as a service: the real fold, a real store and its replica, over a log in memory. What the other services do
//! is done here one act at a time, so that recall can be asked between any two of them.

#[path = "service/answers.rs"]
mod answers;
#[path = "service/changes.rs"]
mod changes;
#[path = "service/divided.rs"]
mod divided;
#[path = "service/forgetting.rs"]
mod forgetting;
#[path = "service/kit.rs"]
mod kit;
#[path = "service/nowhere.rs"]
mod nowhere;
#[path = "service/served.rs"]
mod served;
#[path = "service/tenancy.rs"]
mod tenancy;
