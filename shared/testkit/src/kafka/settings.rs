//! What a broker is started with: `deploy/kafka/broker.properties`, and what differs from broker to broker.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::ports::Ports;
use super::text;

const FIXED: &str = include_str!("../../../../deploy/kafka/broker.properties");

/// What to start a broker with. The default is a plaintext listener and nothing else.
#[derive(Clone, Debug, Default)]
pub struct BrokerOptions {
    /// Settings of the broker by name; they win over those of `deploy/kafka/broker.properties`.
    pub overrides: Vec<(String, String)>,
    /// Listeners besides the plaintext one.
    pub listeners: Vec<Listener>,
    /// Names and passwords that PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 accept: letters, digits, `-` and `_`.
    pub users: Vec<(String, String)>,
}

/// A listener with TLS, with SASL, or with both.
///
/// SASL means PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER. For the last the broker takes any unsigned token
/// (a JWT with `"alg": "none"`) that has a `sub` and has not expired. A client for SCRAM
/// must be newer than Debian's kcat, whose librdkafka gets the last message of the exchange wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// TLS in which the client must show a certificate of the broker's authority.
    Ssl,
    /// SASL without TLS.
    SaslPlaintext,
    /// SASL over TLS. The client needs no certificate.
    SaslSsl,
}

impl Listener {
    const fn name(self) -> &'static str {
        match self {
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    const fn has_tls(self) -> bool {
        match self {
            Self::Ssl | Self::SaslSsl => true,
            Self::SaslPlaintext => false,
        }
    }

    const fn has_sasl(self) -> bool {
        match self {
            Self::SaslPlaintext | Self::SaslSsl => true,
            Self::Ssl => false,
        }
    }
}

impl BrokerOptions {
    pub(super) fn needs_certificates(&self) -> bool {
        self.listeners.iter().any(|listener| listener.has_tls())
    }

    /// The arguments with which a folder is formatted for these users.
    pub(super) fn scram_records(&self) -> Vec<String> {
        let record = |mechanism: &str, (name, password): &(String, String)| {
            format!("{mechanism}=[name={name},password={password}]")
        };
        let users = self.users.iter();
        users.flat_map(|user| ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(|mechanism| record(mechanism, user))).collect()
    }
}

pub(super) fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// The file of settings of the broker in this folder. In such a file the last line about a setting counts.
pub(super) fn properties(folder: &Path, ports: &Ports, options: &BrokerOptions) -> String {
    let mut file = format!("{FIXED}\n");
    let mut set = |key: &str, value: &str| writeln!(file, "{key}={value}").expect("a text takes what is written");
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{}", ports.plaintext);
    for (listener, port) in &ports.others {
        write!(listeners, ",{}://127.0.0.1:{port}", listener.name()).expect("a text takes what is written");
    }
    set("advertised.listeners", &listeners);
    set("listeners", &format!("{listeners},CONTROLLER://127.0.0.1:{}", ports.controller));
    let protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL";
    set("listener.security.protocol.map", protocols);
    set("controller.quorum.voters", &format!("1@127.0.0.1:{}", ports.controller));
    set("log.dirs", text(&data(folder)));
    for listener in &options.listeners {
        let prefix = format!("listener.name.{}", listener.name().to_lowercase());
        if listener.has_tls() {
            set_tls(&mut set, &prefix, *listener, folder);
        }
        if listener.has_sasl() {
            set_sasl(&mut set, &prefix, &options.users);
        }
    }
    for (key, value) in &options.overrides {
        set(key, value);
    }
    file
}

fn set_tls(set: &mut impl FnMut(&str, &str), prefix: &str, listener: Listener, folder: &Path) {
    let certificates = folder.join("certificates");
    set(&format!("{prefix}.ssl.keystore.type"), "PEM");
    set(&format!("{prefix}.ssl.keystore.location"), text(&certificates.join("broker-store.pem")));
    set(&format!("{prefix}.ssl.truststore.type"), "PEM");
    set(&format!("{prefix}.ssl.truststore.location"), text(&certificates.join("authority.pem")));
    let client = if listener == Listener::Ssl { "required" } else { "none" };
    set(&format!("{prefix}.ssl.client.auth"), client);
}

fn set_sasl(set: &mut impl FnMut(&str, &str), prefix: &str, users: &[(String, String)]) {
    const SECURITY: &str = "org.apache.kafka.common.security";
    set(&format!("{prefix}.sasl.enabled.mechanisms"), "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER");
    let mut plain = format!("{SECURITY}.plain.PlainLoginModule required");
    for (name, password) in users {
        let harmless = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        assert!(harmless(name) && harmless(password), "the broker's settings have no room for quotes: {name}");
        write!(plain, " user_{name}=\"{password}\"").expect("a text takes what is written");
    }
    set(&format!("{prefix}.plain.sasl.jaas.config"), &format!("{plain};"));
    for mechanism in ["scram-sha-256", "scram-sha-512"] {
        let module = format!("{SECURITY}.scram.ScramLoginModule required;");
        set(&format!("{prefix}.{mechanism}.sasl.jaas.config"), &module);
    }
    let module = format!("{SECURITY}.oauthbearer.OAuthBearerLoginModule required;");
    set(&format!("{prefix}.oauthbearer.sasl.jaas.config"), &module);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_test_asks_for_comes_last_and_so_wins() {
        let overrides = vec![("log.segment.bytes".to_owned(), "1048576".to_owned())];
        let options = BrokerOptions { overrides, listeners: vec![Listener::SaslSsl], ..BrokerOptions::default() };
        let text = properties(Path::new("/f"), &Ports::choose(&options.listeners), &options);
        let last = text.lines().rfind(|line| line.starts_with("log.segment.bytes="));
        assert_eq!(last, Some("log.segment.bytes=1048576"));
        assert!(text.contains("listener.name.sasl_ssl.ssl.client.auth=none"), "{text}");
        assert!(options.needs_certificates());
    }
}
