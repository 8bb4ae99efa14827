//! Forgetting, as the people meet it who are forgotten, and as somebody meets it who has the disk afterwards.
//!
//! Many users are forgotten while others go on talking and the process is killed at random moments. Afterwards nothing of
//! them is in any answer, and nothing of what they said, in any form, is in any file or on the device under the files; no
//! wrapped key of theirs opens with the root key. Everybody else has, byte for byte, what they would have had.

// law: L09, L06, L02

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use keyring::{KeyId, Owner as KeyOwner, RootSource, file};
use memory_core::{HashSecret, Subject, TenantId};
use memos_client::forget::{ForgetBody, ForgetUntil};
use memos_client::{Owner, ReceiptStatus};
use serde_json::{Value, json};
use testkit::Random;
use uuid::Uuid;

use crate::harness::{
    Canaries, DEADLINE, DumpText, Load, Publisher, Server, TENANT, block_on, canary, data_dir, delete_store, get, hash,
    is_long, run, seed, verify, wait_until, wait_until_final,
};

/// A device in a file, mounted; unmounted when it is dropped. Without the rights to mount one, a plain directory.
struct Disk {
    image: Option<PathBuf>,
    mounted: PathBuf,
}

impl Disk {
    fn new(root: &Path, megabytes: u64) -> Self {
        let (image, mounted) = (root.join("device"), root.join("disk"));
        std::fs::create_dir(&mounted).expect("a directory");
        File::create(&image).and_then(|file| file.set_len(megabytes << 20)).expect("a sparse file");
        let ran = |program: &str, arguments: &[&Path]| {
            Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
        };
        let made = ran("mkfs.ext4", &[Path::new("-q"), &image])
            && ran("mount", &[Path::new("-o"), Path::new("loop"), &image, &mounted]);
        if !made {
            eprintln!("no device can be mounted here: only files are looked through");
        }
        Self { image: made.then_some(image), mounted }
    }

    /// Everything that was written is on the device.
    fn sync(&self) {
        let synced = Command::new("sync").arg("-f").arg(&self.mounted).status();
        assert!(synced.is_ok_and(|status| status.success()), "the file system is synced");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.image.is_some() {
            let unmounted = Command::new("umount").arg(&self.mounted).status();
            if !unmounted.is_ok_and(|status| status.success()) {
                eprintln!("{} stays mounted", self.mounted.display());
            }
        }
    }
}

/// Somebody who will be forgotten: every field that may hold words holds a canary.
struct Forgotten {
    user: String,
    words: Vec<String>,
}

impl Forgotten {
    fn new(seed: u64, number: u64) -> Self {
        let names = ["user", "text", "speaker", "tag", "value", "session", "agent", "note", "corrected", "app", "open"];
        let words: Vec<String> = names.iter().map(|name| canary(seed, name, number)).collect();
        Self { user: words[0].clone(), words }
    }

    /// What they say; the last turn stays in an open window.
    fn says(&self) -> Vec<Value> {
        let [_, text, speaker, tag, value, session, agent, note, corrected, app, open] =
            self.words.as_slice().try_into().map(|words: &[String; 11]| words).expect("eleven words");
        let mut events = vec![
            json!({"content": format!("I moved to Berlin with my sister Anna, {text}."), "speaker": speaker, "tags": [tag],
                "metadata": {"ticket": value}, "agent_id": agent, "app_id": app}),
            json!({"type": "note", "content": format!("{note} is allergic to penicillin, as Doctor Ruiz found out.")}),
            json!({"type": "remember", "body": {"kind": "preference", "text": format!("{text} prefers tea")}}),
            json!({"content": [{"type": "text", "text": format!("My best years were in Oslo, {corrected}.")},
                {"type": "file", "name": value}]}),
            json!({"type": "session_end"}),
            json!({"content": format!("I want to study in Kyoto, {open}.")}),
        ];
        for (number, event) in events.iter_mut().enumerate() {
            event["id"] = json!(format!("{}-{number}", Uuid::now_v7()));
            event["user_id"] = json!(self.user);
            event["session_id"] = json!(session);
        }
        events
    }
}

/// Others talk meanwhile, and are not spoken of.
const SETTINGS: &[&str] = &[
    "--set",
    "working_memory.idle_tick_seconds=0",
    "--set",
    "log.maintain_seconds=1",
    // The device is small.
    "--set",
    "disk.min_free_bytes=16777216",
];

const WITHOUT_WAITING: Option<(ForgetUntil, Duration)> = Some((ForgetUntil::Accepted, DEADLINE));

