//! The gateway from outside: a real server on loopback, the log in memory, and a recall that answers from a script.
//!
//! The scripted recall is only there for the shape of requests and answers; what recall finds is tested with recall.

mod access;
mod changes;
mod dead_letters;
mod errors;
mod forgetting;
mod inlets;
mod publishing;
mod sealing;
mod support;
