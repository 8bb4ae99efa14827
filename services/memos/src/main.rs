//! The memos binary: reads the command line, and hands over to the command.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{ApiKeyCommand, Cli, Command, Service};

mod cli;
mod commands;
mod embedded;
mod kafka_keys;
mod keys;
mod metrics;
mod operations;
mod process;
mod restored;
mod scan;
mod secret;
mod settings;
mod threads;

/// One allocator for Rust, RocksDB and everything else: it gives memory back, and some thirty threads do not each keep
/// a heap of their own. How eagerly is set where it is built (`.cargo/config.toml`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        // Whoever reads our output has seen enough, as with `memos config | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "memos: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    // Servers bring a runtime of their own, on which actors and HTTP live.
    let served = match &command {
        Command::Up(args) => Some(commands::up::run(args, &mut out)),
        Command::Gateway(args) => Some(commands::service::run(Service::Gateway, args, &mut out)),
        Command::WorkingMemory(args) => Some(commands::service::run(Service::WorkingMemory, args, &mut out)),
        Command::Consolidator(args) => Some(commands::service::run(Service::Consolidator, args, &mut out)),
        Command::Recall(args) if args.question.is_none() => {
            Some(commands::service::run(Service::Recall, &args.service, &mut out))
        }
        Command::Recall(_)
        | Command::Publish(_)
        | Command::Sample(_)
        | Command::Config(_)
        | Command::DeadLetters(_)
        | Command::ApiKey(_)
        | Command::Topics(_)
        | Command::Log(_)
        | Command::Keys(_)
        | Command::Dump(_)
        | Command::Verify(_) => None,
    };
    if let Some(served) = served {
        return served.map(|()| ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        Command::Publish(args) => return runtime.block_on(commands::publish::run(&args, &mut out)),
        Command::Recall(args) => runtime.block_on(commands::recall::run(&args, &mut out))?,
        Command::Sample(server) => runtime.block_on(commands::sample::run(&server, &mut out))?,
        Command::Config(args) => commands::config::run(&args, &mut out)?,
        Command::DeadLetters(command) => runtime.block_on(commands::dead_letters::run(&command, &mut out))?,
        Command::ApiKey(ApiKeyCommand::New { tenant, id }) => commands::api_key::new(&tenant, id.as_deref(), &mut out)?,
        Command::Log(command) => commands::log::run(&command, &mut out)?,
        Command::Keys(command) => commands::keys::run(&command, &mut out)?,
        Command::Dump(args) => commands::dump::run(&args, &mut out)?,
        Command::Verify(args) => return commands::verify::run(&args, &mut out),
        Command::Topics(args) => return commands::topics::run(&args, &mut out),
        Command::Up(_) | Command::Gateway(_) | Command::WorkingMemory(_) | Command::Consolidator(_) => {
            unreachable!("it was handled above")
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    };
    error.chain().any(cause)
}
