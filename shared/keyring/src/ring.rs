//! The keys in RAM.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use memory_core::subject::TenantTag;
use memory_core::{Handle, Seq, Timestamp};

use crate::cipher::Nonces;
use crate::vault::Nowhere;
use crate::{Doomed, Key, KeyId, Minted, Owner, Tampered, Vault, VaultError};

/// Whether this build seals at all. One that does not is for measuring what sealing costs, and for nothing else.
pub const SEALS: bool = !cfg!(feature = "unsealed");

/// A day: how long a key of a tenant seals, unless settings say otherwise.
pub const EPOCH_SECONDS: i64 = 24 * 60 * 60;
/// How many keys are remembered as gone.
const GONE_MAX: usize = 1_024;

/// What can go wrong with keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the key {id} is gone, so nothing can be sealed with it")]
    Gone { id: KeyId },
    #[error("open a sealed value")]
    Tampered(#[from] Tampered),
    #[error("{what} keys")]
    Vault {
        what: &'static str,
        #[source]
        source: VaultError,
    },
    #[error("read the random source of the operating system")]
    Random(#[source] getrandom::Error),
}

/// The keys that this process knows, and what it does with them. Clones share them.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    keys: RwLock<Keys>,
    vault: Box<dyn Vault>,
    nonces: Nonces,
    epoch_seconds: AtomicI64,
}

#[derive(Default)]
struct Keys {
    /// An `Arc` each: a table that grows must leave no copies of keys behind.
    held: HashMap<KeyId, Minted>,
    subjects: HashMap<Handle, OfSubject>,
    tenants: HashMap<TenantTag, BTreeSet<(Timestamp, KeyId)>>,
    /// Keys that the vault did not know when it was asked, at most [`GONE_MAX`]: a day's dead key stands in many values.
    gone: HashSet<KeyId>,
}

#[derive(Default)]
struct OfSubject {
    /// Keys that seal from below it are dead, and stay so.
    floor: Seq,
    ids: Vec<KeyId>,
}

