//! One file per command. A command takes its flags and a place to print to, and answers with an error that says what it
//! was doing; `main` decides on runtime and exit code.

use anyhow::Context;
use memos_client::Client;

use crate::cli::ServerArgs;

pub(crate) mod api_key;
pub(crate) mod config;
pub(crate) mod dead_letters;
pub(crate) mod dump;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod publish;
pub(crate) mod recall;
pub(crate) mod sample;
pub(crate) mod service;
pub(crate) mod topics;
pub(crate) mod up;
pub(crate) mod verify;

/// A client of the server that the flags name.
fn client(server: &ServerArgs) -> anyhow::Result<Client> {
    Client::new(&server.url, server.api_key.clone()).context("use --url")
}
