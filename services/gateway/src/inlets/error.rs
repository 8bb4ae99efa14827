//! Why an inlet is not read on.

use event_log::{Error, ErrorKind};

use crate::sealing::Unsealed;

/// Why a round came to nothing. Nothing was passed.
#[derive(Debug, thiserror::Error)]
pub enum InletError {
    #[error(transparent)]
    Log(#[from] Error),
    /// What is known of the keys is too old: one of them may have been destroyed.
    #[error("the keys were not read lately, so nothing is sealed")]
    StaleKeys,
    #[error("a key cannot be made or used")]
    Keys(#[source] keyring::Error),
}

impl InletError {
    /// Whether the same may be tried again after a pause.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Log(error) => passes(error),
            // The key was destroyed between being looked up and being used; there is another one next time.
            Self::StaleKeys | Self::Keys(keyring::Error::Gone { .. }) => true,
            Self::Keys(keyring::Error::Tampered(_) | keyring::Error::Vault { .. } | keyring::Error::Random(_)) => false,
        }
    }
}

impl From<Unsealed> for InletError {
    fn from(unsealed: Unsealed) -> Self {
        match unsealed {
            Unsealed::Stale => Self::StaleKeys,
            Unsealed::Keyring(error) => Self::Keys(error),
        }
    }
}

impl From<keyring::Error> for InletError {
    fn from(error: keyring::Error) -> Self {
        Self::Keys(error)
    }
}

fn passes(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Retry | ErrorKind::Full => true,
        ErrorKind::Poison | ErrorKind::Fenced | ErrorKind::Invalid | ErrorKind::Corrupt | ErrorKind::Bug => false,
    }
}
