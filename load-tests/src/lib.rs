//! Load that does not wait for the server, and a look afterwards at whether everything is there.
//!
//! `run` sends at a constant rate whatever the server does (open loop): every request has an intended start, and its
//! latency is counted from there, so a pause of the server shows in every request that it delayed and not only in the
//! one that it caught. What cannot be sent because too much is in flight counts as an error. At the end every
//! acknowledged interaction must be recallable within a bound, and a sample of them (or all) is looked up one by one.
//!
//! `preload` fills banks, so that recall is measured against users who have something to be searched.
//!
//! `quality` asks whether the right thing is found: conversations go in, questions whose evidence is known are asked.
//!
//! All of them speak HTTP only, through `memos-client`, and only to this machine. It is a library as well, so that the
//! tests of the memos binary score with the same code: see [`quality`].

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod args;
mod check;
mod evaluate;
mod interactions;
mod machine;
mod open_loop;
mod preload;
pub mod quality;
mod report;
mod run;
mod target;

/// Load tests of memos. Start one with `memos up`, then point these at it.
#[derive(Debug, Parser)]
#[command(name = "load-tests", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish and ask at constant rates, then look for everything that was acknowledged.
    Run(Box<args::RunArgs>),
    /// Give many users a bank of memories to be searched.
    Preload(args::PreloadArgs),
    /// Publish conversations, ask their questions, and score what is found.
    Quality(args::QualityArgs),
}

/// What the `load-tests` binary does.
///
/// # Errors
/// What stopped a command before it came to a verdict.
pub fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Preload(args) => preload::run(&args),
        Command::Quality(args) => evaluate::run(&args),
    }
}
