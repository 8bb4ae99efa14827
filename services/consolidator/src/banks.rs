//! The banks that were used last, within a budget of bytes.

use std::collections::{BTreeMap, HashMap};

use memory_core::{Bank, Handle};
use memory_store::{Error, Store};

#[derive(Debug)]
pub(crate) struct Banks {
    budget: usize,
    bytes: usize,
    clock: u64,
    banks: HashMap<Handle, Entry>,
    /// From when a bank was used last to whose it is.
    by_use: BTreeMap<u64, Handle>,
}

#[derive(Debug)]
struct Entry {
    bank: Bank,
    used: u64,
    weight: usize,
}

impl Banks {
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, bytes: 0, clock: 0, banks: HashMap::new(), by_use: BTreeMap::new() }
    }

    /// The bank of a subject, from RAM or from the store.
    pub(crate) fn get(&mut self, store: &Store, subject: Handle) -> Result<&mut Bank, Error> {
        self.clock += 1;
        if let Some(entry) = self.banks.get_mut(&subject) {
            self.by_use.remove(&entry.used);
            entry.used = self.clock;
        } else {
            let bank = store.bank(subject)?;
            let weight = bank.weight();
            self.bytes += weight;
            self.banks.insert(subject, Entry { bank, used: self.clock, weight });
        }
        self.by_use.insert(self.clock, subject);
        Ok(&mut self.banks.get_mut(&subject).expect("it is there or was just put there").bank)
    }

    /// Forgets all of them: what they were told may not be what the log says.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.budget);
    }

    /// Forgets the banks of these subjects.
    pub(crate) fn forget(&mut self, of: impl Fn(Handle) -> bool) {
        let Self { banks, by_use, bytes, .. } = self;
        banks.retain(|subject, entry| {
            let stays = !of(*subject);
            if !stays {
                by_use.remove(&entry.used);
                *bytes = bytes.saturating_sub(entry.weight);
            }
            stays
        });
    }

    /// Drops the banks that were not used for longest until the rest fits the budget. Between batches only.
    pub(crate) fn shrink(&mut self) {
        self.bytes = 0;
        for entry in self.banks.values_mut() {
            entry.weight = entry.bank.weight();
            self.bytes += entry.weight;
        }
        while self.bytes > self.budget {
            let Some((_, subject)) = self.by_use.pop_first() else { return };
            if let Some(entry) = self.banks.remove(&subject) {
                self.bytes -= entry.weight;
            }
        }
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}
