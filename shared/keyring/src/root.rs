//! Where the root key comes from: a file, the environment, or a command that prints it (such as the client of a key
//! service).
//!
//! The text holds one key per line, 64 hexadecimal digits each; lines that begin with `#` are comments. The first key is
//! the current one: whatever is written anew is sealed with it. Those below are older and only open what has not been
//! resealed yet, so that a root can be replaced without a moment in which something does not open.
//!
//! A root that lies where others can read it, or beside the data that it protects, protects nothing: both are refused.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use zeroize::Zeroizing;

use crate::{Key, RootKey};

/// More than any list of roots has. A buffer of this size never grows, and so leaves no copies behind.
const TEXT_MAX: usize = 64 << 10;

/// Why there is no root key. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("there is no root key {}: `memos keys init` makes one; where there was one, put its copy back", path.display())]
    Missing { path: PathBuf },
    #[error("the environment has no {name}: set it to the root key, 64 hexadecimal digits")]
    Unset { name: String },
    #[error("read the root key from {from}")]
    Read {
        from: String,
        #[source]
        source: io::Error,
    },
    #[error("the root key {} can be read by others (mode {mode:o}): change that with `chmod 600`", path.display())]
    Readable { path: PathBuf, mode: u32 },
    #[error("the command for the root key, {command}, ended with {status}")]
    Failed { command: String, status: ExitStatus },
    #[error(
        "line {line} from {from} is no root key: write 64 hexadecimal digits, such as `openssl rand -hex 32` prints"
    )]
    Malformed { from: String, line: usize },
    #[error("line {line} from {from} is all zeros, which is no key: make one with `openssl rand -hex 32`")]
    Zero { line: usize, from: String },
    #[error("there is no root key in what came from {from}: write one, 64 hexadecimal digits on a line")]
    Empty { from: String },
    #[error(
        "the root key {} lies in the data directory {}, whose every copy would bring its key along: move it elsewhere and \
         name it in `keys.root_file`",
        path.display(), dir.display()
    )]
    Inside { path: PathBuf, dir: PathBuf },
    #[error("{} is there already, and a root key is never replaced: `memos keys rotate` makes a new one", path.display())]
    Exists { path: PathBuf },
    #[error("write the root key {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("read the random source of the operating system")]
    Random(#[source] getrandom::Error),
}

/// Where the root key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootSource {
    /// A file that only its owner may read.
    File(PathBuf),
    /// The variable of the environment with this name.
    Env(String),
    /// The command with its arguments, which prints it. No shell is asked.
    Command(Vec<String>),
}

/// Root keys: at least one.
#[derive(Debug)]
pub struct Roots {
    current: RootKey,
    older: Vec<RootKey>,
}

impl Roots {
    /// The current root, and older ones that still open.
    #[must_use]
    pub const fn new(current: RootKey, older: Vec<RootKey>) -> Self {
        Self { current, older }
    }

    /// The one to seal with.
    #[must_use]
    pub const fn current(&self) -> &RootKey {
        &self.current
    }

    /// Those that are on their way out.
    #[must_use]
    pub fn older(&self) -> &[RootKey] {
        &self.older
    }

    /// All, the current one first.
    pub fn iter(&self) -> impl Iterator<Item = &RootKey> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// The one with this fingerprint.
    #[must_use]
    pub fn find(&self, id: [u8; 8]) -> Option<&RootKey> {
        self.iter().find(|root| root.id() == id)
    }
}

impl fmt::Display for RootSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "the variable {name}"),
            // Its arguments may be secret.
            Self::Command(command) => write!(f, "the command {}", command.first().map_or("", String::as_str)),
        }
    }
}

impl RootSource {
    /// Reads the root keys.
    ///
    /// # Errors
    /// When there is none, or one that protects nothing.
    pub fn load(&self) -> Result<Roots, RootError> {
        let text = match self {
            Self::File(path) => read_file(path)?,
            Self::Env(name) => read_env(name)?,
            Self::Command(command) => self.run(command)?,
        };
        parse(&text, &self.to_string())
    }

    /// Refuses a file in the data directory. Neither has to exist.
    ///
    /// # Errors
    /// [`RootError::Inside`], and when the places cannot be looked up.
    pub fn check_outside(&self, data_dir: &Path) -> Result<(), RootError> {
        let Self::File(path) = self else { return Ok(()) };
        let inside = is_inside(path, data_dir).map_err(|source| RootError::Read { from: self.to_string(), source })?;
        if inside { Err(RootError::Inside { path: path.clone(), dir: data_dir.to_owned() }) } else { Ok(()) }
    }

    fn run(&self, command: &[String]) -> Result<Zeroizing<Vec<u8>>, RootError> {
        let from = |source| RootError::Read { from: self.to_string(), source };
        let Some((program, arguments)) = command.split_first() else {
            return Err(from(io::Error::new(ErrorKind::InvalidInput, "the command is empty")));
        };
        let mut command = Command::new(program);
        let mut child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(from)?;
        let read = child.stdout.take().map_or_else(|| Ok(Zeroizing::default()), read_all);
        let status = child.wait().map_err(from)?;
        if !status.success() {
            return Err(RootError::Failed { command: program.clone(), status });
        }
        read.map_err(from)
    }
}

