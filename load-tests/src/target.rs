//! Load is aimed at this machine only. A mistyped address must not become an attack on somebody else's server.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use memos_client::{Client, ClientSettings};

use crate::args::ServerArgs;

/// How long one request may take before it counts as an error.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client that tries everything once: a retry would hide a refusal.
pub(crate) fn measured(server: &ServerArgs) -> anyhow::Result<Client> {
    client(server, 1)
}

/// A client that waits when it is asked to, for everything that is not measured.
pub(crate) fn patient(server: &ServerArgs) -> anyhow::Result<Client> {
    client(server, 20)
}

fn client(server: &ServerArgs, attempts: u32) -> anyhow::Result<Client> {
    anyhow::ensure!(is_this_machine(&server.url), "`{}` is not an address of this machine", server.url);
    let settings = ClientSettings { timeout: TIMEOUT, attempts, ..ClientSettings::default() };
    Client::with_settings(&server.url, server.api_key.clone(), settings).context("use --url")
}

fn is_this_machine(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = &rest[..end];
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        Some(_) | None => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_a_target() {
        for url in
            ["http://127.0.0.1:8888", "http://localhost", "http://localhost:1/x", "http://[::1]:8888", "http://[::1]"]
        {
            assert!(is_this_machine(url), "{url}");
        }
        for url in [
            "http://example.org",
            "http://10.0.0.1:8888",
            "http://127.0.0.1@example.org",
            "http://127.0.0.1:80@example.org",
            "http://localhost.example.org",
            "http://example.org\\@127.0.0.1",
            "https://127.0.0.1",
            "127.0.0.1:8888",
            "http://0.0.0.0:8888",
        ] {
            assert!(!is_this_machine(url), "{url}");
        }
    }
}
