//! Secrets of an installation: the hash secret behind every handle, and the random bytes of API keys.
//!
//! The hash secret is made at the first start and never changes: with another one every subject would be a stranger.
//! It lies in a file that only its owner may read, beside the log unless the settings name another place, and
//! `memos log export` takes it along.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use event_log::{EventLog, Limits, Partition, Record, Topic, now};
use memory_core::HashSecret;

/// Where the hash secret of a data directory lies, unless the settings name another place.
pub(crate) fn beside(data: &Path) -> PathBuf {
    data.join("hash.secret")
}

/// Reads the hash secret.
///
/// # Errors
/// When there is none, or the file holds something else.
pub(crate) fn load(path: &Path) -> anyhow::Result<HashSecret> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read the hash secret {}", path.display()))?;
    parse(text.trim()).with_context(|| format!("{} does not hold 64 hexadecimal digits", path.display()))
}

/// Reads the hash secret, or makes one where there is none. The directory must exist.
///
/// # Errors
/// As [`load`], and when the file cannot be written.
pub(crate) fn load_or_create(path: &Path) -> anyhow::Result<HashSecret> {
    match path.try_exists() {
        Ok(true) => load(path),
        Ok(false) => {
            let secret = HashSecret::new(random()?);
            store(path, &secret)?;
            Ok(secret)
        }
        Err(error) => Err(error).with_context(|| format!("look for {}", path.display())),
    }
}

/// Writes the hash secret into a file that is not there yet, durably and readable by its owner only.
///
/// # Errors
/// When there is one already, or the disk refuses.
pub(crate) fn store(path: &Path, secret: &HashSecret) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    anyhow::ensure!(!path.exists(), "{} is there already", path.display());
    // A secret that is half written must never be taken for one: it gets its name when it is complete.
    if let Err(error) = std::fs::remove_file(&new) {
        anyhow::ensure!(error.kind() == ErrorKind::NotFound, "cannot remove {}: {error}", new.display());
    }
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        writeln!(file, "{}", hex(secret.as_bytes()))?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(parent)?.sync_all()
    };
    write().with_context(|| format!("write the hash secret {}", path.display()))
}

/// The key of the record in `receipts` by which services know that they share a secret.
const CHECK_KEY: &[u8] = b"memos/hash-secret";

/// Whether a record is that one.
pub(crate) fn is_check(record: &Record) -> bool {
    record.key == CHECK_KEY
}

/// Makes sure that the log is one of this secret. The first who asks says which it is, with a hash that tells nothing of
/// it; whoever comes with another secret would see strangers in everybody, and is refused.
///
/// # Errors
/// When the log is one of another secret, or cannot be read or written.
pub(crate) fn agree(log: &dyn EventLog, secret: &HashSecret) -> anyhow::Result<()> {
    let check = hex(blake3::keyed_hash(secret.as_bytes(), CHECK_KEY).as_bytes()).into_bytes();
    let found = match first_check(log)? {
        Some(found) => found,
        None => {
            let record =
                Record { key: CHECK_KEY.to_vec(), value: Some(check.clone()), headers: Vec::new(), timestamp: now() };
            log.append(&Topic::Receipts, CHECK_PARTITION, vec![record])?.wait().context("write to `receipts`")?;
            // Of two that write at once the first stands.
            first_check(log)?.context("what was just written to `receipts` is not there")?
        }
    };
    anyhow::ensure!(found == check, "the log is one of another hash secret: copy the file that `memos topics` made");
    Ok(())
}

const CHECK_PARTITION: Partition = Partition::new(0);

fn first_check(log: &dyn EventLog) -> anyhow::Result<Option<Vec<u8>>> {
    let mut at = log.watermarks(&Topic::Receipts, CHECK_PARTITION)?.low;
    loop {
        let batch = log.read(&Topic::Receipts, CHECK_PARTITION, at, Limits::default()).context("read `receipts`")?;
        if let Some(check) = batch.records.into_iter().find(|stored| is_check(&stored.record)) {
            return Ok(check.record.value);
        }
        if batch.next == at {
            return Ok(None);
        }
        at = batch.next;
    }
}

/// Bytes from the random source of the operating system.
///
/// # Errors
/// When there is no such source.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut source = File::open("/dev/urandom").context("open the random source /dev/urandom")?;
    source.read_exact(&mut bytes).context("read the random source /dev/urandom")?;
    Ok(bytes)
}

/// Two hexadecimal digits for every byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a hash secret from its 64 hexadecimal digits.
pub(crate) fn parse(text: &str) -> Option<HashSecret> {
    let digits = text.len() == 2 * HashSecret::BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut bytes = [0; HashSecret::BYTES];
    for (index, byte) in bytes.iter_mut().enumerate().filter(|_| digits) {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    digits.then(|| HashSecret::new(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use event_log::MemLog;

    use super::*;

    #[test]
    fn a_log_is_of_the_secret_that_came_first() {
        let log = MemLog::new(2);
        let (ours, other) = (HashSecret::new([1; 32]), HashSecret::new([2; 32]));
        agree(&log, &ours).expect("the first says which it is");
        agree(&log, &ours).expect("it is the same");
        let text = agree(&log, &other).expect_err("it is another").to_string();
        assert!(text.contains("another hash secret"), "{text}");
    }

    #[test]
    fn a_secret_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = beside(dir.path());
        assert!(load(&path).is_err());
        let made = load_or_create(&path).expect("a secret");
        let found = load_or_create(&path).expect("the secret");
        assert_eq!(made.as_bytes(), found.as_bytes());
        assert_ne!(made.as_bytes(), &[0; 32]);
        let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(store(&path, &made).is_err(), "a secret is never replaced");
    }

    #[test]
    fn a_damaged_secret_is_refused_and_not_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = beside(dir.path());
        std::fs::write(&path, "0011\n").expect("a file");
        let text = format!("{:#}", load_or_create(&path).expect_err("too short"));
        assert!(text.contains("hash.secret") && text.contains("64"), "{text}");
        assert!(parse(&"é".repeat(32)).is_none(), "64 bytes that are not digits");
    }
}
