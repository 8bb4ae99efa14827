//! The five worked scenarios: the same code that `cargo run -p memos-client --example NAME` runs, against a memos of its own
//! with the domain of the scenario, and what must be true of everything it shows.
//!
//! A scenario publishes, asks and forgets; it asserts nothing. What it was shown comes back from its `run`, and is looked
//! at here. Nothing is known here that the data do not say.

// law: L07, L09

#![expect(clippy::duplicate_mod, reason = "each example brings along what it shares with the others")]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use memory_core::Kind;
use memos_client::{Client, CompanionView, MemoriesQuery, MemoryView, Owner, RecallRequest, ReceiptStatus};
use tempfile::TempDir;
use testkit::wait_until;
use uuid::Uuid;

#[path = "../../../shared/memos-client/examples/assistant.rs"]
#[expect(dead_code, reason = "only `cargo run --example` calls its `main`")]
mod assistant;
#[path = "../../../shared/memos-client/examples/education.rs"]
#[expect(dead_code, reason = "only `cargo run --example` calls its `main`")]
mod education;
#[path = "../../../shared/memos-client/examples/health.rs"]
#[expect(dead_code, reason = "only `cargo run --example` calls its `main`")]
mod health;
#[path = "../../../shared/memos-client/examples/support.rs"]
#[expect(dead_code, reason = "only `cargo run --example` calls its `main`")]
mod support;
#[path = "../../../shared/memos-client/examples/wellbeing.rs"]
#[expect(dead_code, reason = "only `cargo run --example` calls its `main`")]
mod wellbeing;

/// Far more than anything takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A `memos up` with a data directory of its own, killed when the test is over.
struct Memos {
    child: Child,
    /// Held open, so that the child can go on writing.
    _stdout: BufReader<ChildStdout>,
    url: String,
    data: TempDir,
}

impl Memos {
    fn start(settings: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let mut command = memos("up", &data);
        command.args(["--listen", "127.0.0.1:0", "--set", "logging.filter=warn"]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("memos starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("its standard output");
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("it says where it listens");
        let memos = Self { child, _stdout: stdout, url: url.to_owned(), data };
        let ready = || block_on(memos.client().health()).is_ok_and(|health| health.ready);
        wait_until(DEADLINE, "memos is ready", ready);
        memos
    }

    fn client(&self) -> Client {
        Client::new(&self.url, None).expect("its address")
    }

    /// Nothing answers for these people any more, and every receipt holds, also for who looks at the files.
    #[track_caller]
    fn has_forgotten(&self, people: &[&str], receipts: &[Uuid]) {
        for person in people {
            assert_eq!(block_on(known_of(&self.client(), person)), [""; 0], "{person}");
        }
        assert!(receipts.len() > people.len(), "a part was forgotten before the whole");
        for receipt in receipts {
            let view = block_on(self.client().receipt(*receipt)).expect("a receipt");
            assert_eq!(view.status, ReceiptStatus::Verified);
            let looked = memos("verify", &self.data).args(["--receipt", &receipt.to_string()]).output();
            let looked = looked.expect("memos runs");
            assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stdout));
        }
    }
}

impl Drop for Memos {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        self.child.wait().expect("it is ours");
    }
}

/// A command of the binary, on this data directory.
fn memos(name: &str, data: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memos"));
    command.arg(name).arg("--data").arg(data.path().join("data"));
    // Whoever runs the tests may have settings of their own.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MEMOS")) {
        command.env_remove(name);
    }
    // The root key of the tests, which is no user's.
    command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// Every text that memos still has of somebody, in any answer.
async fn known_of(client: &Client, person: &str) -> Vec<String> {
    let owner = Owner::User(person);
    let query = MemoriesQuery { limit: Some(200), include_inactive: true, ..MemoriesQuery::default() };
    let kept = client.memories(owner, &query).await.expect("memories").results;
    let mut known: Vec<String> = kept.into_iter().map(|memory| memory.text).collect();
    let question = RecallRequest {
        user_id: Some(person.to_owned()),
        query: "What do you know of me?".to_owned(),
        limit: 200,
        ..RecallRequest::default()
    };
    let answer = client.recall(&question).await.expect("an answer");
    known.extend(answer.results.into_iter().map(|result| format!("{:?}", result.kind)));
    known.extend(Some(answer.context.text).filter(|text| !text.is_empty()));
    known.extend(client.working_memory(owner).await.expect("turns").turns.iter().map(|turn| turn.id.clone()));
    let profile = client.profile(owner, None).await.expect("a profile");
    let stated = profile.facts.iter().chain(&profile.preferences).chain(&profile.goals);
    known.extend(stated.map(|statement| statement.text.clone()));
    known.extend(profile.topics.into_iter().map(|topic| topic.name));
    known.extend(profile.style.map(|style| format!("{style:?}")));
    known.extend(profile.emotion.baseline.map(|baseline| format!("{baseline:?}")));
    known
}

