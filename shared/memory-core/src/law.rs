//! The laws of memos, each with the id by which code, tests and alerts name it. A test that proves one carries
//! `// law: Lxx` above it: `grep -rn "law: L05"` finds every proof.

use std::fmt;

/// One of the twelve laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// L01: a 2xx follows the fsync.
    AcknowledgedMeansDurable,
    /// L02: decide, append, apply; rows, marks and positions in one batch; a store resumes from its own positions.
    DecideAppendApply,
    /// L03: ids derive from event ids; repeats are harmless.
    IdsDeriveFromEvents,
    /// L04: the core is pure; folds compare integers and read no settings.
    PureCore,
    /// L05: one writer per subject; the log decides between two.
    OneWriter,
    /// L06: rebuild equals live.
    RebuildEqualsLive,
    /// L07: nothing without provenance; what memos supplied is never learnt.
    Provenance,
    /// L08: tenancy is a type; somebody else's id answers as a missing one.
    Tenancy,
    /// L09: forgetting is complete and final.
    Forgetting,
    /// L10: everything is bounded; full means back-pressure.
    Bounded,
    /// L11: one bad event stops nobody.
    DeadLetters,
    /// L12: errors stop the process, not the truth.
    FailStop,
}

impl Law {
    pub const ALL: [Self; 12] = [
        Self::AcknowledgedMeansDurable,
        Self::DecideAppendApply,
        Self::IdsDeriveFromEvents,
        Self::PureCore,
        Self::OneWriter,
        Self::RebuildEqualsLive,
        Self::Provenance,
        Self::Tenancy,
        Self::Forgetting,
        Self::Bounded,
        Self::DeadLetters,
        Self::FailStop,
    ];

    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::AcknowledgedMeansDurable => "L01",
            Self::DecideAppendApply => "L02",
            Self::IdsDeriveFromEvents => "L03",
            Self::PureCore => "L04",
            Self::OneWriter => "L05",
            Self::RebuildEqualsLive => "L06",
            Self::Provenance => "L07",
            Self::Tenancy => "L08",
            Self::Forgetting => "L09",
            Self::Bounded => "L10",
            Self::DeadLetters => "L11",
            Self::FailStop => "L12",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
