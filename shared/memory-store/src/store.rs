//! Opening RocksDB: its column families and their few settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use keyring::Keyring;
use memory_core::HashSecret;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, IteratorMode, Options,
    PrefixRange, ReadOptions, WriteBufferManager,
};

use crate::Error;
use crate::keys::KeyKind;

#[cfg(test)]
mod tests;

/// The format of the whole directory. Another one is refused.
const FORMAT: u32 = 2;
const FORMAT_KEY: &[u8] = b"format";

/// Rows that a question or a decision reads: memories, subjects, indexes.
const CF_BANK: &str = "bank";
/// Rows that only an audit, a history or a re-fold reads: sources, revisions, windows, fates.
const CF_ARCHIVE: &str = "archive";
/// Positions and step numbers.
const CF_META: &str = "meta";
/// Working memory: boundaries and spilled subjects.
const CF_WORKING: &str = "working";
/// How often a reader tries to find the directory of a writer standing still.
const READ_ONLY_TRIES: u32 = 100;
const FAMILIES: [&str; 4] = [CF_BANK, CF_ARCHIVE, CF_META, CF_WORKING];

/// How much memory a store may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of block cache, shared by all column families.
    pub cache_bytes: usize,
    /// Bytes of rows that wait in RAM to be written to files, for all column families together.
    pub write_buffer_bytes: usize,
}

impl Default for Settings {
    /// 12 MiB of cache and 16 MiB of write buffers: banks are cached above the store, and small machines are the rule.
    fn default() -> Self {
        Self { cache_bytes: 12 << 20, write_buffer_bytes: 16 << 20 }
    }
}

/// A key and its value, as RocksDB gives them.
pub(crate) type KeyAndValue = (Box<[u8]>, Box<[u8]>);

/// Long-term memory on disk.
pub struct Store {
    pub(crate) db: DB,
    pub(crate) dir: PathBuf,
    pub(crate) secret: HashSecret,
    pub(crate) ring: Keyring,
}

impl Store {
    /// Opens the store in `dir`, and makes it if there is none.
    ///
    /// # Errors
    /// [`Error::Open`] when another process has it, [`Error::Format`] when another version of memos wrote it.
    pub fn open(dir: &Path, secret: HashSecret, ring: Keyring, settings: &Settings) -> Result<Self, Error> {
        let mut options = options(settings);
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let cache = Cache::new_lru_cache(settings.cache_bytes);
        let families = FAMILIES.map(|name| ColumnFamilyDescriptor::new(name, family_options(settings, &cache)));
        let db = DB::open_cf_descriptors(&options, dir, families)
            .map_err(|source| Error::Open { dir: dir.to_owned(), source })?;
        let store = Self { db, dir: dir.to_owned(), secret, ring };
        store.check_format(true)?;
        Ok(store)
    }

    /// Opens the store as it is now, beside a process that may be writing it. Later writes are not seen.
    ///
    /// # Errors
    /// As [`Store::open`]; [`Error::Busy`] when the writer never paused for as long as it takes to open.
    pub fn open_read_only(dir: &Path, secret: HashSecret, ring: Keyring) -> Result<Self, Error> {
        let mut options = options(&Settings::default());
        // Files are held open from the beginning, so the writer may remove them from the directory afterwards.
        options.set_max_open_files(-1);
        for _ in 0..READ_ONLY_TRIES {
            // RocksDB reads its manifest, then the files it names, then its log. A writer that flushes in between takes
            // files away, and what was opened then may lack batches: only a directory that stood still counts.
            let before = standing(dir);
            let opened = DB::open_cf_for_read_only(&options, dir, FAMILIES, false);
            if standing(dir) != before {
                continue;
            }
            let db = opened.map_err(|source| Error::Open { dir: dir.to_owned(), source })?;
            let store = Self { db, dir: dir.to_owned(), secret, ring };
            store.check_format(false)?;
            return Ok(store);
        }
        Err(Error::Busy { dir: dir.to_owned() })
    }

