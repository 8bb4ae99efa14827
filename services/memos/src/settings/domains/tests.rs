use std::path::{Path, PathBuf};

use testkit::events;

use super::*;
use crate::settings::DEFAULTS;

fn tenant(name: &str) -> TenantId {
    TenantId::try_new(name).expect("a name")
}

fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("the file is written");
    path
}

/// The settings of a file with this text, of environment variables and of flags.
fn of(text: &str, env: &[(&str, &str)], flags: &[&str]) -> anyhow::Result<Loaded<Settings>> {
    let dir = tempfile::tempdir().expect("a directory");
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let file = Some(file(dir.path(), "memos.toml", text));
    let loaded = load(Sources { defaults: DEFAULTS, file, env, flags, ..Sources::default() })?;
    loaded.settings.check()?;
    Ok(loaded)
}

fn good(text: &str) -> Settings {
    of(text, &[], &[]).expect("good settings").settings
}

fn refused(text: &str) -> String {
    format!("{:#}", of(text, &[], &[]).expect_err("it is refused"))
}

#[test]
fn every_domain_loads_and_changes_something() {
    let mut all = vec![Rules::default()];
    for (name, _) in BUILT_IN {
        let rules = good(&format!("domain = \"{name}\"")).rules;
        assert!(!all.contains(&rules), "{name}");
        assert_eq!(rules.version, Rules::default().version, "{name}: a domain does not choose the fold");
        all.push(rules);
    }
}

#[test]
fn health_keeps_what_support_drops() {
    let [health, support] = ["health", "support"].map(|name| good(&format!("domain = \"{name}\"")).rules);
    assert!(health.keep_at < support.keep_at && health.weights.safety > support.weights.safety);
    assert!(health.merge_at > support.merge_at && health.bank_max > support.bank_max);
    assert_eq!((health.retention_days.episode, support.retention_days.episode), (0, 730));
    assert!(health.half_life_days.fact > support.half_life_days.fact);
}

// law: L04
#[test]
fn the_more_particular_wins_and_the_environment_over_all() {
    let text = "domain = \"health\"\n[rules]\nbank_max = 77\nrecent_turns = 3\nwindow_bytes_max = 1234\n\
                [tenants.clinic]\ndomain = \"support\"\nrules = { merge_at = 801, recent_turns = 4 }\n\
                [tenants.plain]\nrules = { weights = { safety = 12 } }\n[tenants.none]\n";
    let both = |env: &[(&str, &str)], flags: &[&str]| of(text, env, flags).expect("good settings").settings.rules_of();
    let [health, support] = ["health", "support"].map(|name| good(&format!("domain = \"{name}\"")).rules);
    let rules = both(&[], &[]);
    let everybody = Rules { bank_max: 77, recent_turns: 3, window_bytes_max: 1_234, ..health };
    assert_eq!(rules.others, everybody);
    assert_eq!(*rules.tenant(&tenant("stranger")), everybody);
    assert_eq!(*rules.tenant(&tenant("none")), everybody);
    let mut plain = everybody;
    plain.weights.safety = 12;
    assert_eq!(*rules.tenant(&tenant("plain")), plain);
    let clinic = rules.tenant(&tenant("clinic"));
    assert_eq!((clinic.merge_at, clinic.recent_turns), (801, 4), "its own rules");
    assert_eq!((clinic.keep_at, clinic.bank_max), (support.keep_at, support.bank_max), "its domain");
    assert_eq!((clinic.window_bytes_max, clinic.salient_at), (1_234, support.salient_at), "and nothing of health");

    let rules = both(&[("MEMOS__RULES__KEEP_AT", "5")], &["rules.weights.safety=6"]);
    for rules in std::iter::once(&rules.others).chain(rules.tenants.values()) {
        assert_eq!((rules.keep_at, rules.weights.safety), (5, 6));
    }
    let chosen = both(&[("MEMOS__DOMAIN", "education")], &[]).others;
    assert_eq!((chosen.window_turns_max, chosen.bank_max), (40, 77));
}

#[test]
fn anybody_may_write_a_domain_of_rules_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let domain = |name: &str, text: &str| format!("domain = \"{}\"", file(dir.path(), name, text).display());
    let settings = good(&domain("own.toml", "[rules]\nkeep_at = 3\n[rules.weights]\nemotion = 4\n"));
    assert_eq!((settings.rules.keep_at, settings.rules.weights.emotion), (3, 4));
    for (name, text, says) in [
        ("listen.toml", "[gateway]\nlisten = \"0.0.0.0:1\"\n", "`gateway`"),
        ("key.toml", "[rules]\nkeep_att = 1\n", "`rules.keep_at`"),
        ("type.toml", "[rules]\nkeep_at = \"x\"\n", "`rules.keep_at`"),
        ("syntax.toml", "[rules\n", "syntax.toml"),
    ] {
        let told = refused(&domain(name, text));
        assert!(told.contains(says) && told.contains(name), "{told}");
    }
    assert!(refused("domain = \"none/at/all.toml\"").contains("none/at/all.toml"));
}

#[test]
fn what_is_no_domain_or_no_rule_is_refused_with_what_there_is() {
    for text in ["domain = \"helth\"", "[tenants.clinic]\ndomain = \"helth\""] {
        let told = refused(text);
        assert!(told.contains("`helth`"), "{told}");
        assert!(BUILT_IN.iter().all(|(name, _)| told.contains(name)), "{told}");
    }
    assert!(refused("[tenants.clinic]\ndomain = \"helth\"").contains("tenants.clinic.domain"));
    let told = refused("[tenants.clinic]\nrules = { keep_att = 1 }");
    assert!(told.contains("rules.keep_at") && told.contains("tenants.clinic"), "{told}");
    assert!(refused("[tenants.clinic]\nrule = {}").contains("rule"));
    assert!(refused("[tenants.clinic]\nrules = { bank_max = 0 }").contains("tenants.clinic.rules.bank_max"));
    assert!(refused("[rules]\nsafety_topics = [\" \"]").contains("`rules.safety_topics`: ` ` is no word"));
    assert!(refused("[rules]\nsafety_topics = [\"a *\"]").contains("no word or phrase"));
    assert!(refused("[rules.half_life_days]\nlesson = 0").contains("`rules.half_life_days.lesson` must be at least 1"));
}

#[test]
fn the_name_of_a_tenant_may_be_any() {
    let settings = good("[tenants.\"Acme.Corp Ü\"]\nrules = { keep_at = 9 }");
    assert_eq!(settings.rules_of().tenant(&tenant("Acme.Corp Ü")).keep_at, 9);
}

/// The same words, folded and consolidated by the rules of two tenants.
#[test]
fn two_tenants_with_different_domains_keep_differently() {
    let settings = good("[tenants.journal]\ndomain = \"wellbeing\"\n[tenants.desk]\ndomain = \"support\"");
    let rules = settings.rules_of();
    let kept = |name: &str| {
        let mut person = testkit::Person::new(name, "alice");
        person.rules = rules.tenant(&tenant(name)).clone();
        for value in [events::turn("A bit tired."), events::turn("My order is 4471, from May."), events::session_end()]
        {
            person.say(value);
        }
        let bank = person.rows.bank();
        let said = bank.memories().filter(|memory| memory.part_of.is_none());
        let mut texts: Vec<String> = said.map(|memory| memory.text.clone()).collect();
        texts.sort();
        texts
    };
    assert_eq!(kept("journal"), ["A bit tired.", "My order is 4471, from May."]);
    assert_eq!(kept("desk"), ["My order is 4471, from May."]);
}
