//! What gateway and recall say to each other between processes: the routes of the [port](crate::port), all of them a
//! POST of JSON, and the two headers that come with each.
//!
//! The tenant comes from the gateway, which took it from a credential; recall believes it because the request carries
//! the internal key (law L08). A tenant's name may hold anything but control characters, also what HTTP trims or does
//! not let through, so it is percent-encoded.

use std::fmt;
use std::path::Path;

use memory_core::forget::Scope;
use memory_core::{Partition, Subject, SubjectKind, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::port::ListRequest;
use crate::position::Position;

/// The header with the internal key.
pub const KEY_HEADER: &str = "x-memos-internal-key";
/// The header with the tenant, as [`encode_tenant`] writes it.
pub const TENANT_HEADER: &str = "x-memos-tenant";

/// The routes.
pub mod path {
    pub const RECALL: &str = "/internal/v1/recall";
    pub const MEMORY: &str = "/internal/v1/memory";
    pub const HISTORY: &str = "/internal/v1/history";
    pub const MEMORIES: &str = "/internal/v1/memories";
    pub const WORKING_MEMORY: &str = "/internal/v1/working-memory";
    pub const PROFILE: &str = "/internal/v1/profile";
    pub const EVENT: &str = "/internal/v1/event";
    pub const RECEIPT: &str = "/internal/v1/receipt";
    pub const PREVIEW: &str = "/internal/v1/forget-preview";
    pub const REACHED: &str = "/internal/v1/reached";
}

/// The fewest bytes of an internal key: what a guess must not find.
const KEY_BYTES_MIN: usize = 16;

/// The key that the processes of one installation share. Empty: there is none. No `Debug` prints it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InternalKey(String);

/// Why an internal key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InternalKeyError {
    #[error("read the internal key from {path}")]
    Unreadable {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the internal key has {bytes} bytes; use at least {KEY_BYTES_MIN}, random ones")]
    Short { bytes: usize },
    #[error("the internal key must consist of visible ASCII characters, because it travels in a header")]
    Characters,
}

impl InternalKey {
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key to use: that of the file where one is named, else this one; `None` when there is none.
    ///
    /// # Errors
    /// [`InternalKeyError`] when the file cannot be read, or the key is too short or no text for a header.
    pub fn resolve(&self, file: &Path) -> Result<Option<Self>, InternalKeyError> {
        let key = if file.as_os_str().is_empty() {
            self.0.clone()
        } else {
            let path = || file.display().to_string();
            let read = std::fs::read_to_string(file);
            let text = read.map_err(|source| InternalKeyError::Unreadable { path: path(), source })?;
            let key = text.trim().to_owned();
            if key.is_empty() {
                return Err(InternalKeyError::Short { bytes: 0 });
            }
            key
        };
        if key.is_empty() {
            return Ok(None);
        }
        if key.len() < KEY_BYTES_MIN {
            return Err(InternalKeyError::Short { bytes: key.len() });
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InternalKeyError::Characters);
        }
        Ok(Some(Self(key)))
    }

    /// The key itself: for the header, and for the hash that it is compared by.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for InternalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "InternalKey(none)" } else { "InternalKey(redacted)" })
    }
}

/// A tenant's name as a header's value.
#[must_use]
pub fn encode_tenant(tenant: &TenantId) -> String {
    let mut text = String::with_capacity(tenant.as_str().len());
    for byte in tenant.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Reads a tenant's name back; `None` for anything that [`encode_tenant`] does not write.
#[must_use]
pub fn decode_tenant(text: &str) -> Option<TenantId> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let (hex, tail) = tail.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    let tenant = TenantId::try_new(String::from_utf8(bytes).ok()?)?;
    // One name has one form, so that nothing else can be read as it.
    (encode_tenant(&tenant) == text).then_some(tenant)
}

/// Asks for a memory or its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ById<I> {
    pub id: I,
    /// "Missing" is only an answer if the instance serves all of these; every partition of the log when null.
    pub partitions: Option<Vec<Partition>>,
}

/// An answer that may be "missing".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found<T> {
    pub found: Option<T>,
}

/// A subject of the request's tenant.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub kind: SubjectKind,
    pub id: String,
}

/// The redacting form: who it is stays out of logs.
impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Named({}, redacted)", self.kind.as_str())
    }
}

impl Named {
    /// The subject, for a tenant.
    #[must_use]
    pub fn of(self, tenant: TenantId) -> Option<Subject> {
        memory_core::subject::valid_id(&self.id).then_some(Subject { tenant, kind: self.kind, id: self.id })
    }
}

impl From<&Subject> for Named {
    fn from(subject: &Subject) -> Self {
        Self { kind: subject.kind, id: subject.id.clone() }
    }
}

/// Asks for a page of a subject's memories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListOf {
    pub subject: Named,
    pub list: ListRequest,
}

/// Asks what a subject is like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileOf {
    pub subject: Named,
    #[serde(with = "crate::time::option")]
    pub now: Option<Timestamp>,
}

/// Asks what a forget of this would take of a subject.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewOf {
    pub subject: Named,
    pub scope: Scope,
}

/// The redacting form: a scope may name a session.
impl fmt::Debug for PreviewOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreviewOf({:?}, {})", self.subject, self.scope.as_str())
    }
}

/// Asks to wait until a position is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachedRequest {
    pub position: Position,
    pub timeout_ms: u64,
}

/// The answer once it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    pub reached: bool,
}

/// Whether a `Host` header names this machine by a name that no one else can own. Where a server trusts everybody on
/// this machine, that is what keeps web pages out which rebind their name to it.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let name = match host.parse::<std::net::SocketAddr>() {
        Ok(address) => return address.ip().is_loopback(),
        Err(_) if host.starts_with('[') => host.trim_start_matches('[').trim_end_matches(']'),
        Err(_) => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    // law: L08
    #[test]
    fn a_tenant_survives_the_header_whatever_its_name() {
        for name in ["acme", " acme", "acme ", "a%20b", "a/b", "Ünïcode", "名前", "\u{a0}", "%", "~a-b_c.d"] {
            let tenant = TenantId::try_new(name).expect("a tenant");
            let header = encode_tenant(&tenant);
            assert!(header.bytes().all(|byte| byte.is_ascii_graphic()), "{header}");
            assert_eq!(decode_tenant(&header), Some(tenant), "{name}");
        }
        for text in ["", " acme", "a b", "%", "%4", "%zz", "%61cme", "%0A", "a%2f", "ü", "%+1"] {
            assert_eq!(decode_tenant(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_is_long_enough_and_never_printed() {
        let nowhere = Path::new("");
        let key = InternalKey::new("0123456789abcdef");
        assert_eq!(key.resolve(nowhere).expect("good"), Some(key.clone()));
        assert_eq!(InternalKey::default().resolve(nowhere).expect("none"), None);
        assert!(!format!("{key:?}").contains("0123"));
        assert!(matches!(InternalKey::new("short").resolve(nowhere), Err(InternalKeyError::Short { bytes: 5 })));
        assert!(matches!(InternalKey::new("0123456789 abcdef").resolve(nowhere), Err(InternalKeyError::Characters)));
        let missing = InternalKey::default().resolve(Path::new("/nowhere/at/all"));
        assert!(matches!(missing, Err(InternalKeyError::Unreadable { .. })));
    }

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST:8888", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8888"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in ["", "example.org", "localhost.example.org", "127.0.0.1.example.org:80", "10.0.0.1", "[::2]:1"] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
