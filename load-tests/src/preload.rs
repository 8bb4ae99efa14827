//! Fills banks. Every statement is different enough to become a memory of its own, and every session is ended, so that
//! the memories are there when the command is done.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use memos_client::Client;
use serde_json::{Value, json};

use crate::args::PreloadArgs;
use crate::interactions::{Dice, statement, user};
use crate::{check, target};

/// Users whose banks are counted at the end.
const COUNTED: usize = 5;
/// How long the last user's memories may take to be there.
const WITHIN: Duration = Duration::from_secs(120);

/// Publishes, waits, and prints how large the banks are.
pub(crate) fn run(args: &PreloadArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(fill(args))
}

async fn fill(args: &PreloadArgs) -> anyhow::Result<ExitCode> {
    let client = target::patient(&args.server)?;
    let begin = Instant::now();
    for number in 0..args.users {
        let interactions = bank(args, number);
        let size = usize::try_from(args.batch).context("read --batch")?;
        for batch in interactions.chunks(size) {
            client.publish(batch).await.with_context(|| format!("fill the bank of {}", user(number)))?;
        }
    }
    let last: Vec<String> = (0..args.users).map(|number| id(args, number, args.memories - 1)).collect();
    let fates = check::fates(&client, last, WITHIN).await?;
    let mut out = std::io::stdout().lock();
    let published = args.users * (args.memories + 1);
    writeln!(out, "published {published} interactions in {:.1?}", begin.elapsed())?;
    report(&client, args, &mut out).await?;
    let missing = fates.lost + fates.undecided;
    if missing > 0 {
        writeln!(out, "{missing} sessions were not decided upon within {WITHIN:?}")?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn report(client: &Client, args: &PreloadArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let all: Vec<u64> = (0..args.users).collect();
    let sizes = check::bank_sizes(client, check::spread(&all, COUNTED, args.seed).map(user)).await?;
    for (user, size) in sizes {
        writeln!(out, "{user} has {size} memories")?;
    }
    Ok(())
}

/// What one user says. The ids are the same for the same seed, so a second preload adds nothing to a bank whose events
/// are still remembered.
fn bank(args: &PreloadArgs, number: u64) -> Vec<Value> {
    let user = user(number);
    let session = format!("{user}-preload-{}", args.seed);
    let says = |index: u64| {
        let content = statement(&mut Dice::new(args.seed ^ 0x70_7265, number * args.memories + index));
        json!({
            "id": id(args, number, index), "user_id": user, "session_id": session, "content": content,
        })
    };
    let end =
        json!({"id": id(args, number, args.memories), "type": "session_end", "user_id": user, "session_id": session});
    (0..args.memories).map(says).chain([end]).collect()
}

fn id(args: &PreloadArgs, number: u64, index: u64) -> String {
    format!("preload-{}-{number}-{index}", args.seed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser;

    use super::*;
    use crate::{Cli, Command};

    #[test]
    fn a_bank_holds_different_statements_and_ends_its_session() {
        let cli = Cli::try_parse_from(["load-tests", "preload", "--memories", "1000"]).expect("good flags");
        let args = match cli.command {
            Command::Preload(args) => args,
            Command::Run(_) | Command::Quality(_) => panic!("another command"),
        };
        let bank = bank(&args, 3);
        assert_eq!(bank.len(), 1001);
        assert_eq!(bank[1000]["type"], "session_end");
        let said: BTreeSet<&str> = bank.iter().filter_map(|one| one["content"].as_str()).collect();
        assert!(said.len() > 995, "{} different statements", said.len());
    }
}
