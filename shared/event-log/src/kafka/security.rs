//! How this process proves who it is, and that it talks to the right broker.
//!
//! A secret is given in the settings or, better, in a file that only this process can read. It is shown nowhere: the
//! type that holds it prints stars. A bearer token is always read from a file, and again before it expires, because
//! whoever issues tokens (an agent beside the process, a projected service account) also rotates them; so memos needs
//! no client for each kind of issuer.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::ClientConfig;
use rdkafka::client::OAuthToken;
use serde::{Deserialize, Serialize};

use crate::Error;

/// How the brokers are reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// Default: `plaintext`.
    pub protocol: Protocol,
    /// The certificates of the authorities that brokers are believed by, in PEM. Empty: those of the system.
    pub ca_file: PathBuf,
    /// This client's certificate, in PEM, for brokers that ask for one.
    pub certificate_file: PathBuf,
    /// The key of that certificate, in PEM.
    pub key_file: PathBuf,
    /// The password of the key.
    pub key_password: Secret,
    /// A file that holds the password of the key.
    pub key_password_file: PathBuf,
    /// Whether the broker's certificate must be for the name it was reached by. Default: yes.
    pub verify_host: VerifyHost,
    /// Default: `plain`. Counts only with a protocol that begins with `sasl`.
    pub mechanism: Mechanism,
    pub username: String,
    pub password: Secret,
    /// A file that holds the password.
    pub password_file: PathBuf,
    /// A file that holds the bearer token (a JWT), for `oauthbearer`. It is read again before the token expires.
    pub token_file: PathBuf,
}

/// What is spoken below Kafka's protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    #[default]
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

/// How the client names itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    #[default]
    #[serde(rename = "plain")]
    Plain,
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
    #[serde(rename = "oauthbearer")]
    OauthBearer,
}

/// A switch that is on unless it is turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VerifyHost(pub bool);

