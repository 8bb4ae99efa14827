//! What must be true of the stored data whatever happened. `memos verify` checks them, folds stop on them, and
//! an error names the one that broke.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// INV-01: the windows of a subject follow one another without a gap.
    WindowsAreContiguous,
    /// INV-02: the steps of a subject are numbered without a gap.
    StepsAreContiguous,
    /// INV-03: every memory names at least one source, and every source it names is kept.
    SourcesExist,
    /// INV-04: a store is never ahead of the log it was folded from.
    StoreBehindLog,
}

impl Invariant {
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::WindowsAreContiguous => "INV-01",
            Self::StepsAreContiguous => "INV-02",
            Self::SourcesExist => "INV-03",
            Self::StoreBehindLog => "INV-04",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
