//! Whose memory it is. Everything in memos belongs to a [`Subject`], and every storage key begins with a
//! [`Handle`], which only a subject can make: no row of one tenant can be reached with the name of another
//! (law L08), and no id of a person stands in a key.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::EventId;
use crate::position::Partition;

/// The longest tenant, user, agent, app or session id, in bytes.
pub const ID_BYTES_MAX: usize = 256;

/// A customer of the installation. It comes from the credential, never from a request.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(String);

/// The redacting form: who it is stays out of logs.
impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantId(redacted)")
    }
}

impl TenantId {
    /// Takes a name of 1 to [`ID_BYTES_MAX`] bytes without control characters; `None` otherwise.
    #[must_use]
    pub fn try_new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        valid_id(&id).then_some(Self(id))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tenant's prefix in indexes from ids to subjects.
    #[must_use]
    pub fn tag(&self, secret: &HashSecret) -> TenantTag {
        TenantTag(secret.hash(&[b"tenant", self.0.as_bytes()]))
    }
}

/// A keyed hash of a tenant: what stands for it in storage keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantTag([u8; 16]);

impl fmt::Display for TenantTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_hex(&self.0, f)
    }
}

impl Serialize for TenantTag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TenantTag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(deserializer)?;
        let bytes =
            parse_hex(&hex).ok_or_else(|| serde::de::Error::custom("a tenant's tag is 32 hexadecimal digits"))?;
        Ok(Self(bytes))
    }
}

impl TenantTag {
    /// Reads a tag back from a key that began with one.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for TenantTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_hex(&self.0, f)
    }
}

/// Whether a name can be an id: 1 to [`ID_BYTES_MAX`] bytes, no control characters.
#[must_use]
pub fn valid_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_BYTES_MAX && !id.chars().any(char::is_control)
}

/// What kind of thing owns a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    User,
    Agent,
    Session,
}

impl SubjectKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::Session => "session",
        }
    }
}

/// The owner of memories: the actor, the key prefix, the unit of order and of forgetting.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    pub tenant: TenantId,
    pub kind: SubjectKind,
    pub id: String,
}

/// The redacting form: logs name the handle.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({}, redacted)", self.kind.as_str())
    }
}

impl Subject {
    /// The owner of what names these ids: the user where there is one, else the agent, else the session.
    #[must_use]
    pub fn owner(tenant: &TenantId, user: Option<&str>, agent: Option<&str>, session: Option<&str>) -> Option<Self> {
        let named = |kind, id: Option<&str>| id.map(|id| (kind, id.to_owned()));
        let (kind, id) = named(SubjectKind::User, user)
            .or_else(|| named(SubjectKind::Agent, agent))
            .or_else(|| named(SubjectKind::Session, session))?;
        Some(Self { tenant: tenant.clone(), kind, id })
    }

    /// The handle that stands for this subject in topics and stores.
    #[must_use]
    pub fn handle(&self, secret: &HashSecret) -> Handle {
        Handle(secret.hash(&[self.tenant.0.as_bytes(), self.kind.as_str().as_bytes(), self.id.as_bytes()]))
    }
}

/// A 16-byte keyed hash of a subject. Without the secret nobody can tell whose it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle([u8; 16]);

impl Handle {
    pub const BYTES: usize = 16;

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads a handle back from a key that began with one.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The partition of this subject in every topic of a log with `partitions` partitions (at least 1).
    #[must_use]
    pub fn partition(&self, partitions: u32) -> Partition {
        let rest = u128::from_be_bytes(self.0) % u128::from(partitions.max(1));
        Partition::new(u32::try_from(rest).expect("a remainder of a u32 fits one"))
    }

    /// Parses the 32 hexadecimal digits that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        parse_hex(hex).map(Self)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_hex(&self.0, f)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_hex(&self.0, f)
    }
}

impl Serialize for Handle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(deserializer)?;
        Self::parse(&hex).ok_or_else(|| serde::de::Error::custom("a handle is 32 hexadecimal digits"))
    }
}

fn parse_hex(hex: &str) -> Option<[u8; 16]> {
    let number = (hex.len() == 32).then(|| u128::from_str_radix(hex, 16).ok())??;
    Some(number.to_be_bytes())
}

fn fmt_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// The key of every handle of an installation. It never rotates: a new one would make every subject a stranger.
#[derive(Clone)]
pub struct HashSecret([u8; 32]);

impl HashSecret {
    pub const BYTES: usize = 32;

    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What stands for an event's id in storage keys.
    #[must_use]
    pub fn hash_of_event(&self, event: &EventId) -> [u8; 16] {
        self.hash(&[b"event", event.as_str().as_bytes()])
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            let length = u64::try_from(part.len()).expect("lengths fit 64 bits");
            hasher.update(&length.to_be_bytes());
            hasher.update(part);
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        hash
    }
}

impl fmt::Debug for HashSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashSecret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(tenant: &str, kind: SubjectKind, id: &str) -> Subject {
        Subject { tenant: TenantId::try_new(tenant).expect("a tenant"), kind, id: id.to_owned() }
    }

    // law: L08
    #[test]
    fn names_that_look_alike_when_joined_have_different_handles() {
        let secret = HashSecret::new([7; 32]);
        let handles = [
            subject("a", SubjectKind::User, "bc").handle(&secret),
            subject("ab", SubjectKind::User, "c").handle(&secret),
            subject("a", SubjectKind::Agent, "bc").handle(&secret),
            subject("a", SubjectKind::Session, "bc").handle(&secret),
            subject("a", SubjectKind::User, "BC").handle(&secret),
        ];
        for (i, left) in handles.iter().enumerate() {
            for right in &handles[i + 1..] {
                assert_ne!(left, right);
            }
        }
        assert_ne!(handles[0], subject("a", SubjectKind::User, "bc").handle(&HashSecret::new([8; 32])));
    }

    #[test]
    fn the_user_owns_where_one_is_named() {
        let tenant = TenantId::try_new("t").expect("a tenant");
        let owner = |user, agent, session| Subject::owner(&tenant, user, agent, session).map(|s| (s.kind, s.id));
        assert_eq!(owner(Some("u"), Some("a"), Some("s")), Some((SubjectKind::User, "u".to_owned())));
        assert_eq!(owner(None, Some("a"), Some("s")), Some((SubjectKind::Agent, "a".to_owned())));
        assert_eq!(owner(None, None, Some("s")), Some((SubjectKind::Session, "s".to_owned())));
        assert_eq!(owner(None, None, None), None);
    }

    #[test]
    fn a_handle_reads_back_what_it_prints() {
        let handle = subject("t", SubjectKind::User, "u").handle(&HashSecret::new([1; 32]));
        assert_eq!(Handle::parse(&handle.to_string()), Some(handle));
        assert_eq!(Handle::parse("zz"), None);
        assert!(handle.partition(12).get() < 12);
    }
}