/// What a scenario printed.
fn printed(out: &[u8]) -> &str {
    std::str::from_utf8(out).expect("a scenario prints text")
}

#[test]
fn support_greets_with_the_open_case_in_the_manner_of_the_customer() {
    let memos = Memos::start(&["domain=support"]);
    let mut out = Vec::new();
    let shown = block_on(support::run(&memos.client(), &mut out)).expect("it runs");
    let [casual, formal] = shown.greetings.as_slice() else { panic!("two customers") };
    assert_eq!((&casual.open[..], &casual.closed[..]), (&["A-2077".to_owned()][..], &["A-2041".to_owned()][..]));
    assert_eq!((&formal.open[..], &formal.closed[..]), (&["A-2071".to_owned()][..], &["A-2052".to_owned()][..]));
    assert!(casual.sentence.starts_with("Hey!") && casual.sentence.contains("leaks"), "{}", casual.sentence);
    assert!(!casual.sentence.contains("steam wand") && !casual.context.contains("steam wand"), "that is solved");
    // Another day of the same case, and the part that was sent: the model needs not ask for it.
    assert!(casual.context.contains("half a cup") && casual.context.contains("G-58"), "{}", casual.context);
    assert!(formal.sentence.starts_with("Good day.") && formal.sentence.contains("three licences"));
    assert!(!formal.context.contains("cookies"), "{}", formal.context);
    assert!(casual.manner.starts_with("casual, in en") && casual.manner.contains("emoji is welcome"));
    assert!(formal.manner.starts_with("formal, in en") && formal.manner.contains("no emoji"));
    assert_eq!((&shown.after.open, shown.after.closed.len()), (&casual.open, 0), "only the closed case went");
    assert!(printed(&out).contains(&casual.sentence) && printed(&out).contains(&formal.sentence));
    memos.has_forgotten(&["example-mika", "example-albrecht"], &shown.receipts);
}

#[test]
fn health_never_loses_the_allergy_though_most_has_to_make_room() {
    const ROOM: usize = 12;
    let memos = Memos::start(&["domain=health", &format!("rules.bank_max={ROOM}")]);
    let mut out = Vec::new();
    let shown = block_on(health::run(&memos.client(), &mut out)).expect("it runs");
    assert!(shown.told > 2 * ROOM && shown.kept.len() <= ROOM, "{} of {}", shown.kept.len(), shown.told);
    let keeps = |text: &str| shown.kept.iter().any(|kept| kept.contains(text));
    assert!(!keeps("wasp") && !keeps("tick behind"), "what is worth little made room: {:#?}", shown.kept);
    assert!(keeps("choir of Santa Anna"), "what is said again and again is kept: {:#?}", shown.kept);
    for prompt in shown.prompts.iter().chain([&shown.after]) {
        let critical = &prompt.critical;
        // What the patient said ten years ago, and what stands in the middle of a doctor's letter.
        for risk in ["allergic to penicillin", "allergic to clindamycin", "diclofenac", "levothyroxine"] {
            assert!(critical.contains(risk), "{risk} is not in {critical}");
        }
        assert!(!critical.contains("rhubarb"), "the rest of the letter is not critical: {critical}");
        assert!(!prompt.context.is_empty());
    }
    assert_eq!(shown.prompts.len(), 2);
    assert!(shown.private.contains("Santa Anna"), "{}", shown.private);
    assert!(!shown.kept_after.iter().any(|kept| kept.contains("Santa Anna")), "with whatever was read out of it");
    assert!(printed(&out).contains(&shown.prompts[1].critical));
    memos.has_forgotten(&["example-ines"], &shown.receipts);
}

#[test]
fn education_repeats_what_failed_and_skips_what_is_mastered() {
    let memos = Memos::start(&["domain=education"]);
    let mut out = Vec::new();
    let shown = block_on(education::run(&memos.client(), &mut out)).expect("it runs");
    let before = &shown.before;
    assert_eq!(before.repeat.keys().collect::<Vec<_>>(), ["negative numbers"]);
    assert_eq!(before.mastered.keys().collect::<Vec<_>>(), ["adding fractions", "percentages"]);
    let failed: Vec<&str> = before.repeat["negative numbers"].iter().map(|lesson| lesson.text.as_str()).collect();
    assert!(failed.len() == 2 && failed[0].contains("rule of signs") && failed[1].contains("debts"), "{failed:#?}");
    assert!(before.mastered["adding fractions"].text.contains("two bars"), "what worked, not what was tried before");
    let lesson = |memory: &MemoryView| memory.kind == Kind::Lesson && memory.text.contains("linear equations");
    let place = |results: &[memos_client::ScoredView]| {
        let place = results.iter().position(|result| result.memory.as_deref().is_some_and(lesson));
        let place = place.expect("a similar task recalls the correction in the top 3");
        (results.len(), results[place].score)
    };
    let ((count, score), (_, after)) = (place(&shown.recalled), place(&shown.recalled_after));
    assert!(count <= 3 && after > score, "what was of use comes up more: {score} and then {after}");
    assert_eq!(before.corrections.len(), 1);
    assert!(shown.after.repeat.is_empty(), "it is not repeated once it has worked");
    assert!(shown.after.mastered["negative numbers"].text.contains("line of numbers"));
    assert_eq!(shown.without.mastered.keys().collect::<Vec<_>>(), ["negative numbers", "percentages"]);
    assert!(printed(&out).contains("repeat negative numbers") && printed(&out).contains("skip percentages"));
    memos.has_forgotten(&["example-lina"], &shown.receipts);
}