impl Default for VerifyHost {
    fn default() -> Self {
        Self(true)
    }
}

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides this text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"***\"" })
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { "***" })
    }
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    const fn sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl Mechanism {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

/// A setting that would say something else than the rest, without a word.
fn ignored(setting: &'static str, protocol: Protocol, reason: &'static str) -> Error {
    Error::Setting { setting, value: protocol.name().to_owned(), reason }
}

impl Security {
    pub(super) fn validate(&self) -> Result<(), Error> {
        let refuse = |setting, reason| Err(Error::Setting { setting, value: "empty".to_owned(), reason });
        let bearer = self.mechanism == Mechanism::OauthBearer;
        if self.protocol.sasl() && bearer && self.token_file.as_os_str().is_empty() {
            return refuse("security.token_file", "oauthbearer takes its token from there");
        }
        if self.protocol.sasl() && !bearer && self.username.is_empty() {
            return refuse("security.username", "SASL needs a user");
        }
        let given = |path: &PathBuf| !path.as_os_str().is_empty();
        let logs_in = !self.username.is_empty() || given(&self.password_file) || given(&self.token_file);
        if logs_in && !self.protocol.sasl() {
            return Err(ignored("security.protocol", self.protocol, "who logs in needs sasl_ssl or sasl_plaintext"));
        }
        let certified = given(&self.ca_file) || given(&self.certificate_file);
        if certified && !matches!(self.protocol, Protocol::Ssl | Protocol::SaslSsl) {
            return Err(ignored("security.protocol", self.protocol, "certificates need ssl or sasl_ssl"));
        }
        if self.certificate_file.as_os_str().is_empty() != self.key_file.as_os_str().is_empty() {
            return refuse("security.key_file", "a certificate and its key go together");
        }
        Ok(())
    }

    pub(super) fn apply(&self, config: &mut ClientConfig) -> Result<(), Error> {
        config.set("security.protocol", self.protocol.name());
        let mut file = |name: &str, path: &Path| {
            if !path.as_os_str().is_empty() {
                config.set(name, path.display().to_string());
            }
        };
        file("ssl.ca.location", &self.ca_file);
        file("ssl.certificate.location", &self.certificate_file);
        file("ssl.key.location", &self.key_file);
        if let Some(password) = secret(&self.key_password, &self.key_password_file)? {
            config.set("ssl.key.password", password);
        }
        if !self.verify_host.0 {
            config.set("ssl.endpoint.identification.algorithm", "none");
        }
        if self.protocol.sasl() {
            config.set("sasl.mechanism", self.mechanism.name());
            if self.mechanism != Mechanism::OauthBearer {
                config.set("sasl.username", &self.username);
                config.set("sasl.password", secret(&self.password, &self.password_file)?.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Where the token is, if one is needed.
    pub(super) fn token(&self) -> Option<PathBuf> {
        (self.protocol.sasl() && self.mechanism == Mechanism::OauthBearer).then(|| self.token_file.clone())
    }
}

fn secret(given: &Secret, file: &Path) -> Result<Option<String>, Error> {
    if file.as_os_str().is_empty() {
        return Ok((!given.0.is_empty()).then(|| given.0.clone()));
    }
    if !given.0.is_empty() {
        let value = file.display().to_string();
        return Err(Error::Setting {
            setting: "security",
            value,
            reason: "a secret is given twice, here and in a file",
        });
    }
    let text = std::fs::read_to_string(file).map_err(Error::io("read the secret in", file))?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Reads the token of a file. When it expires and whom it names stand in the token itself.
pub(super) fn read_token(file: &Path) -> Result<OAuthToken, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read the token file: {error}"))?;
    let token = text.trim();
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
    let claims: serde_json::Value =
        claims.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or("the token file holds no JWT")?;
    let expires =
        claims.get("exp").and_then(serde_json::Value::as_f64).ok_or("the token does not say when it expires")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    if expires <= now {
        return Err("the token has expired and its file was not renewed".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since the epoch are far below the limit")]
    let lifetime_ms = (expires * 1000.0) as i64;
    let principal_name = claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or("memos").to_owned();
    Ok(OAuthToken { token: token.to_owned(), principal_name, lifetime_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let security = Security { password: Secret::new("hunter2".to_owned()), ..Security::default() };
        let shown = format!("{security:?} {}", serde_json::to_string(&security).expect("plain data"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_the_protocol_would_leave_out_is_refused() {
        let plain = Security::default();
        plain.validate().expect("nothing is asked for");
        let user = Security { username: "memos".to_owned(), ..Security::default() };
        let token = Security { token_file: "token".into(), ..Security::default() };
        let authority = Security { ca_file: "ca.pem".into(), ..Security::default() };
        for security in [&user, &token, &authority] {
            let text = security.validate().expect_err("it would be sent in clear").to_string();
            assert!(text.contains("security.protocol"), "{text}");
        }
        let over = Security { protocol: Protocol::SaslPlaintext, ..authority };
        assert!(over.validate().is_err(), "certificates mean nothing without TLS");
        Security { protocol: Protocol::SaslSsl, ca_file: "ca.pem".into(), ..user }
            .validate()
            .expect("it fits together");
    }

    #[test]
    fn a_secret_comes_from_one_place() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("password");
        std::fs::write(&file, "from the file\n").expect("the directory is writable");
        assert_eq!(secret(&Secret::default(), &file).expect("it can be read"), Some("from the file".to_owned()));
        assert!(secret(&Secret::new("x".to_owned()), &file).is_err(), "two are one too many");
        assert!(secret(&Secret::default(), &dir.path().join("none")).is_err());
        assert_eq!(secret(&Secret::default(), Path::new("")).expect("none is given"), None);
    }

    #[test]
    fn a_token_says_itself_how_long_it_lives() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("token");
        let jwt = |claims: &str| format!("{}.{}.", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims));
        let put = |text: String| std::fs::write(&file, text).expect("the directory is writable");
        put(jwt(r#"{"sub": "ada", "exp": 4102444800}"#));
        let token = read_token(&file).expect("it is good");
        assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("ada", 4_102_444_800_000));
        for bad in [jwt(r#"{"sub": "ada", "exp": 1}"#), jwt("{}"), "not a token".to_owned()] {
            put(bad);
            assert!(read_token(&file).is_err());
        }
    }
}
