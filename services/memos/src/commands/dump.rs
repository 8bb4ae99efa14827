//! `memos dump`: everything that is remembered, in an order that is the same after every rebuild.

use std::io::Write;

use anyhow::Context;
use event_log::Partition;
use keyring::Keyring;
use memory_core::Handle;
use memory_core::dump::Dump;
use memory_store::Store;

use crate::cli::DumpArgs;
use crate::embedded::store_dir;
use crate::settings::Settings;
use crate::{kafka_keys, keys, secret, settings};

/// Prints the canonical dump, or only its hash.
pub(crate) fn run(args: &DumpArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let loaded = settings::load(&args.settings)?;
    let (ring, _follower) = if args.kafka {
        let log = kafka_keys::open_log(&loaded.settings)?;
        let (ring, follower) = kafka_keys::follow(&loaded.settings, &log, Partition::all(log.partitions()))?;
        (ring, Some(follower))
    } else {
        (keys::open_read_only(&loaded.settings)?, None)
    };
    let store = open(&loaded.settings, ring)?;
    let mut written = Ok(());
    let dump = of_store(
        &store,
        |_| true,
        |line| {
            if !args.hash && written.is_ok() {
                written = out.write_all(line.as_bytes());
            }
        },
    )?;
    written?;
    if args.hash {
        writeln!(out, "{}", dump.hash())?;
        writeln!(out, "{} subjects, {} memories, {} rows", dump.subjects, dump.memories, dump.rows)?;
    }
    Ok(())
}

/// Opens the store of a data directory as it is now.
pub(crate) fn open(settings: &Settings, ring: Keyring) -> anyhow::Result<Store> {
    let data = &settings.data.dir;
    let dir = store_dir(data);
    anyhow::ensure!(dir.exists(), "{} holds no store: start memos on it once", data.display());
    Store::open_read_only(&dir, secret::load(&settings.hash_secret_file())?, ring).context("open the store")
}

/// The dump of the subjects of a store that are wanted; `line` sees every line.
pub(crate) fn of_store(
    store: &Store,
    wanted: impl Fn(Handle) -> bool,
    mut line: impl FnMut(&str),
) -> anyhow::Result<Dump> {
    let mut dump = Dump::default();
    for subject in store.subjects() {
        let subject = subject?;
        if !wanted(subject) {
            continue;
        }
        dump.subject(subject, store.rows(subject)?.iter(), &mut line);
    }
    Ok(dump)
}
