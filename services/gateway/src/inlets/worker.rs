//! The thread that reads the inlets.

use std::time::Duration;

use event_log::{Error, ErrorKind};
use service_runtime::{Health, State, Stop, fatal};

use super::reader::{InletReader, Taken};

/// How long to wait for something new before looking whether to stop, and for what is in the way to pass.
const PAUSE: Duration = Duration::from_millis(250);

/// Reads until `stop`. A log that may not go on ends the process (law L12).
pub(crate) fn run(reader: InletReader, health: &Health, stop: &Stop) {
    let mut reader = reader.stopped_by(stop.clone());
    let mut generation = 0;
    while !stop.is_stopped() {
        if !reader.is_writable() {
            // The records wait where they are until the disk takes something again.
            let _stopped: bool = stop.wait_for(PAUSE);
            continue;
        }
        match drain(&mut reader, stop) {
            Ok(()) => generation = reader.wait(generation, PAUSE),
            Err(error) => match error.kind() {
                ErrorKind::Retry | ErrorKind::Full => {
                    tracing::warn!(%error, "failed to read an inlet, trying again");
                    let _stopped: bool = stop.wait_for(PAUSE);
                }
                ErrorKind::Poison | ErrorKind::Fenced | ErrorKind::Invalid | ErrorKind::Corrupt | ErrorKind::Bug => {
                    health.set("gateway-inlets", State::Failed(error.to_string()));
                    fatal(format_args!("failed to read an inlet: {error}"));
                }
            },
        }
    }
}

/// Takes and commits until nothing is left.
fn drain(reader: &mut InletReader, stop: &Stop) -> Result<(), Error> {
    while !stop.is_stopped() && reader.is_writable() {
        if reader.take()? == Taken::default() {
            // Offsets that compaction or trimming left empty are passed all the same.
            return reader.commit();
        }
        reader.commit()?;
    }
    Ok(())
}
