//! The memos binary: reads the command line, and hands over to the command.

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{ApiKeyCommand, Cli, Command};

mod cli;
mod commands;
mod secret;
mod settings;

fn main() -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Cli::parse().command {
        Command::Publish(args) => return runtime.block_on(commands::publish::run(&args, &mut out)),
        Command::Recall(args) => runtime.block_on(commands::recall::run(&args, &mut out))?,
        Command::Sample(server) => runtime.block_on(commands::sample::run(&server, &mut out))?,
        Command::Config(args) => commands::config::run(&args, &mut out)?,
        Command::DeadLetters(command) => runtime.block_on(commands::dead_letters::run(&command, &mut out))?,
        Command::ApiKey(ApiKeyCommand::New { tenant, id }) => commands::api_key::new(&tenant, id.as_deref(), &mut out)?,
        Command::Log(command) => commands::log::run(&command, &mut out)?,
        Command::Up(_) | Command::Dump(_) | Command::Verify(_) => anyhow::bail!("not wired yet"),
    }
    Ok(ExitCode::SUCCESS)
}
