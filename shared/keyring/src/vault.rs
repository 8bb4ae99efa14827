//! Where keys are kept: the port, and what is common to those who keep them.

use std::fmt;
use std::sync::Arc;

use memory_core::{Handle, Seq, Timestamp};

use crate::{Key, KeyId, Keyring, Owner};

/// A key with all that is known of it.
#[derive(Clone, Debug)]
pub struct Minted {
    pub owner: Owner,
    pub id: KeyId,
    pub made: Timestamp,
    pub key: Arc<Key>,
}

/// A subject of which something is forgotten.
#[derive(Clone, Debug)]
pub struct Doomed {
    pub subject: Handle,
    /// Its keys that seal from below it are dead, those to come as well.
    pub floor: Seq,
    /// Those that are known.
    pub keys: Vec<KeyId>,
}

/// Why keys could not be kept or destroyed: what the vault says.
pub type VaultError = Box<dyn std::error::Error + Send + Sync>;

/// Keeps the keys of a [`Keyring`]. All calls block.
pub trait Vault: Send + Sync + fmt::Debug {
    /// Keeps keys; they are durable when it returns.
    ///
    /// # Errors
    /// Whatever keeps them from being durable; then none of them may be used.
    fn keep(&self, keys: &[Minted]) -> Result<(), VaultError>;

    /// Destroys these keys of a subject, and any of it that comes later and seals from below `floor`. It is durable when
    /// it returns. Repeating it is harmless.
    ///
    /// # Errors
    /// Whatever keeps it from being durable.
    fn destroy(&self, subject: Handle, floor: Seq, keys: &[KeyId]) -> Result<(), VaultError>;

    /// Does the same for many subjects.
    ///
    /// # Errors
    /// As [`Vault::destroy`]; some may be destroyed then.
    fn destroy_all(&self, doomed: &[Doomed]) -> Result<(), VaultError> {
        doomed.iter().try_for_each(|of| self.destroy(of.subject, of.floor, &of.keys))
    }

    /// Destroys keys of tenants.
    ///
    /// # Errors
    /// As [`Vault::destroy`].
    fn destroy_epochs(&self, keys: &[(Owner, KeyId)]) -> Result<(), VaultError>;

    /// Tells the ring what others have kept and destroyed up to now.
    ///
    /// # Errors
    /// When that cannot be known.
    fn refresh(&self, ring: &Keyring, of: Owner) -> Result<(), VaultError>;

    /// Destroys keys of the owner that came after they were doomed; answers how many.
    ///
    /// # Errors
    /// As [`Vault::destroy`].
    fn bury_late(&self, ring: &Keyring, of: Owner) -> Result<usize, VaultError> {
        let _ = (ring, of);
        Ok(0)
    }

    /// Whether what is known of the owner's keys is recent enough to use them.
    fn is_fresh(&self, of: Owner) -> bool;
}

/// Keeps nothing: keys live as long as the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nowhere;

impl Vault for Nowhere {
    fn keep(&self, _: &[Minted]) -> Result<(), VaultError> {
        Ok(())
    }

    fn destroy(&self, _: Handle, _: Seq, _: &[KeyId]) -> Result<(), VaultError> {
        Ok(())
    }

    fn destroy_epochs(&self, _: &[(Owner, KeyId)]) -> Result<(), VaultError> {
        Ok(())
    }

    fn refresh(&self, _: &Keyring, _: Owner) -> Result<(), VaultError> {
        Ok(())
    }

    fn is_fresh(&self, _: Owner) -> bool {
        true
    }
}
