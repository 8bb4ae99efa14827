use std::path::Path;

use serde::Deserialize;

use super::*;

const DEFAULTS: &str = r#"
[server]
listen = "127.0.0.1:8888"
workers = 2
ratio = 0.5

[auth]
keys = []

[rules.weights]
emotion = 250

[broker]
extra = {}
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Everything {
    server: Server,
    auth: Auth,
    rules: Rules,
    broker: Broker,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Broker {
    extra: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    listen: String,
    workers: u16,
    ratio: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    weights: Weights,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    emotion: u16,
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("memos.toml");
    std::fs::write(&path, text).expect("the file is written");
    (dir, path)
}

fn sources(file: Option<&Path>, env: &[(&str, &str)], flags: &[&str]) -> Sources {
    Sources {
        defaults: DEFAULTS,
        file: file.map(Path::to_owned),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        ..Sources::default()
    }
}

fn complaint(sources: &Sources) -> String {
    load::<Everything>(sources).expect_err("must be refused").to_string()
}

fn origin(loaded: &Loaded<Everything>, key: &str) -> Source {
    loaded.origins.iter().find(|setting| setting.key == key).expect("every key is listed").source.clone()
}

#[test]
fn the_later_layer_wins_key_by_key() {
    let (_dir, path) = file("[server]\nlisten = \"file\"\nworkers = 3\nratio = 1\n");
    let loaded: Loaded<Everything> = load(&sources(
        Some(&path),
        &[("MEMOS__SERVER__LISTEN", "env"), ("MEMOS__SERVER__WORKERS", "4"), ("HOME", "/root"), ("MEMOS_URL", "x")],
        &["server.listen=flag"],
    ))
    .expect("good settings");
    assert_eq!(loaded.settings.server.listen, "flag");
    assert_eq!(loaded.settings.server.workers, 4);
    assert!((loaded.settings.server.ratio - 1.0).abs() < f64::EPSILON);
    assert_eq!(loaded.settings.rules.weights.emotion, 250);
    assert!(loaded.settings.auth.keys.is_empty());
    assert_eq!(origin(&loaded, "server.listen"), Source::Flag);
    assert_eq!(origin(&loaded, "server.workers"), Source::Env("MEMOS__SERVER__WORKERS".to_owned()));
    assert_eq!(origin(&loaded, "server.ratio"), Source::File(path));
    assert_eq!(origin(&loaded, "rules.weights.emotion"), Source::Default);
    assert_eq!(loaded.origins.len(), 6, "every key is listed once");
}

#[test]
fn a_layer_stands_below_or_above_the_file() {
    let (_dir, path) = file("[server]\nlisten = \"file\"\nworkers = 3\n");
    let layer = |name: &str, text: &str| Layer { name: name.to_owned(), text: text.to_owned() };
    let mut sources = sources(Some(&path), &[("MEMOS__SERVER__RATIO", "9.0")], &[]);
    sources.presets = vec![
        layer("first", "[server]\nlisten = \"1\"\nratio = 1.0\n[rules.weights]\nemotion = 1\n"),
        layer("second", "[rules.weights]\nemotion = 2\n"),
    ];
    sources.overlays = vec![layer("third", "[server]\nworkers = 4\nratio = 3.0\n")];
    let loaded: Loaded<Everything> = load(&sources).expect("good settings");
    let Server { listen, workers, ratio } = &loaded.settings.server;
    assert_eq!((listen.as_str(), *workers, loaded.settings.rules.weights.emotion), ("file", 4, 2));
    assert!((ratio - 9.0).abs() < f64::EPSILON);
    assert_eq!(origin(&loaded, "rules.weights.emotion").to_string(), "second");
    assert_eq!(origin(&loaded, "server.workers").to_string(), "third");
    sources.presets = vec![layer("odd", "[server]\nwrokers = 1\n")];
    let text = complaint(&sources);
    assert!(text.contains("(odd)") && text.contains("`server.workers`?"), "{text}");
}

#[test]
fn an_unknown_key_names_the_nearest_one_in_every_source() {
    let (_dir, path) = file("[server]\nwrokers = 3\n");
    let text = complaint(&sources(Some(&path), &[], &[]));
    assert!(text.contains("`server.wrokers`") && text.contains("memos.toml"), "{text}");
    assert!(text.contains("did you mean `server.workers`?"), "{text}");

    let text = complaint(&sources(None, &[("MEMOS__SERVER__LISTN", "x")], &[]));
    assert!(text.contains("environment MEMOS__SERVER__LISTN") && text.contains("`server.listen`?"), "{text}");

    let text = complaint(&sources(None, &[], &["rules.wieghts.emotion=1"]));
    assert!(text.contains("(flag)") && text.contains("`rules.weights.emotion`?"), "{text}");

    let text = complaint(&sources(None, &[], &["workers=1"]));
    assert!(text.contains("`server.workers`?"), "a key without its section is found: {text}");
}

#[test]
fn a_value_of_the_wrong_type_names_the_setting_and_its_source() {
    let text = complaint(&sources(None, &[("MEMOS__SERVER__WORKERS", "many")], &[]));
    assert!(text.contains("`server.workers`") && text.contains("MEMOS__SERVER__WORKERS"), "{text}");
    assert!(text.contains("`many`") && text.contains("integer"), "{text}");
    let text = complaint(&sources(None, &[], &["server.workers=70000"]));
    assert!(text.contains("70000"), "{text}");
    let (_dir, path) = file("server = 3\n");
    assert!(complaint(&sources(Some(&path), &[], &[])).contains("is a section"));
    assert!(complaint(&sources(None, &[], &["server.listen.port=3"])).contains("inside a setting"));
    assert!(complaint(&sources(None, &[], &["server.listen"])).contains("key=value"));
}

#[test]
fn lists_of_tables_can_come_from_a_file_and_from_a_flag() {
    let (_dir, path) = file("[server]\n[[auth.keys]]\nid = \"one\"\n[[auth.keys]]\nid = \"two\"\n");
    let loaded: Loaded<Everything> = load(&sources(Some(&path), &[], &[])).expect("good settings");
    assert_eq!(loaded.settings.auth.keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    let loaded: Loaded<Everything> =
        load(&sources(None, &[], &["auth.keys=[{id = \"three\"}]"])).expect("good settings");
    assert_eq!(loaded.settings.auth.keys[0].id, "three");
    let text = complaint(&sources(None, &[], &["auth.keys=[{name = \"three\"}]"]));
    assert!(text.contains("name"), "{text}");
}

#[test]
fn text_that_looks_like_a_number_stays_text_where_text_is_expected() {
    let loaded: Loaded<Everything> =
        load(&sources(None, &[("MEMOS__SERVER__LISTEN", "8888")], &[])).expect("good settings");
    assert_eq!(loaded.settings.server.listen, "8888");
}

#[test]
fn a_file_that_is_missing_or_broken_is_named() {
    let (dir, path) = file("[server\n");
    assert!(complaint(&sources(Some(&path), &[], &[])).contains("memos.toml"));
    let missing = dir.path().join("none.toml");
    assert!(complaint(&sources(Some(&missing), &[], &[])).contains("none.toml"));
}

#[test]
fn a_table_without_defaults_has_names_of_its_own() {
    let (_dir, path) = file("[broker.extra]\n\"socket.nagle.disable\" = \"true\"\n");
    let loaded: Loaded<Everything> = load(&sources(Some(&path), &[], &[])).expect("it is taken");
    assert_eq!(loaded.settings.broker.extra["socket.nagle.disable"], "true");
    let loaded: Loaded<Everything> =
        load(&sources(None, &[("MEMOS__BROKER__EXTRA", "{ a = \"b\" }")], &[])).expect("it is taken");
    assert_eq!(loaded.settings.broker.extra["a"], "b");
    assert!(complaint(&sources(None, &[], &["broker.extra.a=b"])).contains("broker.extra"));
}