#[test]
fn assistant_follows_what_has_changed_and_knows_what_was() {
    let memos = Memos::start(&["domain=assistant"]);
    let mut out = Vec::new();
    let shown = block_on(assistant::run(&memos.client(), &mut out)).expect("it runs");
    let first = |memories: &[MemoryView]| memories.first().map_or_else(String::new, |memory| memory.text.clone());
    let expected = [("fish again", "don't eat fish"), ("Porto", "Lisbon"), ("933 555 702", "912 555 018")];
    assert_eq!(shown.answers.len(), expected.len());
    for (answer, (now, then)) in shown.answers.iter().zip(expected) {
        assert!(first(&answer.now).contains(now) && first(&answer.then).contains(then), "{}", printed(&out));
        assert!(!answer.then.iter().any(|memory| memory.text.contains(now)), "it was not so then");
        assert!(answer.context.contains(now), "{}", answer.context);
    }
    for (answer, former) in [(&shown.answers[0], "don't eat fish"), (&shown.answers[2], "912 555 018")] {
        let line = answer.context.lines().find(|line| line.contains(former)).expect("the former is told as well");
        assert!(line.contains("(until "), "{line}");
    }
    let facts: Vec<(&str, &str)> = shown
        .facts
        .iter()
        .filter_map(|fact| fact.attribute.as_ref())
        .filter(|attribute| !attribute.negated)
        .map(|attribute| (attribute.name.as_str(), attribute.value.as_str()))
        .collect();
    let of = |name: &str| facts.iter().filter(|(own, _)| *own == name).map(|(_, value)| *value).collect::<Vec<_>>();
    assert!(of("phone") == ["933 555 702"] && of("diet").is_empty(), "only what holds now: {facts:?}");
    assert!(of("home_city").len() == 1 && of("home_city")[0].starts_with("Porto"), "{facts:?}");
    assert!(first(&shown.after.now).contains("933 555 702"));
    assert!(!shown.after.then.iter().any(|memory| memory.text.contains("912 555 018")) && !out.is_empty());
    memos.has_forgotten(&["example-tomas"], &shown.receipts);
}

#[test]
fn wellbeing_tells_the_trend_of_the_mood_and_what_goes_with_it() {
    let memos = Memos::start(&["domain=wellbeing"]);
    let mut out = Vec::new();
    let shown = block_on(wellbeing::run(&memos.client(), &mut out)).expect("it runs");
    let weeks: Vec<f64> = shown.mood.weeks.iter().map(|week| week.valence).collect();
    assert!(weeks.len() == 8 && weeks[0] > 0.3 && weeks[7] < -0.3, "{weeks:?}");
    assert_eq!(shown.mood.trend.as_deref(), Some("falling"));
    let words = |companions: &[CompanionView]| companions.iter().map(|one| one.word.clone()).collect::<Vec<_>>();
    let (low, high) = (words(&shown.mood.goes_with_low), words(&shown.mood.goes_with_high));
    assert!(low.contains(&"deadline".to_owned()) && low.contains(&"viktor".to_owned()), "{low:?}");
    assert!(high.contains(&"choir".to_owned()) && high.contains(&"reservoir".to_owned()), "{high:?}");
    assert!(!low.iter().any(|word| high.contains(word)));
    assert!(shown.patterns.iter().any(|pattern| pattern.contains("falling over 8 weeks")), "{:?}", shown.patterns);
    assert!(shown.patterns.iter().any(|pattern| pattern.starts_with("Viktor: ")), "{:?}", shown.patterns);
    assert!(shown.context.contains("reservoir") && shown.context.contains("Choir was lovely"), "{}", shown.context);
    let after = words(&shown.after.goes_with_low);
    assert!(!after.contains(&"viktor".to_owned()), "what is forgotten explains nothing any more: {after:?}");
    let count = |mood: &memos_client::MoodView| mood.baseline.as_ref().map_or(0, |baseline| baseline.count);
    assert!(count(&shown.after) < count(&shown.mood) && count(&shown.after) >= 8, "and the rest is still there");
    assert!(printed(&out).contains(&shown.sentence) && shown.sentence.contains("falling"));
    memos.has_forgotten(&["example-noor"], &shown.receipts);
}
