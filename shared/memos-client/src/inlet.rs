//! Records for an inlet, and their signature.
//!
//! memos-client links no Kafka client. It builds the key, the headers and the value, which any of them can send, and
//! [`Client::publish_to_inlet`](crate::Client::publish_to_inlet) sends them over HTTP:
//!
//! ```
//! use memory_core::Role;
//! use memos_client::Interaction;
//! use memos_client::inlet::{InletRecord, Secret, Signer};
//!
//! let turn = Interaction { id: Some("chat-7-1".to_owned()), ..Interaction::turn("alice", Role::User, "I moved to Bonn.") };
//! let secret = Secret::try_new("0f0e0d0c0b0a09080706050403020100-example")?;
//! let signer = Signer::try_new("shared", "acme", "2026-05", secret)?;
//! let record = InletRecord::binary("/chat", &turn)?.signed(&signer)?;
//! assert_eq!(record.key, b"alice");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The bytes that are signed are eleven lines and the value, so that every language builds them in as many lines. No
//! line can hold a line feed and the value comes last, so two different records never have the same bytes.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

mod record;
mod secret;

pub use record::{InletRecord, NotPublishable};
pub use secret::{InvalidSecret, Secret};

/// The header that says whose record it is.
pub const TENANT: &str = "memos-tenant";
/// The header that says which of the tenant's keys signed it.
pub const KEY_ID: &str = "memos-key-id";
/// The header with the signature, in base64 with padding.
pub const SIGNATURE: &str = "memos-signature";

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 32;

/// The headers that a signature covers, in this order: those that decide how the record is read. One that a record
/// does not have is an empty line.
pub const COVERED: [&str; 7] =
    ["content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time"];

/// The first line. Another way of signing would have another one, and its own header.
const VERSION: &str = "memos-inlet-v1";

/// What a signature says: this tenant's key stands for this record on this inlet. No text holds a control character.
#[derive(Clone, Copy)]
pub struct Statement<'a> {
    pub tenant: &'a str,
    pub key_id: &'a str,
    /// The inlet's name, which is the end of its topic's name.
    pub inlet: &'a str,
    /// The values of [`COVERED`]; `None` for a header that is not there.
    pub headers: [Option<&'a str>; COVERED.len()],
    pub value: &'a [u8],
}

/// The redacting form: which inlet it is for, and how long it is.
impl fmt::Debug for Statement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (inlet, key_id) = (self.inlet, self.key_id);
        f.debug_struct("Statement")
            .field("inlet", &inlet)
            .field("key_id", &key_id)
            .field("bytes", &self.value.len())
            .finish_non_exhaustive()
    }
}

impl Statement<'_> {
    /// The bytes that are signed.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 + self.value.len());
        let named = [VERSION, self.tenant, self.key_id, self.inlet];
        for line in named.into_iter().chain(self.headers.into_iter().map(Option::unwrap_or_default)) {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(self.value);
        bytes
    }

    /// The signature of this statement.
    #[must_use]
    pub fn sign(&self, secret: &Secret) -> [u8; SIGNATURE_BYTES] {
        self.mac(secret).finalize().into_bytes().into()
    }

    /// Whether this is its signature, in a time that does not depend on how much of it is right.
    #[must_use]
    pub fn verifies(&self, secret: &Secret, signature: &[u8; SIGNATURE_BYTES]) -> bool {
        self.mac(secret).verify_slice(signature).is_ok()
    }

    fn mac(&self, secret: &Secret) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(&self.canonical());
        mac
    }
}

/// Signs the records of one inlet with one key of a tenant.
#[derive(Clone)]
pub struct Signer {
    inlet: String,
    tenant: String,
    key_id: String,
    secret: Secret,
}

/// The redacting form: whose it is stays out of logs, and so does the secret.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("inlet", &self.inlet).field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer for this inlet.
    ///
    /// # Errors
    /// [`NotPublishable::Name`] when one of the names is empty or holds a control character.
    pub fn try_new(inlet: &str, tenant: &str, key_id: &str, secret: Secret) -> Result<Self, NotPublishable> {
        for (what, name) in [("inlet", inlet), ("tenant", tenant), ("key id", key_id)] {
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(NotPublishable::Name { what });
            }
        }
        Ok(Self { inlet: inlet.to_owned(), tenant: tenant.to_owned(), key_id: key_id.to_owned(), secret })
    }

    /// The headers that make this a signed record.
    ///
    /// # Errors
    /// [`NotPublishable::Header`] when a covered header could be read in two ways.
    pub fn headers(&self, record: &InletRecord) -> Result<[(String, Vec<u8>); 3], NotPublishable> {
        let mut headers = [None; COVERED.len()];
        for (name, value) in COVERED.into_iter().zip(&mut headers) {
            *value = record.covered(name)?;
        }
        let (tenant, key_id, inlet) = (self.tenant.as_str(), self.key_id.as_str(), self.inlet.as_str());
        let signature = Statement { tenant, key_id, inlet, headers, value: &record.value }.sign(&self.secret);
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        Ok([header(TENANT, tenant), header(KEY_ID, key_id), header(SIGNATURE, &encode(&signature))])
    }
}

/// A signature as it stands in its header.
#[must_use]
pub fn encode(signature: &[u8; SIGNATURE_BYTES]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(signature)
}

/// The signature in a header; `None` when it is not the base64 of one.
#[must_use]
pub fn decode(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
