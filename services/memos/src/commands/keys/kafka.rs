//! The same for the keys of services that share a log: they lie in its topic `keys`, and nobody uses them alone.
//!
//! A service that runs opens what is sealed with the root keys that it was started with. It goes on when a wrapping key that it
//! has is sealed anew with another root; a *new* wrapping key under a root that it does not have would end it. So where
//! both are replaced, the wrapping key comes first, under the root that everybody has.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use event_log::keys::Follower;
use event_log::{EventLog, Partition};
use keyring::{Keyring, Owner, RootSource};

use super::{Rotation, put_new_root, read_file, refuse_inside, remove_old_roots, take_in, write_file};
use crate::settings::Settings;
use crate::{kafka_keys, restored, scan};

/// How long services have to hear of a new wrapping key: twice as long as they use keys without having looked.
pub(super) const SETTLE: Duration = Duration::from_secs(20);

fn open(settings: &Settings, log: &Arc<dyn EventLog>) -> anyhow::Result<(Keyring, Follower)> {
    kafka_keys::open(settings, log, Partition::all(log.partitions()))
}

pub(super) fn rotate(
    settings: &Settings,
    log: &Arc<dyn EventLog>,
    rotation: Rotation,
    settle: Duration,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let (source, place) = (settings.root_source()?, &settings.kafka.bootstrap_servers);
    // Whatever is wrong with the keys shows before anything is changed.
    let (_, follower) = kafka_keys::open(settings, log, [])?;
    if rotation.wrapping {
        writeln!(out, "giving every service {} seconds to hear of a new wrapping key", settle.as_secs())?;
        let epoch = follower.rotate_wrapping(settle).context("replace the wrapping key")?;
        writeln!(out, "the keys at {place} are wrapped with a new wrapping key, of epoch {epoch}")?;
    }
    follower.stop().context("follow the keys")?;
    let roots = put_new_root(&source, out)?;
    let (_, follower) = kafka_keys::open(settings, log, [])?;
    follower.rewrap_root().context("wrap the keys with the new root key")?;
    follower.stop().context("follow the keys")?;
    writeln!(out, "the keys at {place} are wrapped with the root key {}", roots.current().name())?;
    remove_old_roots(settings, &source, &roots, rotation, out)?;
    if let RootSource::File(file) = &source {
        writeln!(
            out,
            "Copy {} to every service: one that runs goes on, but none starts without it. Restart them before the next \
             rotation.",
            file.display()
        )?;
    }
    Ok(())
}

pub(super) fn export(
    settings: &Settings,
    log: &Arc<dyn EventLog>,
    file: &Path,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    refuse_inside(settings, file)?;
    let (ring, _follower) = open(settings, log)?;
    write_file(&ring, settings.root_source()?.load()?.current(), file, out)
}

pub(super) fn import(
    settings: &Settings,
    log: &Arc<dyn EventLog>,
    file: &Path,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let found = read_file(settings, file)?;
    let (ring, _follower) = open(settings, log)?;
    take_in(found, &ring, &format!("the log at {}", settings.kafka.bootstrap_servers), out)?;
    if scan::first_with_records(&**log)?.is_none() {
        // Keys may come before the records; whoever brings those asks again.
        return Ok(());
    }
    restored::forget_again_aloud(&**log, &ring, out)
}

pub(super) fn list(settings: &Settings, log: &Arc<dyn EventLog>, out: &mut impl Write) -> anyhow::Result<()> {
    let (ring, follower) = open(settings, log)?;
    let owners: Vec<Owner> = ring.all().into_iter().map(|key| key.owner).collect();
    let (subjects, tenants): (Vec<Owner>, Vec<Owner>) =
        owners.into_iter().partition(|owner| matches!(owner, Owner::Subject(_)));
    let distinct = |owners: &[Owner]| owners.iter().collect::<BTreeSet<_>>().len();
    writeln!(out, "keys of the log  {} at {}", log.id(), settings.kafka.bootstrap_servers)?;
    writeln!(out, "keys of subjects {} (of {} subjects)", subjects.len(), distinct(&subjects))?;
    writeln!(out, "keys of tenants  {} (of {} tenants)", tenants.len(), distinct(&tenants))?;
    writeln!(out, "forgotten        something of {} subjects", ring.floors().len())?;
    for (epoch, root) in follower.wrapping_epochs() {
        writeln!(out, "wrapping epoch   {epoch}: sealed with the root key {root}")?;
    }
    Ok(())
}
