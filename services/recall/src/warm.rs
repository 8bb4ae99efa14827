//! Banks that questions asked for, within a budget of bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use memory_core::{Bank, Handle, Seq, Step};

#[derive(Debug)]
pub(crate) struct Warm {
    budget: usize,
    bytes: usize,
    clock: u64,
    banks: HashMap<Handle, Entry>,
    by_use: BTreeMap<u64, Handle>,
}

#[derive(Debug)]
struct Entry {
    bank: Arc<Bank>,
    /// Below which keys of the subject were dead when it was read.
    floor: Seq,
    used: u64,
    weight: usize,
}

impl Warm {
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, bytes: 0, clock: 0, banks: HashMap::new(), by_use: BTreeMap::new() }
    }

    /// The bank, unless keys have died since that what is in it was sealed with: then nobody could read it any more.
    pub(crate) fn get(&mut self, subject: Handle, floor: Seq) -> Option<Arc<Bank>> {
        if self.banks.get(&subject).is_some_and(|entry| entry.floor != floor) {
            self.remove(subject);
        }
        let entry = self.banks.get_mut(&subject)?;
        self.by_use.remove(&entry.used);
        self.clock += 1;
        entry.used = self.clock;
        self.by_use.insert(self.clock, subject);
        Some(Arc::clone(&entry.bank))
    }

    pub(crate) fn insert(&mut self, subject: Handle, floor: Seq, bank: Arc<Bank>) {
        self.remove(subject);
        self.clock += 1;
        let weight = bank.weight();
        self.bytes += weight;
        self.banks.insert(subject, Entry { bank, floor, used: self.clock, weight });
        self.by_use.insert(self.clock, subject);
        self.shrink();
    }

    /// Takes a step over into a warm bank. A question that is ranking right now keeps the bank it has.
    pub(crate) fn apply(&mut self, step: &Step) {
        let Some(entry) = self.banks.get_mut(&step.subject) else { return };
        if step.number > entry.bank.next_step() || Bank::is_replaced_by(step) {
            self.remove(step.subject);
            return;
        }
        let bank = Arc::make_mut(&mut entry.bank);
        bank.apply(step);
        self.bytes -= entry.weight;
        entry.weight = bank.weight();
        self.bytes += entry.weight;
        self.shrink();
    }

    fn remove(&mut self, subject: Handle) {
        if let Some(entry) = self.banks.remove(&subject) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.weight;
        }
    }

    fn shrink(&mut self) {
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
