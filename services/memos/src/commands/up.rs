//! `memos up`: everything in one process, until it is told to stop.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use service_runtime::{Stop, fatal, init_logging};

use crate::cli::{ServerArgs, UpArgs};
use crate::commands::sample;
use crate::embedded::{self, Edge};
use crate::settings;

/// Runs memos.
///
/// # Errors
/// Whatever keeps it from starting.
pub(crate) fn run(args: &UpArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let loaded = settings::load(&args.settings())?;
    init_logging(&loaded.settings.logging)?;
    if !keyring::SEALS {
        tracing::error!(
            "this build seals nothing: it is for measuring, and everything it keeps can be read by everybody"
        );
    }
    let stop = Stop::new();
    stop.on_signals().context("catch signals")?;
    // The server belongs to the runtime it is bound in.
    let system = actix_rt::System::new();
    let (process, Edge { bound, address }) = system.block_on(async { embedded::start(&loaded.settings) })?;
    writeln!(
        out,
        "memos listens on http://{address} (documentation: http://{address}/docs); data in {}",
        loaded.settings.data.dir.display()
    )?;
    out.flush()?;
    if args.sample {
        show_sample(address, stop.clone())?;
    }
    process.serve(&system, bound.server, stop)
}

/// Publishes the sample and prints its answers on a thread of its own, while memos serves.
fn show_sample(address: SocketAddr, stop: Stop) -> anyhow::Result<()> {
    // Where the settings hold keys, the sample needs one like everybody else.
    let api_key = std::env::var("MEMOS_API_KEY").ok();
    let server = ServerArgs { url: format!("http://{address}"), api_key };
    let show = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let shown = match runtime {
            Ok(runtime) => runtime.block_on(sample::run(&server, &mut std::io::stdout())),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = shown
            && !stop.is_stopped()
            // Who has seen enough of the sample still wants memos.
            && !crate::is_broken_pipe(&error)
        {
            fatal(format_args!("show the sample: {error:#}"));
        }
    };
    std::thread::Builder::new().name("sample".to_owned()).spawn(show)?;
    Ok(())
}
