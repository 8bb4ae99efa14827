//! What every service needs and none should do in its own way: settings, logs, metrics, health, the signal to stop,
//! the end after a failed write, and the watch over free disk space.
//!
//! Only this crate links the metrics exporter and sets up logging, so that a service cannot grow a second registry
//! or a second log format beside these.

mod disk;
mod fatal;
mod health;
mod logging;
mod metrics;
pub mod settings;
mod stop;

pub use crate::disk::{DiskGuard, DiskSettings, free_bytes};
pub use crate::fatal::{EXIT_FATAL, fatal};
pub use crate::health::{Health, HealthReport, State};
pub use crate::logging::{InvalidFilter, LogFormat, LogSettings, init_logging};
pub use crate::metrics::{
    Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, LATENCY_BUCKETS,
    Metrics,
};
pub use crate::settings::{Layer, Loaded, Setting, Source, Sources};
pub use crate::stop::Stop;
