//! Keys, and what is sealed with them.
//!
//! What people say is never written in the clear. On `interactions` and `dead-letters` it is sealed with an *epoch key* of
//! the tenant, which is a day's key and dies when the log has let go of that day; everything derived is sealed with a key
//! of its *subject*. To forget is to destroy keys: whatever was sealed with them, in whatever copy, backup or freed block
//! it lies, is noise from then on.
//!
//! A [`Keyring`] holds the keys in RAM and seals and opens. Where they are kept is a [`Vault`]: a file of slots that are
//! overwritten in place ([`KeyFile`]), or the `keys` topic. In both they are wrapped, and the root of the wrapping
//! ([`RootKey`]) lies outside the data.
//!
//! The cipher is AES-256-GCM-SIV (RFC 8452): a nonce that two processes should happen to share gives nothing away but that
//! two values are equal, and for the short values of which most of it consists it takes a third of the time of
//! XChaCha20-Poly1305. What a sealed value is bound to, its place, is authenticated with it, so that nobody can put one value
//! in the place of another. Long values are compressed before, because afterwards nobody can.

pub mod archive;
mod cipher;
pub mod file;
mod id;
mod ring;
pub mod root;
mod vault;
mod wrap;

pub use cipher::{Key, Nonces, Tampered};
pub use file::KeyFile;
pub use id::{KeyId, Owner};
pub use ring::{EPOCH_SECONDS, Error, Keyring, SEALS};
pub use root::{RootError, RootSource, Roots};
pub use vault::{Doomed, Minted, Vault, VaultError};
pub use wrap::{RootKey, RootName, WRAPPED, Wrapping};
