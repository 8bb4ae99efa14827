//! The shape of the workspace, held by a machine: who may depend on whom, how long a file may be, how a log message
//! reads, and that what is promised (metrics, laws) has its counterpart.
//!
//! One test per rule; each calls a checker that is a function over its input, and each checker was shown a bad input
//! beside it. A rule that found nothing to look at would pass for ever, so every rule also says how much it must see.
//! What cargo-deny holds too (`.cargo/deny.toml`) is held for the whole tree there, and for our manifests here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use memory_core::Law;

#[path = "architecture/graph.rs"]
mod graph;
#[path = "architecture/promises.rs"]
mod promises;
#[path = "architecture/source.rs"]
mod source;

use graph::Package;
use source::File;

/// Names that only one machine, or only one packager, knows. Put together here so that this file keeps the rule.
const FORBIDDEN: [&str; 6] = [
    concat!("/wo", "rk/"),
    concat!("crates", ".io"),
    concat!("py", "pi.org"),
    concat!("npm", "js.org"),
    concat!("proxy.go", "lang.org"),
    concat!("deb.", "debian.org"),
];

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("testkit lives two levels below the root").to_owned()
}

fn workspace() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--no-deps"])
        .current_dir(root())
        .output()
        .expect("cargo runs, for it runs this test");
    assert!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let packages = graph::packages(&serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON"));
    assert!(packages.len() >= 10, "only {} crates were seen", packages.len());
    packages
}

/// Every text file of the clone; not what was built, not the data of a running memos, not what git keeps.
fn files() -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the clone is readable") {
            let path = entry.expect("an entry is readable").path();
            let relative = path.strip_prefix(&root).expect("it is below the root").to_string_lossy().into_owned();
            if matches!(relative.as_str(), ".git" | "data" | "target") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push(File { path: relative, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(found.iter().filter(|file| file.is_rust()).count() >= 20, "only {} files were seen", found.len());
    found
}

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn services_never_depend_on_each_other() {
    assert_none(&graph::services_that_see_services(&workspace()));
}

// law: L04
#[test]
fn the_core_depends_on_nothing_of_ours_and_on_no_runtime() {
    assert_none(&graph::impurities_of_the_core(&workspace()));
}

#[test]
fn each_wall_is_passed_by_its_owner_only() {
    assert_none(&graph::links_past_a_wall(&workspace()));
}

#[test]
fn testkit_is_never_shipped() {
    assert_none(&graph::shipped_testkits(&workspace()));
}

#[test]
fn load_tests_see_what_a_client_sees() {
    assert_none(&graph::load_tests_inside_knowledge(&workspace()));
}

#[test]
fn a_folder_is_named_after_its_package() {
    let packages: Vec<Package> = workspace();
    assert_none(&graph::misnamed_folders(&packages));
}

#[test]
fn files_stay_readable() {
    assert_none(&source::long_files(&files()));
}

#[test]
fn modules_have_names() {
    assert_none(&source::mod_files(&files()));
}

#[test]
fn nothing_names_a_place_that_others_do_not_have() {
    // The lock file is written by cargo, which names where it got things from.
    let files: Vec<File> = files().into_iter().filter(|file| file.path != "Cargo.lock").collect();
    assert_none(&source::mentions(&files, &FORBIDDEN));
}

#[test]
fn log_messages_are_lowercase_fragments() {
    let files = files();
    let seen: usize =
        files.iter().filter(|file| file.is_rust()).map(|file| source::log_messages(&file.text).len()).sum();
    assert!(seen >= 10, "only {seen} log messages were seen");
    assert_none(&source::bad_log_messages(&files));
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_exists() {
    let declared = promises::declared_metrics(&files());
    assert!(declared.len() >= 5, "only {} metrics were seen", declared.len());
    let document =
        fs::read_to_string(root().join("deploy/METRICS.md")).expect("deploy/METRICS.md documents the metrics");
    assert_none(&promises::metrics_without_counterpart(&declared, &promises::documented_metrics(&document)));
}

#[test]
fn every_law_has_a_test_that_names_it() {
    let files = files();
    let known: Vec<&str> = Law::ALL.iter().map(|law| law.id()).collect();
    assert_none(&promises::unproven_laws(&known, &files));
    assert_none(&promises::claims_of_unknown_laws(&known, &files));
}
