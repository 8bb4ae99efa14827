//! The rules about who may depend on whom, as functions over what `cargo metadata` says.

use std::collections::BTreeSet;

use serde_json::Value;

/// A crate of the workspace: its name, its folder relative to the root, and what its manifest asks for.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) folder: String,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// False for what only tests, examples and benchmarks see.
    pub(crate) shipped: bool,
}

/// Crates that link something heavy, or something that would give the core a clock, a runtime or a disk.
const WALLS: [(&str, &str); 5] = [
    ("actix", "working-memory"),
    ("prometheus", "service-runtime"),
    ("rdkafka", "event-log"),
    ("rocksdb", "memory-store"),
    ("tracing-subscriber", "service-runtime"),
];

const NEVER_IN_THE_CORE: [&str; 7] = ["actix", "actix-rt", "prometheus", "rand", "rdkafka", "rocksdb", "tokio"];

const SEEN_BY_LOAD_TESTS: [&str; 2] = ["memory-core", "memos-client"];

/// Reads the answer of `cargo metadata --format-version 1 --no-deps`.
pub(crate) fn packages(metadata: &Value) -> Vec<Package> {
    let root = metadata["workspace_root"].as_str().expect("metadata names the root");
    let listed = metadata["packages"].as_array().expect("metadata lists packages");
    listed.iter().map(|package| read_package(package, root)).collect()
}