/// Whether a path lies in a directory, links followed. Neither has to exist.
///
/// # Errors
/// When a part of the paths cannot be looked up.
pub fn is_inside(path: &Path, dir: &Path) -> io::Result<bool> {
    Ok(settle(path)?.starts_with(settle(dir)?))
}

/// The path without links, as far as it exists.
fn settle(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for parent in path.ancestors() {
        match parent.canonicalize() {
            Ok(real) => {
                let rest = path.strip_prefix(parent).expect("an ancestor is a prefix");
                // `join` with nothing would leave a slash at the end.
                return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, RootError> {
    let from = |source| RootError::Read { from: path.display().to_string(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(RootError::Missing { path: path.to_owned() }),
        Err(error) => return Err(from(error)),
    };
    let mode = file.metadata().map_err(from)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(RootError::Readable { path: path.to_owned(), mode });
    }
    read_all(file).map_err(from)
}

fn read_env(name: &str) -> Result<Zeroizing<Vec<u8>>, RootError> {
    let text = std::env::var_os(name).ok_or_else(|| RootError::Unset { name: name.to_owned() })?;
    Ok(Zeroizing::new(text.into_encoded_bytes()))
}

fn read_all(mut from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(vec![0; TEXT_MAX]);
    let mut filled = 0;
    loop {
        if filled == text.len() {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "it is too long for root keys"));
        }
        match from.read(&mut text[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    text.truncate(filled);
    Ok(text)
}

fn parse(text: &[u8], from: &str) -> Result<Roots, RootError> {
    let mut keys = Vec::new();
    for (line, digits) in text.split(|byte| *byte == b'\n').enumerate() {
        let (digits, line) = (digits.trim_ascii(), line + 1);
        if digits.is_empty() || digits.starts_with(b"#") {
            continue;
        }
        let malformed = || RootError::Malformed { from: from.to_owned(), line };
        let key = from_hex(digits).ok_or_else(malformed)?;
        if key.as_bytes().iter().all(|byte| *byte == 0) {
            return Err(RootError::Zero { line, from: from.to_owned() });
        }
        keys.push(RootKey::new(key));
    }
    let mut keys = keys.into_iter();
    let current = keys.next().ok_or_else(|| RootError::Empty { from: from.to_owned() })?;
    Ok(Roots::new(current, keys.collect()))
}

fn from_hex(digits: &[u8]) -> Option<Key> {
    let mut bytes = Zeroizing::new([0; Key::BYTES]);
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(0)? << 4 | digit(1)?;
    }
    Key::from_slice(&*bytes)
}

/// Makes a new root key in a file that is not there yet, durably and readable by its owner only.
///
/// # Errors
/// [`RootError::Exists`]; when the disk refuses.
pub fn init(path: &Path) -> Result<RootKey, RootError> {
    let failed = |source| RootError::Write { path: path.to_owned(), source };
    let root = RootKey::random().map_err(RootError::Random)?;
    let parent = parent(path);
    DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
    let new = write_beside(path, &[&root]).map_err(failed)?;
    // A link, unlike a rename, never takes the place of another file.
    let linked = std::fs::hard_link(&new, path);
    std::fs::remove_file(&new).map_err(failed)?;
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(RootError::Exists { path: path.to_owned() });
        }
        Err(error) => return Err(failed(error)),
    }
    sync_dir(parent).map_err(failed)?;
    Ok(root)
}

/// Puts these root keys, the current one first, in the place of those that the file holds. A crash leaves either those or
/// these. What the old file held is overwritten.
///
/// # Errors
/// When the disk refuses.
pub fn replace(path: &Path, roots: &[&RootKey]) -> Result<(), RootError> {
    let write = || -> io::Result<()> {
        let old = OpenOptions::new().write(true).open(path)?;
        let new = write_beside(path, roots)?;
        std::fs::rename(&new, path)?;
        sync_dir(parent(path))?;
        let length = usize::try_from(old.metadata()?.len()).unwrap_or(TEXT_MAX).min(TEXT_MAX);
        old.write_all_at(&vec![0; length], 0)?;
        old.sync_all()
    };
    write().map_err(|source| RootError::Write { path: path.to_owned(), source })
}

fn write_beside(path: &Path, roots: &[&RootKey]) -> io::Result<PathBuf> {
    let mut text = Zeroizing::new(String::with_capacity(TEXT_MAX));
    text.push_str(
        "# The root key of memos. Without it nothing that memos keeps can be read: keep a copy in a safe place.\n",
    );
    for root in roots {
        for byte in root.key().as_bytes() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).expect("4 bits are a digit"));
            }
        }
        text.push('\n');
    }
    let mut name = path.as_os_str().to_owned();
    // Two processes may find at the same time that there is none.
    name.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(name);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(new)
}

pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
