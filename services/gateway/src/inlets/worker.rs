//! The thread that reads the inlets.

use std::time::Duration;

use service_runtime::{Health, State, Stop, fatal};

use super::error::InletError;
use super::reader::{InletReader, Taken};

/// How long to wait for something new before looking whether to stop, and for what is in the way to pass.
const PAUSE: Duration = Duration::from_millis(250);

/// Reads until `stop`. A log that may not go on ends the process (law L12).
pub(crate) fn run(reader: InletReader, health: &Health, stop: &Stop) {
    let mut reader = reader.stopped_by(stop.clone());
    let mut generation = 0;
    while !stop.is_stopped() {
        match drain(&mut reader, stop) {
            // While the disk is nearly full the records wait where they are, and nothing wakes the reader.
            Ok(()) if !reader.is_writable() => {
                let _stopped: bool = stop.wait_for(PAUSE);
            }
            Ok(()) => generation = reader.wait(generation, PAUSE),
            Err(error) if error.passes() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "failed to read an inlet, trying again");
                let _stopped: bool = stop.wait_for(PAUSE);
            }
            Err(error) => {
                health.set("gateway-inlets", State::Failed(error.to_string()));
                fatal(format_args!("failed to read an inlet: {error}"));
            }
        }
    }
    if let Err(error) = reader.close() {
        tracing::warn!(%error, "failed to note how far the inlets were read");
    }
}

/// Follows the owners, then takes and commits until nothing is left.
fn drain(reader: &mut InletReader, stop: &Stop) -> Result<(), InletError> {
    reader.follow()?;
    while !stop.is_stopped() && reader.is_writable() {
        if reader.take()? == Taken::default() {
            // Offsets that compaction or trimming left empty are passed all the same.
            return Ok(reader.commit()?);
        }
        reader.commit()?;
    }
    Ok(())
}
