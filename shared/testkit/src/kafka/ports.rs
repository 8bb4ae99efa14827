//! Ports for a broker: free now, and still free when it is started again.
//!
//! The system's own choice (port 0) would be from the range that it also gives to outgoing connections. While a broker
//! is down its clients keep trying, and sooner or later one of them would be given the broker's very port, connect to
//! itself and keep the broker from coming back. So the ports are taken from below that range, and each process begins
//! at another place in it, so that two test binaries do not choose the same.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

use super::settings::Listener;

const FIRST: u16 = 15_000;
/// Linux gives outgoing connections ports from 32,768 on.
const COUNT: u16 = 17_000;

static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
    let step = u16::try_from(std::process::id() % 1_000).expect("less than 1,000 fits");
    AtomicU16::new(step * 17)
});

#[derive(Debug)]
pub(super) struct Ports {
    pub(super) plaintext: u16,
    pub(super) controller: u16,
    pub(super) others: Vec<(Listener, u16)>,
}

impl Ports {
    pub(super) fn choose(listeners: &[Listener]) -> Self {
        Self {
            plaintext: free(),
            controller: free(),
            others: listeners.iter().map(|listener| (*listener, free())).collect(),
        }
    }

    pub(super) fn address(&self, listener: Option<Listener>) -> String {
        let port = listener.map_or(self.plaintext, |wanted| {
            let found = self.others.iter().find(|(listener, _)| *listener == wanted);
            found.expect("the options of this broker ask for that listener").1
        });
        format!("127.0.0.1:{port}")
    }
}

/// A port of loopback that is free now, and that no outgoing connection is given while whoever listens on it is down.
///
/// # Panics
/// When none is.
#[must_use]
pub fn free() -> u16 {
    let candidates = (0..COUNT).map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT);
    let mut free = candidates.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next().expect("one of seventeen thousand ports is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_lie_below_those_of_outgoing_connections() {
        let ports = Ports::choose(&[Listener::Ssl]);
        let all = [ports.plaintext, ports.controller, ports.others[0].1];
        assert!(all.iter().all(|port| (FIRST..FIRST + COUNT).contains(port)), "{all:?}");
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
        assert_eq!(ports.address(Some(Listener::Ssl)), format!("127.0.0.1:{}", all[2]));
    }
}
