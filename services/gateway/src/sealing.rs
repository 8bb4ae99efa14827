//! The keys that the edge seals with.
//!
//! Whatever is published is sealed before it is appended, with its tenant's key of the day. A process makes a key where it
//! knows of none that is young enough, once for each tenant and day; that waits for a disk or for Kafka, so the threads of
//! the server leave it to another one. What is nobody's in particular is sealed with a key of the installation.
//!
//! A key may have been destroyed by others in the meantime. So where the keys were not read lately nothing is sealed: the
//! client tries again, and an inlet waits.

use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web::block;
use keyring::{KeyId, Keyring, Owner};
use memory_core::TenantId;
use memory_core::subject::TenantTag;

use crate::problem::Problem;
use crate::state::now;

/// Whose key seals what is no tenant's: letters of unknown producers, and records of inlets on our own disk.
pub(crate) const INSTALLATION: TenantTag = TenantTag::from_bytes([0; 16]);

/// The keys, and the turn of who makes one. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Sealing {
    pub(crate) ring: Keyring,
    /// Many requests may find at once that there is no key yet; one of them makes it.
    minting: Arc<Mutex<()>>,
}

/// What seals a tenant's events now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealer<'a> {
    pub(crate) ring: &'a Keyring,
    pub(crate) key: KeyId,
    pub(crate) tag: TenantTag,
    pub(crate) tenant: &'a TenantId,
}

/// Why nothing can be sealed right now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsealed {
    #[error("the keys were not read lately")]
    Stale,
    #[error("seal with a key of the day")]
    Keyring(#[from] keyring::Error),
}

impl Sealing {
    pub(crate) fn new(ring: Keyring) -> Self {
        Self { ring, minting: Arc::default() }
    }

    /// The key to seal with now. Blocks where it has to be made.
    pub(crate) fn key(&self, tag: TenantTag) -> Result<KeyId, Unsealed> {
        if let Some(key) = self.known(tag)? {
            return Ok(key);
        }
        let _turn = self.minting.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.ring.epoch(tag, now())?)
    }

    /// The same for the threads of the server, which never block.
    pub(crate) async fn key_soon(&self, tag: TenantTag) -> Result<KeyId, Problem> {
        if let Some(key) = self.known(tag)? {
            return Ok(key);
        }
        let sealing = self.clone();
        Ok(block(move || sealing.key(tag)).await.map_err(|_| Problem::stopping())??)
    }

    fn known(&self, tag: TenantTag) -> Result<Option<KeyId>, Unsealed> {
        if !self.ring.is_fresh(Owner::Tenant(tag)) {
            return Err(Unsealed::Stale);
        }
        Ok(self.ring.epoch_now(tag, now()))
    }
}