    fn check_format(&self, writable: bool) -> Result<(), Error> {
        let meta = self.family(KeyKind::Position);
        let found = self.db.get_cf(meta, FORMAT_KEY).map_err(|source| Error::Io { what: "read", source })?;
        match found {
            Some(bytes) if bytes == FORMAT.to_string().as_bytes() => Ok(()),
            None if writable => self
                .db
                .put_cf(meta, FORMAT_KEY, FORMAT.to_string())
                .map_err(|source| Error::Io { what: "write the format of", source }),
            found => {
                let found =
                    found.map_or_else(|| "none".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
                Err(Error::Format { dir: self.dir.clone(), found, known: FORMAT })
            }
        }
    }

    /// The keys that its rows are sealed with.
    #[must_use]
    pub const fn ring(&self) -> &Keyring {
        &self.ring
    }

    pub(crate) fn family(&self, kind: KeyKind) -> &ColumnFamily {
        let name = match kind {
            KeyKind::Subject | KeyKind::Memory | KeyKind::MemoryIndex | KeyKind::EventIndex => CF_BANK,
            KeyKind::Revision
            | KeyKind::Source
            | KeyKind::Window
            | KeyKind::Rules
            | KeyKind::Fate
            | KeyKind::SnapshotPart => CF_ARCHIVE,
            KeyKind::NextStep
            | KeyKind::StepWriter
            | KeyKind::Loser
            | KeyKind::LostWriter
            | KeyKind::Unconnected
            | KeyKind::Position
            | KeyKind::Anchor
            | KeyKind::Receipt
            | KeyKind::Pending => CF_META,
            KeyKind::Boundary | KeyKind::Spill | KeyKind::OpenFrom | KeyKind::Overwritten => CF_WORKING,
        };
        self.db.cf_handle(name).expect("every column family was opened")
    }

    /// The rows whose keys begin with `prefix`, and only those.
    pub(crate) fn scan(
        &self,
        kind: KeyKind,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<KeyAndValue, Error>> + use<'_> {
        let rows = self.db.iterator_cf_opt(self.family(kind), range(prefix), IteratorMode::Start);
        rows.map(|row| row.map_err(|source| Error::Io { what: "scan", source }))
    }

    pub(crate) fn get(&self, kind: KeyKind, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.db.get_cf(self.family(kind), key).map_err(|source| Error::Io { what: "read", source })
    }

    /// Writes what waits in RAM to files, so that the next start is quick.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn flush(&self) -> Result<(), Error> {
        for family in FAMILIES {
            let family = self.db.cf_handle(family).expect("every column family was opened");
            self.db.flush_cf(family).map_err(|source| Error::Io { what: "flush", source })?;
        }
        Ok(())
    }

    /// Bytes that the store takes on disk, roughly.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        let of = |name: &str| {
            let family = self.db.cf_handle(name).expect("every column family was opened");
            self.db.property_int_value_cf(family, "rocksdb.total-sst-files-size").ok().flatten().unwrap_or(0)
        };
        FAMILIES.iter().map(|name| of(name)).sum()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.dir.display())
    }
}

/// The files that RocksDB keeps its data in, and the lengths of those that say which files count.
fn standing(dir: &Path) -> BTreeMap<OsString, u64> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let manifest = text.starts_with("MANIFEST") || text == "CURRENT";
        let data = text.ends_with(".sst") || text.ends_with(".log");
        // Data files grow and stay the same files.
        let length = if manifest { entry.metadata().map_or(0, |about| about.len()) } else { 0 };
        (manifest || data).then_some((name, length))
    });
    named.collect()
}

/// Bounds an iterator to the keys that begin with `prefix`.
pub(crate) fn range(prefix: &[u8]) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_range(PrefixRange(prefix.to_vec()));
    options
}

fn options(settings: &Settings) -> Options {
    let mut options = Options::default();
    // Not charged to the block cache: the write buffers are the larger part, and would push every block out of it.
    options.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager(settings.write_buffer_bytes, true));
    options.set_max_open_files(256);
    options.set_max_background_jobs(2);
    options.set_max_total_wal_size(64 << 20);
    options.set_bytes_per_sync(1 << 20);
    options.set_wal_bytes_per_sync(512 << 10);
    options.set_keep_log_file_num(2);
    options
}

fn family_options(settings: &Settings, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_block_size(16 << 10);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(settings.write_buffer_bytes / 3);
    options.set_compression_type(DBCompressionType::Lz4);
    // The same everywhere: a cold bank is read from the lowest level, and there Zstd took a tenth of the consolidator's time.
    options.set_bottommost_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options
}