struct Scene {
    disk: Disk,
    dir: PathBuf,
    seed: u64,
    forgotten: Vec<Forgotten>,
    others: Publisher,
    receipts: BTreeMap<String, Uuid>,
}

impl Scene {
    fn new(root: &Path, seed: u64, users: u64) -> Self {
        let disk = Disk::new(root, if is_long() { 768 } else { 192 });
        let dir = data_dir(&disk.mounted, "data", seed);
        let forgotten = (0..users).map(|number| Forgotten::new(seed, number)).collect();
        let others = Publisher::new(seed, Load::new(seed, "stays", 10));
        Self { disk, dir, seed, forgotten, others, receipts: BTreeMap::new() }
    }

    fn start(&self) -> Server {
        Server::start(&self.dir, SETTINGS)
    }

    fn say(&self, server: &Server, some: &Range<usize>) {
        for somebody in &self.forgotten[some.clone()] {
            block_on(server.client().publish(&somebody.says())).expect("nobody kills this server");
        }
    }

    /// Forgets these; whoever is not answered keeps no receipt.
    fn forget(&mut self, server: &Server, some: Range<usize>) -> bool {
        for somebody in &self.forgotten[some] {
            let asked = server.client();
            let answer =
                block_on(asked.forget(Owner::User(&somebody.user), &ForgetBody::everything(), WITHOUT_WAITING));
            match answer {
                Ok(answer) => drop(self.receipts.insert(somebody.user.clone(), answer.receipt.id)),
                Err(_) => return false,
            }
        }
        true
    }

    /// Kills the server while these are being forgotten and others talk, and asks again after a restart.
    fn kill_meanwhile(&mut self, some: Range<usize>, random: &mut Random) {
        let server = self.start();
        self.say(&server, &some);
        let (client, count) = (server.client(), AtomicU64::new(0));
        let moment = some.start + random.index(some.len());
        let mut others = std::mem::replace(&mut self.others, Publisher::new(0, Load::new(0, "nobody", 1)));
        others = std::thread::scope(|scope| {
            let publishing = scope.spawn(|| {
                block_on(others.run(&client, 10, &count));
                others
            });
            assert!(self.forget(&server, some.start..moment), "nobody kills it yet");
            // The last one is on its way when the process dies.
            let last = self.forgotten[moment].user.clone();
            let client = server.client();
            let dying = scope.spawn(move || {
                drop(block_on(client.forget(Owner::User(&last), &ForgetBody::everything(), WITHOUT_WAITING)));
            });
            if random.chance(50) {
                wait_until(DEADLINE, "it is answered", || dying.is_finished());
            }
            server.kill9();
            dying.join().expect("it does not fail");
            publishing.join().expect("a producer does not fail")
        });
        self.others = others;
        let server = self.start();
        assert!(self.forget(&server, some), "nobody kills this one");
        server.stop();
    }

    fn wait_until_verified(&self, server: &Server) {
        let client = server.client();
        let verified =
            |id: &Uuid| block_on(client.receipt(*id)).is_ok_and(|receipt| receipt.status == ReceiptStatus::Verified);
        for id in self.receipts.values() {
            wait_until(DEADLINE, &format!("receipt {id} is verified"), || verified(id));
        }
    }

    /// No question, list or conversation has anything of them.
    fn assert_nothing_is_answered(&self, server: &Server) {
        for somebody in &self.forgotten {
            let path = |what: &str| format!("/v1/users/{}/{what}", somebody.user);
            let answers = [get(&server.url, &path("memories")), get(&server.url, &path("working-memory"))];
            let question = json!({"user_id": somebody.user, "query": somebody.words[1]});
            let found = block_on(server.client().recall(&serde_json::from_value(question).expect("a question")));
            assert!(found.expect("an answer").results.is_empty(), "{} is remembered", somebody.user);
            for word in &somebody.words[1..] {
                assert!(answers.iter().all(|answer| !answer.contains(word.as_str())), "{word} is answered");
            }
        }
    }

    fn canaries(&self) -> Canaries {
        Canaries::new(self.forgotten.iter().flat_map(|somebody| somebody.words.iter().map(String::as_str)))
    }

