//! The writes and syncs of a key file, all of which pass here, so that a test can end the world at each of them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

#[derive(Debug)]
pub(super) struct Disk(File);

impl Disk {
    pub(super) const fn new(file: File) -> Self {
        Self(file)
    }

    pub(super) const fn file(&self) -> &File {
        &self.0
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    pub(super) fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, at)
    }

    pub(super) fn read_array<const N: usize>(&self, at: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        fault::write(&self.0, at, bytes)?;
        self.0.write_all_at(bytes, at)
    }

    /// Makes what was written durable, a new length included.
    pub(super) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        fault::sync(&self.0)?;
        self.0.sync_data()
    }
}

/// A power cut at the n-th write or sync: of what was not synced, each sector is as it was or as it was to be.
#[cfg(test)]
pub(super) mod fault {
    use std::cell::RefCell;
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;

    /// What becomes of sectors that were not synced.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Cut {
        Lost,
        Written,
        /// Some of each, by this seed.
        Torn(u64),
    }

    struct Plan {
        left: u64,
        cut: Cut,
        unsynced: Vec<(u64, Vec<u8>)>,
        /// How long the file was when it was synced last.
        length: u64,
        file: Option<File>,
        over: bool,
    }

    thread_local! {
        static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
    }

    /// The power is cut at the operation of this number, counted from 0, of this thread.
    pub(crate) fn cut_at(operation: u64, cut: Cut) {
        PLAN.set(Some(Plan { left: operation, cut, unsynced: Vec::new(), length: 0, file: None, over: false }));
    }

    /// Ends the plan; whether the power was cut. Where it was not, it is now: what was not synced is lost.
    pub(crate) fn end() -> bool {
        let Some(mut plan) = PLAN.take() else { return false };
        if let (false, Some(file)) = (plan.over, plan.file.take()) {
            plan.lose(&file).expect("the file can be written");
        }
        plan.over
    }

    pub(super) fn write(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
        PLAN.with_borrow_mut(|plan| {
            let Some(plan) = plan else { return Ok(()) };
            if !plan.over {
                plan.remember(file, at, bytes.len())?;
            }
            if plan.left == 0 && !plan.over {
                file.write_all_at(bytes, at)?;
            }
            plan.count(file)
        })
    }

    pub(super) fn sync(file: &File) -> io::Result<()> {
        PLAN.with_borrow_mut(|plan| {
            let Some(plan) = plan else { return Ok(()) };
            plan.count(file)?;
            plan.unsynced.clear();
            Ok(())
        })
    }

    impl Plan {
        fn count(&mut self, file: &File) -> io::Result<()> {
            if !self.over && self.left > 0 {
                self.left -= 1;
                return Ok(());
            }
            if !self.over {
                self.over = true;
                self.lose(file)?;
            }
            Err(io::Error::other("the power is cut"))
        }

        /// What stands where something is written, sector by sector.
        fn remember(&mut self, file: &File, at: u64, length: usize) -> io::Result<()> {
            if self.unsynced.is_empty() {
                self.length = file.metadata()?.len();
                self.file = Some(file.try_clone()?);
            }
            let end = at + length as u64;
            let mut from = at;
            while from < end {
                let to = (from / 512 * 512 + 512).min(end);
                let mut old = vec![0; usize::try_from(to - from).expect("a sector")];
                // Behind the end there is nothing: zeros, as in a file that has grown.
                let there = file.metadata()?.len().saturating_sub(from).min(to - from);
                file.read_exact_at(&mut old[..usize::try_from(there).expect("a sector")], from)?;
                self.unsynced.push((from, old));
                from = to;
            }
            Ok(())
        }

        fn lose(&mut self, file: &File) -> io::Result<()> {
            if self.unsynced.is_empty() {
                return Ok(());
            }
            let mut seed = 0;
            for (at, old) in self.unsynced.drain(..).rev() {
                let lost = match self.cut {
                    Cut::Lost => true,
                    Cut::Written => false,
                    Cut::Torn(first) => {
                        seed = (seed ^ first).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_add(at);
                        seed.count_ones() % 2 == 0
                    }
                };
                if lost {
                    file.write_all_at(&old, at)?;
                }
            }
            if self.cut == Cut::Lost { file.set_len(self.length) } else { Ok(()) }
        }
    }
}
