//! What can go wrong with a key file.

use std::io;
use std::path::PathBuf;

use crate::{RootError, RootName};

/// What can go wrong with a key file. Every message says which file it is.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{what} the key file {}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("there is no key file {}", path.display())]
    Missing { path: PathBuf },
    #[error("{} is there already, and a key file is never replaced", path.display())]
    Exists { path: PathBuf },
    #[error("another process uses the key file {}: stop it first", path.display())]
    Locked { path: PathBuf },
    #[error("{} is not a key file, or its beginning is damaged", path.display())]
    Other { path: PathBuf },
    #[error("the key file {} has format {format}, which only a later release reads", path.display())]
    Format { path: PathBuf, format: u32 },
    #[error("the key file {} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error(
        "the key file {} is of another root key: it needs {}, and there is {}; put that root key back, or below the current one",
        path.display(), names(needed), names(given)
    )]
    WrongRoot { path: PathBuf, needed: Vec<RootName>, given: Vec<RootName> },
    #[error("the key file {} was opened only to read it", path.display())]
    ReadOnly { path: PathBuf },
    #[error("the key file {} could not be written before, so nothing is written any more", path.display())]
    Failed { path: PathBuf },
    #[error("read the root key")]
    Root(#[source] RootError),
    #[error("read the random source of the operating system")]
    Random(#[source] getrandom::Error),
}

fn names(roots: &[RootName]) -> String {
    roots.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