    /// Of the keys that come out with the root key, from the device or from the file, none is of one of them.
    fn assert_no_key_is_left(&self) {
        let source = RootSource::File(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("memos/root.key"));
        let roots = source.load().expect("the root key of the tests");
        let image = self.disk.image.clone().unwrap_or_else(|| self.dir.with_extension("keys"));
        let found = file::salvage(File::open(image).expect("the bytes"), &roots).expect("they can be read");
        let mut owners: BTreeMap<KeyOwner, Vec<KeyId>> = BTreeMap::new();
        found.into_iter().for_each(|(owner, id)| owners.entry(owner).or_default().push(id));
        assert!(owners.len() > 10, "the others' keys are found");
        let secret = HashSecret::new(secret_bytes(self.seed));
        for somebody in &self.forgotten {
            let tenant = TenantId::try_new(TENANT).expect("a tenant");
            let subject = Subject::owner(&tenant, Some(&somebody.user), None, None).expect("a user");
            let keys = owners.get(&KeyOwner::Subject(subject.handle(&secret)));
            assert_eq!(
                keys,
                None,
                "keys of {} {}, receipt {}",
                somebody.user,
                subject.handle(&secret),
                self.receipts[&somebody.user]
            );
        }
    }

    /// The lines of everybody who stays.
    fn lines_of_others(&self) -> Vec<String> {
        let secret = HashSecret::new(secret_bytes(self.seed));
        let tenant = TenantId::try_new(TENANT).expect("a tenant");
        let handle = |user: &str| Subject::owner(&tenant, Some(user), None, None).expect("a user").handle(&secret);
        let gone: BTreeSet<String> = self.forgotten.iter().map(|one| handle(&one.user).to_string()).collect();
        let lines = DumpText::of(&self.dir).lines.into_iter();
        lines.filter(|line| !gone.iter().any(|gone| line.starts_with(&format!("{{\"subject\":\"{gone}\"")))).collect()
    }
}

/// The secret that `data_dir` writes.
fn secret_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&seed.to_be_bytes());
    bytes
}

#[test]
fn nothing_is_left_of_who_is_forgotten_on_the_whole_disk() {
    let (users, kills) = if is_long() { (1_000, 40) } else { (50, 4) };
    let seed = seed("forget", &format!("{users} forgotten, {kills} kills"));
    let root = tempfile::tempdir().expect("a directory");
    let mut random = Random::new(seed);
    let mut scene = Scene::new(root.path(), seed, users);
    let users = scene.forgotten.len();
    // The last tenth is forgotten at the end, when nobody else talks.
    let (at_rest, each) = (users - users / 10, (users - users / 10) / kills);
    for kill in 0..kills {
        let end = if kill + 1 == kills { at_rest } else { (kill + 1) * each };
        scene.kill_meanwhile(kill * each..end, &mut random);
    }
    let server = scene.start();
    let mut others = std::mem::replace(&mut scene.others, Publisher::new(0, Load::new(0, "nobody", 1)));
    let ends = block_on(async {
        others.next(&server.client(), 20).await.expect("nobody kills the server any more");
        let ends = others.load.end_sessions();
        others.send(&server.client(), ends.clone()).await.expect("nobody kills the server any more");
        ends
    });
    scene.say(&server, &(at_rest..users));
    wait_until_final(&server, ends.iter().map(|event| event["id"].as_str().expect("an id")));
    scene.wait_until_verified(&server);
    let before = scene.lines_of_others();
    assert!(before.len() > 100, "the others have something to lose");
    assert!(scene.forget(&server, at_rest..users), "nobody kills this server");
    scene.wait_until_verified(&server);
    scene.assert_nothing_is_answered(&server);
    assert_eq!(scene.lines_of_others(), before, "everybody else has what they had");
    let canaries = scene.canaries();
    assert_eq!(canaries.find(get(&server.url, "/metrics").as_bytes()), [], "in the metrics");
    let live = hash(&scene.dir);
    server.stop();
    verify(&scene.dir);
    for receipt in scene.receipts.values().step_by(10) {
        let report = run(&scene.dir, &["verify", "--receipt", &receipt.to_string()]);
        assert!(report.lines().all(|line| line.starts_with("ok ")), "{report}");
    }
    scene.disk.sync();
    assert_eq!(canaries.find_below(&scene.disk.mounted), [], "in a file");
    if let Some(image) = &scene.disk.image {
        assert_eq!(canaries.find(File::open(image).expect("the device")), [], "on the device");
    }
    scene.assert_no_key_is_left();
    delete_store(&scene.dir);
    let server = scene.start();
    scene.wait_until_verified(&server);
    scene.assert_nothing_is_answered(&server);
    server.stop();
    assert_eq!(hash(&scene.dir), live, "built again");
    assert_eq!(scene.lines_of_others(), before, "built again, everybody else has what they had");
    verify(&scene.dir);
}
