//! The end of a process that may not go on (law L12).
//!
//! After a failed write or fsync nobody knows what is on the disk. Going on would acknowledge what may be lost, so the
//! process says why and ends; a restart reads what is really there and recovers. Destructors do not run on purpose:
//! they would write more.

use std::fmt::Display;

/// The exit code of [`fatal`]: an internal error, in the words of `sysexits.h`.
pub const EXIT_FATAL: i32 = 70;

/// Logs why and ends the process with [`EXIT_FATAL`].
pub fn fatal(reason: impl Display) -> ! {
    tracing::error!(%reason, "stopping at once, a restart recovers");
    std::process::exit(EXIT_FATAL)
}