fn read_package(package: &Value, root: &str) -> Package {
    let manifest = package["manifest_path"].as_str().expect("a package has a manifest");
    let folder = manifest.trim_start_matches(root).trim_end_matches("Cargo.toml").trim_matches('/');
    let dependencies = package["dependencies"].as_array().expect("a package lists its dependencies");
    Package {
        name: text(&package["name"]),
        folder: folder.to_owned(),
        dependencies: dependencies
            .iter()
            .map(|dependency| Dependency { name: text(&dependency["name"]), shipped: dependency["kind"] != "dev" })
            .collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("names are strings").to_owned()
}

/// Services meet only in the binary. Tests included: a service that needs another one to be tested needs it.
pub(crate) fn services_that_see_services(packages: &[Package]) -> Vec<String> {
    let services: BTreeSet<&str> = packages.iter().filter(|p| is_service(p)).map(|p| p.name.as_str()).collect();
    packages
        .iter()
        .filter(|package| is_service(package) && package.name != "memos")
        .flat_map(|package| edges(package, |dependency| services.contains(dependency.name.as_str())))
        .collect()
}

fn is_service(package: &Package) -> bool {
    package.folder.starts_with("services/")
}

/// The core knows nothing of ours and nothing that lives in time. A dev-dependency on `testkit` would be a cycle in
/// which cargo builds the core twice and the types of the two do not fit.
pub(crate) fn impurities_of_the_core(packages: &[Package]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let Some(core) = packages.iter().find(|package| package.name == "memory-core") else {
        return vec!["there is no memory-core".to_owned()];
    };
    edges(core, |dependency| {
        let name = dependency.name.as_str();
        ours.contains(name) || NEVER_IN_THE_CORE.contains(&name)
    })
}

/// What may be linked by one crate alone, tests included: a test that opens RocksDB by itself tests something else.
pub(crate) fn links_past_a_wall(packages: &[Package]) -> Vec<String> {
    packages
        .iter()
        .flat_map(|package| {
            edges(package, |dependency| {
                WALLS.iter().any(|(linked, owner)| dependency.name == *linked && package.name != *owner)
            })
        })
        .collect()
}

/// `testkit` holds fakes; a binary that ships them would be one that can run on them.
pub(crate) fn shipped_testkits(packages: &[Package]) -> Vec<String> {
    packages
        .iter()
        .flat_map(|package| edges(package, |dependency| dependency.name == "testkit" && dependency.shipped))
        .collect()
}

/// Load tests see what any client sees, so what they measure is what a client gets. Their benches, which measure one
/// algorithm by itself, are development dependencies and may call it.
pub(crate) fn load_tests_inside_knowledge(packages: &[Package]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    packages
        .iter()
        .filter(|package| package.name == "load-tests")
        .flat_map(|package| {
            edges(package, |dependency| {
                let name = dependency.name.as_str();
                dependency.shipped && ours.contains(name) && !SEEN_BY_LOAD_TESTS.contains(&name)
            })
        })
        .collect()
}

pub(crate) fn misnamed_folders(packages: &[Package]) -> Vec<String> {
    packages
        .iter()
        .filter(|package| package.folder.rsplit('/').next() != Some(package.name.as_str()))
        .map(|package| format!("package {} lives in {}", package.name, package.folder))
        .collect()
}

fn edges(package: &Package, forbidden: impl Fn(&Dependency) -> bool) -> Vec<String> {
    package
        .dependencies
        .iter()
        .filter(|dependency| forbidden(dependency))
        .map(|dependency| format!("{} depends on {}", package.name, dependency.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(folder: &str, dependencies: &[(&str, bool)]) -> Package {
        Package {
            name: folder.rsplit('/').next().expect("a name").to_owned(),
            folder: folder.to_owned(),
            dependencies: dependencies
                .iter()
                .map(|(name, shipped)| Dependency { name: (*name).to_owned(), shipped: *shipped })
                .collect(),
        }
    }

    #[test]
    fn metadata_is_read_with_the_kind_of_each_dependency() {
        let metadata = serde_json::json!({
            "workspace_root": "/r",
            "packages": [{"name": "recall", "manifest_path": "/r/services/recall/Cargo.toml", "dependencies": [
                {"name": "tokio", "kind": null}, {"name": "cc", "kind": "build"}, {"name": "testkit", "kind": "dev"}]}],
        });
        let read = packages(&metadata);
        assert_eq!(read[0].folder, "services/recall");
        let shipped: Vec<bool> = read[0].dependencies.iter().map(|dependency| dependency.shipped).collect();
        assert_eq!(shipped, [true, true, false]);
    }

    #[test]
    fn a_service_that_sees_another_is_found_and_the_binary_is_not() {
        let recall = package("services/recall", &[]);
        let gateway = package("services/gateway", &[("recall", false)]);
        let memos = package("services/memos", &[("recall", true), ("gateway", true)]);
        assert_eq!(services_that_see_services(&[recall, gateway, memos]), ["gateway depends on recall"]);
    }

    #[test]
    fn a_core_with_a_runtime_or_one_of_ours_is_found() {
        let testkit = package("shared/testkit", &[]);
        let core = package("shared/memory-core", &[("serde", true), ("tokio", true), ("testkit", false)]);
        let found = impurities_of_the_core(&[testkit, core]);
        assert_eq!(found, ["memory-core depends on tokio", "memory-core depends on testkit"]);
        assert_eq!(impurities_of_the_core(&[]), ["there is no memory-core"]);
    }

    #[test]
    fn a_link_past_a_wall_is_found_even_in_tests() {
        let store = package("shared/memory-store", &[("rocksdb", true)]);
        let recall = package("services/recall", &[("rocksdb", false), ("actix-web", true)]);
        assert_eq!(links_past_a_wall(&[store, recall]), ["recall depends on rocksdb"]);
    }

    #[test]
    fn a_shipped_testkit_is_found() {
        let tested = package("services/recall", &[("testkit", false)]);
        let shipped = package("services/memos", &[("testkit", true)]);
        assert_eq!(shipped_testkits(&[tested, shipped]), ["memos depends on testkit"]);
    }

    #[test]
    fn load_tests_that_look_inside_are_found() {
        let store = package("shared/memory-store", &[]);
        let client = package("shared/memos-client", &[]);
        let load = package("load-tests", &[("memos-client", true), ("memory-store", true), ("tokio", true)]);
        let benched = package("load-tests", &[("memory-store", false)]);
        let found = load_tests_inside_knowledge(&[store, client, load, benched]);
        assert_eq!(found, ["load-tests depends on memory-store"]);
    }

    #[test]
    fn a_folder_with_another_name_is_found() {
        let mut moved = package("shared/storage", &[]);
        moved.name = "memory-store".to_owned();
        assert_eq!(misnamed_folders(&[moved]), ["package memory-store lives in shared/storage"]);
    }
}
