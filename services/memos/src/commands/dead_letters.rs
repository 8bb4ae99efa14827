//! `memos dead-letters`: what could not be taken, and taking it again.

use std::io::Write;

use anyhow::Context;
use memos_client::{DeadLetterView, ReplayRequest, time};

use crate::cli::DeadLettersCommand;
use crate::commands::client;

/// Lists or replays.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub(crate) async fn run(command: &DeadLettersCommand, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        DeadLettersCommand::List { limit, json, server } => {
            let letters = client(server)?.dead_letters(*limit).await.context("list the dead letters")?;
            if *json {
                serde_json::to_writer_pretty(&mut *out, &letters)?;
                writeln!(out)?;
            } else {
                print(&letters, out)?;
            }
        }
        DeadLettersCommand::Replay { id, reason, all: _, server } => {
            let ids = (!id.is_empty()).then(|| id.clone());
            let request = ReplayRequest { ids, reason: reason.clone() };
            let answer = client(server)?.replay(&request).await.context("replay the dead letters")?;
            writeln!(out, "replayed {} dead letters", answer.replayed)?;
        }
    }
    Ok(())
}

fn print(letters: &[DeadLetterView], out: &mut impl Write) -> std::io::Result<()> {
    if letters.is_empty() {
        return writeln!(out, "There are no dead letters.");
    }
    let columns = |letter: &DeadLetterView| (letter.topic.len(), letter.reason.len());
    let widest = |a: (usize, usize), b: (usize, usize)| (a.0.max(b.0), a.1.max(b.1));
    let (topic, reason) = letters.iter().map(columns).fold((5, 6), widest);
    writeln!(out, "{:36}  {:20}  {:topic$}  {:reason$}  {:>7}  WHY", "ID", "ARRIVED", "TOPIC", "REASON", "REPLAYS")?;
    for letter in letters {
        let arrived = time::to_text(letter.arrived);
        let arrived: String = arrived.chars().take(19).chain(['Z']).collect();
        writeln!(
            out,
            "{}  {arrived:20}  {:topic$}  {:reason$}  {:>7}  {}",
            letter.id, letter.topic, letter.reason, letter.replays, letter.message
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use memory_core::Timestamp;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_list_is_a_table() {
        let letter = DeadLetterView {
            id: Uuid::from_u128(17),
            topic: "inlet.events".to_owned(),
            partition: 0,
            offset: 4,
            reason: "missing_field".to_owned(),
            message: "id is missing".to_owned(),
            arrived: Timestamp::from_micros(1_778_248_560_123_456),
            made: Timestamp::from_micros(1_778_248_560_123_456),
            bytes: 12,
            replays: 1,
        };
        let mut out = Vec::new();
        print(&[letter], &mut out).expect("it prints");
        let text = String::from_utf8(out).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("0011  2026-05-08T13:56:00Z  inlet.events  missing_field"), "{text}");
        assert_eq!(lines[0].find("WHY"), lines[1].find("id is missing"), "{text}");
        out = Vec::new();
        print(&[], &mut out).expect("it prints");
        assert_eq!(out, b"There are no dead letters.\n");
    }
}
