use std::sync::Arc;

use event_log::{EventLog, MemLog, Partition, Record, Topic, now};
use keyring::Keyring;
use memory_core::subject::TenantTag;
use memory_core::{Handle, Seq};

use super::*;

fn settings(dir: &Path, data: &str) -> Settings {
    let mut settings = Settings::default();
    settings.data.dir = dir.join(data);
    settings.keys.root_file = dir.join("root.key");
    settings
}

fn mint(ring: &Keyring, count: u8) {
    let wanted: Vec<_> = (0..count).map(|number| (Handle::from_bytes([number; 16]), Seq::new(1))).collect();
    ring.of_subjects(&wanted, now()).expect("keys");
}

fn printed(what: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>) -> String {
    let mut out = Vec::new();
    what(&mut out).expect("it works");
    String::from_utf8(out).expect("text")
}

fn roots(settings: &Settings) -> Vec<RootName> {
    settings.root_source().expect("a source").load().expect("roots").iter().map(RootKey::name).collect()
}

#[test]
fn a_root_is_made_where_it_is_wanted_and_never_in_the_data() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path(), "data");
    let text = printed(|out| init(&settings, None, out));
    assert!(text.contains(&roots(&settings)[0].to_string()) && text.contains("root.key"), "{text}");
    assert!(init(&settings, None, &mut Vec::new()).is_err(), "it is there");
    assert!(init(&settings, Some(settings.data.dir.join("x")), &mut Vec::new()).is_err(), "it is inside");
    let mut other = settings;
    other.keys.root_file = PathBuf::new();
    other.keys.root_env = "ROOT".to_owned();
    let text = init(&other, None, &mut Vec::new()).expect_err("no file").to_string();
    assert!(text.contains("openssl rand -hex 32"), "{text}");
}

#[test]
fn a_root_is_replaced_also_after_an_interruption() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path(), "data");
    mint(&keys::open_file(&settings).expect("keys").0, 5);
    let first = roots(&settings);
    printed(|out| rotate(&settings, Rotation::default(), TAKE_OVER, out));
    let second = roots(&settings);
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
    // A run that ended after the first step: its new root is used, no third one is made.
    let next = RootKey::random().expect("a root");
    let old = settings.root_source().expect("a source").load().expect("roots");
    root::replace(&settings.keys.root_file, &[&next, old.current()]).expect("it is written");
    let text = printed(|out| rotate(&settings, Rotation::default(), TAKE_OVER, out));
    assert!(!text.contains("made") && roots(&settings) == [next.name()], "{text}");
    assert_eq!(keys::open_file(&settings).expect("keys").0.len(), 5);
    let text = printed(|out| list(&settings.key_file().expect("a place"), out));
    assert!(text.contains(&next.name().to_string()) && text.contains("5 (of 5 subjects)"), "{text}");
}

#[test]
fn a_process_that_runs_takes_over_a_new_root() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path(), "data");
    let (ring, file) = keys::open_file(&settings).expect("keys");
    mint(&ring, 3);
    let impatient =
        rotate(&settings, Rotation::default(), Duration::ZERO, &mut Vec::new()).expect_err("nobody took it");
    assert!(impatient.to_string().contains("run this again"), "{impatient:#}");
    assert_eq!(roots(&settings).len(), 2, "both roots are there");
    std::thread::scope(|scope| {
        let rotating = scope.spawn(|| printed(|out| rotate(&settings, Rotation::default(), TAKE_OVER, out)));
        while !rotating.is_finished() {
            file.maintain(now()).expect("it looks");
            std::thread::yield_now();
        }
        rotating.join().expect("it worked");
    });
    assert_eq!(roots(&settings).len(), 1);
    drop((ring, file));
    assert_eq!(keys::open_file(&settings).expect("keys").0.len(), 3);
}

#[test]
fn keys_move_from_one_data_directory_to_another() {
    let dir = tempfile::tempdir().expect("a directory");
    let (from, to) = (settings(dir.path(), "from"), settings(dir.path(), "to"));
    let (ring, file) = keys::open_file(&from).expect("keys");
    mint(&ring, 4);
    let moved = dir.path().join("keys.jsonl");
    let text = printed(|out| export(&from, &moved, out));
    assert!(text.contains("exported 4 keys"), "{text}");
    drop((ring, file));
    let text = printed(|out| import(&to, &moved, out));
    assert!(text.contains("imported 4 of 4"), "{text}");
    let text = printed(|out| import(&to, &moved, out));
    assert!(text.contains("imported 0 of 4"), "{text}");
    assert!(export(&from, &from.data.dir.join("keys.jsonl"), &mut Vec::new()).is_err(), "it is inside");
    let ids = |settings: &Settings| {
        let mut ids: Vec<_> = keys::open_read_only(settings).expect("keys").all().iter().map(|key| key.id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(&from), ids(&to));
}

#[test]
fn a_wrapping_key_is_replaced_where_nobody_else_uses_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path(), "data");
    let opened = keys::open_file(&settings).expect("keys");
    mint(&opened.0, 3);
    let rotation = Rotation { wrapping: true, ..Rotation::default() };
    let first = roots(&settings);
    let text = rotate(&settings, rotation, TAKE_OVER, &mut Vec::new()).expect_err("memos runs").to_string();
    assert!(text.contains("by itself") && roots(&settings) == first, "nothing was changed: {text}");
    drop(opened);
    printed(|out| rotate(&settings, rotation, TAKE_OVER, out));
    let text = printed(|out| list(&settings.key_file().expect("a place"), out));
    assert!(text.contains("2: 3 keys") && roots(&settings) != first, "{text}");
}