impl Keyring {
    /// A ring without keys; the vault tells it of those that it keeps.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn new(vault: Box<dyn Vault>) -> Result<Self, Error> {
        let nonces = Nonces::new().map_err(Error::Random)?;
        let epoch_seconds = AtomicI64::new(EPOCH_SECONDS);
        Ok(Self(Arc::new(Inner { keys: RwLock::default(), vault, nonces, epoch_seconds })))
    }

    /// A ring whose keys live as long as it does.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn in_memory() -> Result<Self, Error> {
        Self::new(Box::new(Nowhere))
    }

    /// Seals `plain` for `place`: the key's name, then what only the key opens.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn seal(&self, id: KeyId, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.key(id)?.ok_or(Error::Gone { id })?;
        let mut sealed = Vec::with_capacity(KeyId::BYTES + crate::cipher::NONCE + plain.len() + crate::cipher::TAG);
        sealed.extend_from_slice(id.as_bytes());
        if SEALS {
            key.seal_into(&self.0.nonces, place, &packed(plain), &mut sealed);
        } else {
            sealed.extend_from_slice(plain);
        }
        Ok(sealed)
    }

    /// Opens what [`Keyring::seal`] made for `place` and an owner; `None` when its key is gone.
    ///
    /// # Errors
    /// [`Error::Tampered`]; [`Error::Vault`] when it cannot be known whether the key is gone.
    pub fn open(&self, owner: Owner, place: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let (id, text) = sealed.split_first_chunk::<{ KeyId::BYTES }>().ok_or(Tampered)?;
        let id = KeyId::from_bytes(*id);
        let key = match self.key(id)? {
            Some(key) => key,
            None => match self.look_again(owner, id)? {
                Some(key) => key,
                None => return Ok(None),
            },
        };
        if SEALS { Ok(Some(unpacked(key.open(place, text)?)?)) } else { Ok(Some(text.to_vec())) }
    }

    /// The name of the key that a value was sealed with.
    #[must_use]
    pub fn sealed_with(sealed: &[u8]) -> Option<KeyId> {
        sealed.first_chunk().copied().map(KeyId::from_bytes)
    }

    /// A key, if it is not known to be destroyed, as of now or a moment ago.
    fn key(&self, id: KeyId) -> Result<Option<Arc<Key>>, Error> {
        let held = |keys: &Keys| keys.held.get(&id).map(|held| (held.owner, Arc::clone(&held.key)));
        let Some((owner, key)) = held(&self.read()) else { return Ok(None) };
        if self.is_fresh(owner) {
            return Ok(Some(key));
        }
        // Who was paused, or cut off, may have missed that it was destroyed.
        self.refresh(owner)?;
        Ok(held(&self.read()).map(|(_, key)| key))
    }

    /// A key is durable before it is used, so one that is not known may be younger than what was read of them.
    fn look_again(&self, owner: Owner, id: KeyId) -> Result<Option<Arc<Key>>, Error> {
        if self.is_doomed(owner, id) {
            return Ok(None);
        }
        if self.read().gone.contains(&id) {
            return Ok(None);
        }
        self.refresh(owner)?;
        let mut keys = self.write();
        if let Some(held) = keys.held.get(&id) {
            return Ok(Some(Arc::clone(&held.key)));
        }
        if keys.gone.len() >= GONE_MAX {
            keys.gone.clear();
        }
        keys.gone.insert(id);
        Ok(None)
    }

    /// Takes in what others have kept and destroyed.
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub fn refresh(&self, of: Owner) -> Result<(), Error> {
        self.0.vault.refresh(self, of).map_err(|source| Error::Vault { what: "read", source })
    }

    /// Whether what is known of the owner's keys is recent enough to use them.
    #[must_use]
    pub fn is_fresh(&self, of: Owner) -> bool {
        self.0.vault.is_fresh(of)
    }

    #[must_use]
    pub fn is_held(&self, id: KeyId) -> bool {
        self.read().held.contains_key(&id)
    }

    /// Keys of this subject that seal from below it are dead.
    #[must_use]
    pub fn floor(&self, subject: Handle) -> Seq {
        self.read().subjects.get(&subject).map_or(Seq::FIRST, |known| known.floor)
    }

    fn is_doomed(&self, owner: Owner, id: KeyId) -> bool {
        match owner {
            Owner::Subject(subject) => id.since() < self.floor(subject),
            Owner::Tenant(_) => false,
        }
    }

    /// The keys of a subject.
    #[must_use]
    pub fn of_subject(&self, subject: Handle) -> Vec<KeyId> {
        self.read().subjects.get(&subject).map(|known| known.ids.clone()).unwrap_or_default()
    }

    /// For each subject a key that seals from exactly this sequence number on, made where there is none; `None` where what it
    /// should seal is forgotten. They are durable when it returns, all of them at the price of one.
    ///
    /// # Errors
    /// [`Error::Vault`], [`Error::Random`].
    pub fn of_subjects(&self, wanted: &[(Handle, Seq)], now: Timestamp) -> Result<Vec<Option<KeyId>>, Error> {
        let mut minted: Vec<Minted> = Vec::new();
        let mut ids = Vec::with_capacity(wanted.len());
        for (subject, since) in wanted {
            if *since < self.floor(*subject) {
                ids.push(None);
                continue;
            }
            let fresh = || minted.iter().find(|key| key.owner == Owner::Subject(*subject) && key.id.since() == *since);
            let id = self.held_since(*subject, *since).or_else(|| fresh().map(|key| key.id));
            ids.push(Some(match id {
                Some(id) => id,
                None => {
                    let key = mint(Owner::Subject(*subject), *since, now)?;
                    let id = key.id;
                    minted.push(key);
                    id
                }
            }));
        }
        self.keep(minted)?;
        Ok(ids)
    }

    fn held_since(&self, subject: Handle, since: Seq) -> Option<KeyId> {
        let keys = self.read();
        keys.subjects.get(&subject)?.ids.iter().find(|id| id.since() == since).copied()
    }

    /// The tenant's key of a time: the youngest that is not older than an epoch, made where there is none. Blocks on the vault
    /// only where it makes one.
    ///
    /// # Errors
    /// [`Error::Vault`], [`Error::Random`].
    pub fn epoch(&self, tenant: TenantTag, now: Timestamp) -> Result<KeyId, Error> {
        if let Some(id) = self.epoch_now(tenant, now) {
            return Ok(id);
        }
        let key = mint(Owner::Tenant(tenant), Seq::FIRST, now)?;
        let id = key.id;
        self.keep(vec![key])?;
        Ok(id)
    }

    /// As [`Keyring::epoch`], without making one.
    #[must_use]
    pub fn epoch_now(&self, tenant: TenantTag, now: Timestamp) -> Option<KeyId> {
        let keys = self.read();
        let (made, id) = keys.tenants.get(&tenant)?.last()?;
        (now.seconds_since(*made) < self.epoch_seconds()).then_some(*id)
    }

    /// How long a key of a tenant seals, in seconds.
    #[must_use]
    pub fn epoch_seconds(&self) -> i64 {
        self.0.epoch_seconds.load(Ordering::Relaxed)
    }

    /// Sets how long a key of a tenant seals.
    pub fn set_epoch_seconds(&self, seconds: i64) {
        self.0.epoch_seconds.store(seconds, Ordering::Relaxed);
    }

    /// All keys of tenants, with when they were made.
    #[must_use]
    pub fn epochs(&self) -> Vec<(TenantTag, Timestamp, KeyId)> {
        let keys = self.read();
        let of = |(tenant, ids): (&TenantTag, &BTreeSet<(Timestamp, KeyId)>)| {
            ids.iter().map(|(made, id)| (*tenant, *made, *id)).collect::<Vec<_>>()
        };
        keys.tenants.iter().flat_map(of).collect()
    }

    fn keep(&self, minted: Vec<Minted>) -> Result<(), Error> {
        if minted.is_empty() {
            return Ok(());
        }
        self.0.vault.keep(&minted).map_err(|source| Error::Vault { what: "keep", source })?;
        minted.into_iter().for_each(|key| self.learn(key));
        Ok(())
    }

    /// Destroys every key of a subject that seals from below `floor`, now and for ever; answers how many were held.
    /// It is durable when it returns.
    ///
    /// # Errors
    /// [`Error::Vault`]; then none of them is used any more all the same.
    pub fn destroy(&self, subject: Handle, floor: Seq) -> Result<usize, Error> {
        let dead = self.raise_floor(subject, floor);
        self.0.vault.destroy(subject, floor, &dead).map_err(|source| Error::Vault { what: "destroy", source })?;
        Ok(dead.len())
    }

    /// Every subject of which something was forgotten, with up to where its keys are dead.
    #[must_use]
    pub fn floors(&self) -> Vec<(Handle, Seq)> {
        let keys = self.read();
        let floors = keys.subjects.iter().map(|(subject, known)| (*subject, known.floor));
        floors.filter(|(_, floor)| *floor > Seq::FIRST).collect()
    }

    /// Destroys keys that a former owner made after they were doomed, of every subject that is kept with this one; answers
    /// how many. For whoever owns them, from time to time.
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub fn bury_late(&self, of: Owner) -> Result<usize, Error> {
        self.0.vault.bury_late(self, of).map_err(|source| Error::Vault { what: "destroy", source })
    }

    /// Destroys keys of tenants.
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub fn destroy_epochs(&self, dead: &[(TenantTag, KeyId)]) -> Result<(), Error> {
        let named: Vec<(Owner, KeyId)> = dead.iter().map(|(tenant, id)| (Owner::Tenant(*tenant), *id)).collect();
        named.iter().for_each(|(_, id)| self.lose(*id));
        self.0.vault.destroy_epochs(&named).map_err(|source| Error::Vault { what: "destroy", source })
    }

    /// For vaults: a key that is kept. One that is doomed is not taken in.
    pub fn learn(&self, key: Minted) {
        let mut keys = self.write();
        match key.owner {
            Owner::Subject(subject) => {
                let known = keys.subjects.entry(subject).or_default();
                if key.id.since() < known.floor {
                    return;
                }
                if !known.ids.contains(&key.id) {
                    known.ids.push(key.id);
                    known.ids.sort_unstable();
                }
            }
            Owner::Tenant(tenant) => {
                keys.tenants.entry(tenant).or_default().insert((key.made, key.id));
            }
        }
        keys.gone.remove(&key.id);
        keys.held.insert(key.id, key);
    }

    /// For vaults: a key that was destroyed.
    pub fn lose(&self, id: KeyId) {
        let mut keys = self.write();
        let Some(lost) = keys.held.remove(&id) else { return };
        match lost.owner {
            Owner::Subject(subject) => {
                if let Some(known) = keys.subjects.get_mut(&subject) {
                    known.ids.retain(|known| *known != id);
                    if known.ids.is_empty() && known.floor == Seq::FIRST {
                        keys.subjects.remove(&subject);
                    }
                }
            }
            Owner::Tenant(tenant) => {
                if let Some(known) = keys.tenants.get_mut(&tenant) {
                    known.remove(&(lost.made, id));
                }
            }
        }
    }

    /// For vaults: keys of the subject that seal from below `floor` are dead. Answers those that were held.
    pub fn raise_floor(&self, subject: Handle, floor: Seq) -> Vec<KeyId> {
        let mut keys = self.write();
        let known = keys.subjects.entry(subject).or_default();
        known.floor = known.floor.max(floor);
        let (dead, alive) = known.ids.iter().partition(|id| id.since() < floor);
        known.ids = alive;
        let dead: Vec<KeyId> = dead;
        for id in &dead {
            keys.held.remove(id);
        }
        dead
    }

    /// Every key, for who keeps them elsewhere.
    #[must_use]
    pub fn all(&self) -> Vec<Minted> {
        self.read().held.values().cloned().collect()
    }

    /// Takes over floors that were kept elsewhere, where they are higher, and destroys what they doom; answers how many were
    /// higher. They are durable when it returns.
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub fn adopt_floors(&self, floors: &[(Handle, Seq)]) -> Result<usize, Error> {
        let higher = floors.iter().filter(|(subject, floor)| *floor > self.floor(*subject));
        let doomed = higher.map(|(subject, floor)| {
            let keys = self.raise_floor(*subject, *floor);
            Doomed { subject: *subject, floor: *floor, keys }
        });
        let doomed: Vec<Doomed> = doomed.collect();
        self.0.vault.destroy_all(&doomed).map_err(|source| Error::Vault { what: "destroy", source })?;
        Ok(doomed.len())
    }

    /// Takes over keys that were kept elsewhere, those left out that are there already or that are doomed; answers how many
    /// were new. They are durable when it returns.
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub fn adopt(&self, keys: Vec<Minted>) -> Result<usize, Error> {
        let new: Vec<Minted> =
            keys.into_iter().filter(|key| !self.is_held(key.id) && !self.is_doomed(key.owner, key.id)).collect();
        let count = new.len();
        self.keep(new)?;
        Ok(count)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().held.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.0.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From how many bytes on a value is compressed: shorter ones gain little.
const PACKED_FROM: usize = 1_024;
/// What stands before a value: whether it is as it was, or LZ4 behind its length.
const AS_IT_WAS: u8 = 0;
const LZ4: u8 = 1;

fn packed(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(1 + plain.len());
    if plain.len() >= PACKED_FROM {
        packed.push(LZ4);
        packed.extend_from_slice(&lz4_flex::compress_prepend_size(plain));
        if packed.len() < plain.len() {
            return packed;
        }
        packed.clear();
    }
    packed.push(AS_IT_WAS);
    packed.extend_from_slice(plain);
    packed
}

/// What is not as [`packed`] makes it was not made by memos, for all that it was authentic.
fn unpacked(mut packed: Vec<u8>) -> Result<Vec<u8>, Tampered> {
    match packed.first() {
        Some(&AS_IT_WAS) => {
            packed.remove(0);
            Ok(packed)
        }
        Some(&LZ4) => lz4_flex::decompress_size_prepended(&packed[1..]).map_err(|_| Tampered),
        Some(_) | None => Err(Tampered),
    }
}

fn mint(owner: Owner, since: Seq, made: Timestamp) -> Result<Minted, Error> {
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(Error::Random)?;
    let key = Arc::new(Key::random().map_err(Error::Random)?);
    Ok(Minted { owner, id: KeyId::new(since, unique), made, key })
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys, {:?})", self.len(), self.0.vault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(number: u8) -> Handle {
        Handle::from_bytes([number; 16])
    }

    fn keys(ring: &Keyring, wanted: &[(Handle, Seq)]) -> Vec<KeyId> {
        let keys = ring.of_subjects(wanted, Timestamp::EPOCH).expect("keys");
        keys.into_iter().map(|key| key.expect("nothing is forgotten")).collect()
    }

    // law: L09
    #[test]
    fn what_was_sealed_with_a_destroyed_key_is_gone_and_the_rest_is_not() {
        let ring = Keyring::in_memory().expect("a ring");
        let wanted = [(subject(1), Seq::FIRST), (subject(2), Seq::FIRST), (subject(1), Seq::FIRST)];
        let ids = keys(&ring, &wanted);
        assert_eq!(ids[0], ids[2], "one subject has one key");
        let sealed = |id| ring.seal(id, b"row", b"text").expect("it is held");
        let (one, two) = (sealed(ids[0]), sealed(ids[1]));
        let open = |owner, text: &[u8]| ring.open(Owner::Subject(owner), b"row", text).expect("it is whole");
        assert_eq!(open(subject(1), &one), Some(b"text".to_vec()));
        assert_eq!(ring.destroy(subject(1), Seq::new(4)).expect("it is destroyed"), 1);
        assert_eq!(open(subject(1), &one), None);
        assert_eq!(open(subject(2), &two), Some(b"text".to_vec()));
        assert!(matches!(ring.seal(ids[0], b"row", b"text"), Err(Error::Gone { .. })));
        // A former owner that has not heard of it makes one more of the old life.
        ring.learn(mint(Owner::Subject(subject(1)), Seq::new(3), Timestamp::EPOCH).expect("a key"));
        assert!(ring.of_subject(subject(1)).is_empty(), "it is born dead");
        let doomed = ring.of_subjects(&[(subject(1), Seq::new(3))], Timestamp::EPOCH).expect("an answer");
        assert_eq!(doomed, [None], "what it would seal is forgotten");
        let next = keys(&ring, &[(subject(1), Seq::new(4))]);
        assert_eq!(ring.of_subject(subject(1)), next);
    }

    /// Counts how often it is asked.
    #[derive(Debug, Default)]
    struct Counting(Arc<AtomicI64>);

    impl Vault for Counting {
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
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        fn is_fresh(&self, _: Owner) -> bool {
            true
        }
    }

    #[test]
    fn the_vault_is_asked_once_for_a_key_that_is_gone() {
        let vault = Counting::default();
        let asked = Arc::clone(&vault.0);
        let (ring, tenant) = (Keyring::new(Box::new(vault)).expect("a ring"), TenantTag::from_bytes([9; 16]));
        let id = ring.epoch(tenant, Timestamp::EPOCH).expect("a key");
        let key = ring.all().remove(0);
        let sealed = ring.seal(id, b"row", b"text").expect("it is held");
        let open = || ring.open(Owner::Tenant(tenant), b"row", &sealed).expect("it is whole");
        ring.destroy_epochs(&[(tenant, id)]).expect("it is destroyed");
        assert_eq!((open(), open(), open()), (None, None, None));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // What is not known may come all the same, such as by an import.
        ring.learn(key);
        assert_eq!(open(), Some(b"text".to_vec()));
        // The memory is bounded.
        for number in 0..2 * GONE_MAX as u64 {
            let unknown = KeyId::new(Seq::FIRST, number.to_be_bytes());
            assert!(ring.open(Owner::Tenant(tenant), b"row", unknown.as_bytes()).expect("it is gone").is_none());
            assert!(ring.read().gone.len() <= GONE_MAX);
        }
    }

    #[test]
    fn long_values_are_packed_and_come_back() {
        let ring = Keyring::in_memory().expect("a ring");
        let id = keys(&ring, &[(subject(1), Seq::FIRST)])[0];
        let noise: Vec<u8> =
            (0..5_000_u32).flat_map(|number| blake3::hash(&number.to_be_bytes()).as_bytes()[..1].to_vec()).collect();
        for plain in [Vec::new(), vec![7; 1], vec![7; 1_023], vec![7; 1_024], vec![7; 100_000], noise] {
            let sealed = ring.seal(id, b"row", &plain).expect("it is held");
            assert!(sealed.len() <= plain.len() + 45, "{} of {}", sealed.len(), plain.len());
            assert!(plain.len() < 100_000 || sealed.len() < 1_000, "{} of {}", sealed.len(), plain.len());
            let opened = ring.open(Owner::Subject(subject(1)), b"row", &sealed).expect("it is whole");
            assert_eq!(opened, Some(plain));
        }
    }

    #[test]
    fn a_tenant_gets_a_new_key_when_the_old_one_is_old() {
        let ring = Keyring::in_memory().expect("a ring");
        let tenant = TenantTag::from_bytes([9; 16]);
        let at = Timestamp::from_seconds;
        ring.set_epoch_seconds(10);
        let first = ring.epoch(tenant, at(0)).expect("a key");
        assert_eq!(ring.epoch(tenant, at(9)).expect("the same"), first);
        let second = ring.epoch(tenant, at(10)).expect("another");
        assert_ne!(first, second);
        assert_eq!(ring.epoch(tenant, at(11)).expect("the younger"), second);
        ring.destroy_epochs(&[(tenant, first)]).expect("it is destroyed");
        assert_eq!(ring.epochs(), [(tenant, at(10), second)]);
    }
}