fn on_kafka(settings: &Settings) -> Arc<dyn EventLog> {
    root::init(&settings.keys.root_file).expect("a root key");
    Arc::new(MemLog::new(3))
}

/// A service that follows all keys of a log.
fn service(settings: &Settings, log: &Arc<dyn EventLog>) -> (Keyring, event_log::keys::Follower) {
    kafka_keys::follow(settings, log, Partition::all(3)).expect("it follows")
}

#[test]
fn roots_and_wrapping_keys_of_a_log_are_replaced_while_services_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path(), "data");
    let log = on_kafka(&settings);
    let (ring, running) = service(&settings, &log);
    mint(&ring, 5);
    let first = roots(&settings);
    let rotation = Rotation { wrapping: true, ..Rotation::default() };
    let text = printed(|out| kafka::rotate(&settings, &log, rotation, Duration::ZERO, out));
    assert!(text.contains("epoch 2") && text.contains("to every service"), "{text}");
    let second = roots(&settings);
    assert!(second.len() == 1 && second != first);
    ring.refresh(keyring::Owner::Tenant(TenantTag::from_bytes([1; 16]))).expect("whoever runs goes on");
    running.stop().expect("nothing went wrong");
    // It was given no time to hear of the new wrapping key; the next one begins with it.
    let (ring, running) = service(&settings, &log);
    mint(&ring, 9);
    running.stop().expect("nothing went wrong");
    // A run that ended after the first step: its new root is used, no third one is made.
    let next = RootKey::random().expect("a root");
    let old = settings.root_source().expect("a source").load().expect("roots");
    root::replace(&settings.keys.root_file, &[&next, old.current()]).expect("it is written");
    let text = printed(|out| kafka::rotate(&settings, &log, Rotation::default(), Duration::ZERO, out));
    assert!(!text.contains("made") && roots(&settings) == [next.name()], "{text}");
    let text = printed(|out| kafka::list(&settings, &log, out));
    assert!(
        text.contains("9 (of 9 subjects)") && text.contains(&format!("2: sealed with the root key {}", next.name()))
    );
}

#[test]
fn keys_move_to_kafka_and_back_and_bring_what_is_forgotten() {
    let dir = tempfile::tempdir().expect("a directory");
    let (from, to) = (settings(dir.path(), "from"), settings(dir.path(), "to"));
    let (ring, file) = keys::open_file(&from).expect("keys");
    mint(&ring, 7);
    let tenant = TenantTag::from_bytes([3; 16]);
    ring.epoch(tenant, now()).expect("a key");
    ring.destroy(Handle::from_bytes([4; 16]), Seq::new(2)).expect("it is destroyed");
    let moved = dir.path().join("keys.jsonl");
    printed(|out| export(&from, &moved, out));
    let log: Arc<dyn EventLog> = Arc::new(MemLog::new(3));
    let text = printed(|out| kafka::import(&to, &log, &moved, out));
    assert!(text.contains("imported 7 of 7") && text.contains("1 of 1 subjects"), "{text}");
    let text = printed(|out| kafka::import(&to, &log, &moved, out));
    assert!(text.contains("imported 0 of 7") && text.contains("0 of 1 subjects"), "{text}");
    let (there, _follower) = service(&to, &log);
    let all = |ring: &Keyring| {
        let mut ids: Vec<_> = ring.all().iter().map(|key| (key.owner, key.id, key.made)).collect();
        ids.sort_unstable();
        (ids, ring.floors())
    };
    assert_eq!(all(&ring), all(&there));
    // Back into another data directory, after more was forgotten.
    there.destroy(Handle::from_bytes([5; 16]), Seq::new(2)).expect("it is destroyed");
    let home = settings(dir.path(), "home");
    printed(|out| kafka::export(&to, &log, &moved, out));
    printed(|out| import(&home, &moved, out));
    assert_eq!(all(&keys::open_read_only(&home).expect("keys")).0, all(&there).0);
    assert!(kafka::export(&to, &log, &to.data.dir.join("keys.jsonl"), &mut Vec::new()).is_err(), "it is inside");
    drop(file);
}

#[test]
fn a_log_that_came_without_its_keys_is_refused_until_they_come() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path(), "data");
    let log = on_kafka(&settings);
    drop(service(&settings, &log));
    let elsewhere = Keyring::in_memory().expect("a ring");
    let key = elsewhere.epoch(TenantTag::from_bytes([3; 16]), now()).expect("a key");
    let sealed = elsewhere.seal(key, b"place", b"text").expect("it is held");
    let value = Some([b"{\"v\":2}\n".as_slice(), &sealed].concat());
    let event = Record { key: vec![7; 16], value, ..Record::default() };
    log.append(&Topic::Interactions, Partition::new(1), vec![event]).expect("room").wait().expect("durable");
    let text = kafka_keys::follow(&settings, &log, []).map(|(ring, _)| ring).expect_err("no keys").to_string();
    assert!(text.contains("memos keys import --kafka"), "{text}");
    let (ring, _follower) = kafka_keys::open(&settings, &log, []).expect("whoever brings them is let in");
    ring.adopt(elsewhere.all()).expect("they come");
    drop(service(&settings, &log));
}
