//! Where Kafka lies on this machine, and what is kept beside its jars to make a start quick.
//!
//! Two things are made once and kept: an archive of the classes that a broker loads, which halves the time to start,
//! and a formatted data folder, which saves a whole run of Java. Both are made on first use, put in place by a rename,
//! and belong to the folder that `deploy/setup.sh` replaces as a whole. Neither decides anything: where one is missing
//! or does not fit the Java that is used, a start is slower and otherwise the same.

use std::collections::hash_map::RandomState;
use std::env;
use std::fs;
use std::hash::BuildHasher as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::settings::{self, BrokerOptions};
use super::text;

const VERSION: &str = "4.3.1";
const LOGGING: &str = include_str!("../../../../deploy/kafka/log4j2.properties");

/// Small, quick to start, and no more threads than a test machine has cores.
const JAVA_OPTIONS: [&str; 6] = [
    "-Xms64m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:ActiveProcessorCount=2",
    "-Djava.awt.headless=true",
];

/// So that tests that start together do not all make what is made once.
static MAKING: Mutex<()> = Mutex::new(());

#[derive(Clone, Debug)]
pub(super) struct Installation {
    home: PathBuf,
    class_path: String,
    /// What Java is told about the archive of classes.
    archive_option: Option<String>,
}

fn tools() -> PathBuf {
    let chosen = env::var_os("MEMOS_TOOLS").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    chosen.unwrap_or_else(|| {
        let home = env::home_dir().expect("a user has a home, or MEMOS_TOOLS is set");
        home.join(".cache/memos/tools")
    })
}

/// The Python that has a Kafka client which shares no code with librdkafka (`import kafka`).
///
/// # Panics
/// When `deploy/setup.sh test` has not put it there.
#[must_use]
pub fn python() -> PathBuf {
    let python = tools().join("python-kafka/bin/python");
    assert!(python.exists(), "there is no Python with a Kafka client at {}. Run deploy/setup.sh test", text(&python));
    python
}

/// Runs one of Kafka's console tools without a broker: `DumpLogSegments`, say.
///
/// # Panics
/// When Kafka or Java is missing. That the tool failed is told by the output.
#[must_use]
pub fn console_tool<A: AsRef<std::ffi::OsStr>>(main_class: &str, args: impl IntoIterator<Item = A>) -> Output {
    let mut java = Installation::find().with_class_archive().java(main_class, &env::temp_dir());
    java.args(args).output().unwrap_or_else(|error| panic!("java does not run: {error}. Run deploy/setup.sh test"))
}

impl Installation {
    pub(super) fn find() -> Self {
        let home = tools().join(format!("kafka-{VERSION}"));
        let libs = home.join("libs");
        let entries = fs::read_dir(&libs)
            .unwrap_or_else(|_| panic!("there is no Apache Kafka at {}. Run deploy/setup.sh test", text(&libs)));
        let paths = entries.map(|entry| entry.expect("a folder that was opened can be read").path());
        let mut jars: Vec<String> = paths.map(|jar| text(&jar).to_owned()).collect();
        // In a fixed order: an archive of classes is valid for exactly one class path.
        jars.sort();
        Self { home, class_path: jars.join(":"), archive_option: None }
    }

    /// The same with the archive of classes, if there is one.
    pub(super) fn with_class_archive(&self) -> Self {
        let archive_option = self
            .class_archive()
            .filter(|archive| archive.exists())
            .map(|archive| format!("-XX:SharedArchiveFile={}", text(&archive)));
        Self { archive_option, ..self.clone() }
    }

    /// Makes the archive of classes if there is none, from what `run` makes a broker load. It is written by that
    /// broker's process while it ends.
    pub(super) fn make_class_archive(&self, run: impl FnOnce(&Self)) {
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(archive) = self.class_archive().filter(|archive| !archive.exists()) else { return };
        let new = self.home.join(format!("classes-{}.new", id()));
        let archive_option = Some(format!("-XX:ArchiveClassesAtExit={}", text(&new)));
        run(&Self { archive_option, ..self.clone() });
        // A Java that cannot make one says so in the broker's log. Then there is nothing to rename, and no harm done.
        drop(fs::rename(&new, &archive));
    }

    /// An archive is valid for one build of Java, and a build is told by the day of its program.
    fn class_archive(&self) -> Option<PathBuf> {
        let path = env::var_os("PATH")?;
        let java = env::split_paths(&path).map(|folder| folder.join("java")).find(|java| java.is_file())?;
        let modified = fs::metadata(java).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(self.home.join(format!("classes-{}.jsa", modified.as_secs())))
    }

    /// A run of Java with Kafka's classes, to which the arguments of the class are to be added. What it unpacks lies in
    /// `temporary`: a broker that is killed takes nothing away itself.
    pub(super) fn java(&self, main_class: &str, temporary: &Path) -> Command {
        let logging = self.home.join("log4j2.properties");
        let mut command = Command::new("java");
        command
            .args(JAVA_OPTIONS)
            .args(&self.archive_option)
            .arg(format!("-Dlog4j2.configurationFile={}", text(&logging)))
            .arg(format!("-Djava.io.tmpdir={}", text(temporary)))
            .args(["-cp", &self.class_path, main_class])
            // What a user's shell adds to every Java is not part of a test.
            .env_remove("JAVA_TOOL_OPTIONS")
            .env_remove("_JAVA_OPTIONS")
            .env_remove("CLASSPATH");
        command
    }

    /// Formats the data folder of a broker whose settings are written already.
    pub(super) fn format(&self, folder: &Path, options: &BrokerOptions) {
        self.write_once("log4j2.properties", LOGGING);
        if !options.users.is_empty() {
            // Users of SCRAM are part of what is formatted.
            self.run_format(folder, &options.scram_records());
            return;
        }
        let formatted = self.home.join("formatted");
        if !formatted.exists() {
            self.run_format(folder, &[]);
            let new = self.home.join(format!("formatted-{}.new", id()));
            copy(&settings::data(folder), &new);
            // Fails only if another broker was quicker, and then its copy is as good.
            if fs::rename(&new, &formatted).is_err() {
                fs::remove_dir_all(&new).expect("what was just made can be removed");
            }
            return;
        }
        copy(&formatted, &settings::data(folder));
        let identity = settings::data(folder).join("meta.properties");
        fs::write(identity, format!("version=1\nnode.id=1\ncluster.id={}\ndirectory.id={}\n", id(), id()))
            .expect("a broker's identity can be written");
    }

    fn run_format(&self, folder: &Path, scram_records: &[String]) {
        let mut format = self.java("kafka.tools.StorageTool", folder);
        format.args(["format", "--cluster-id", &id(), "--config"]).arg(folder.join("server.properties"));
        for record in scram_records {
            format.args(["--add-scram", record]);
        }
        let output = format.output();
        let output = output.unwrap_or_else(|error| panic!("java does not run: {error}. Run deploy/setup.sh test"));
        assert!(output.status.success(), "Kafka's folder could not be formatted: {output:?}");
    }

    fn write_once(&self, name: &str, content: &str) {
        let (file, new) = (self.home.join(name), self.home.join(format!("{name}-{}.new", id())));
        if fs::read_to_string(&file).is_ok_and(|there| there == content) {
            return;
        }
        fs::write(&new, content).and_then(|()| fs::rename(&new, &file)).expect("Kafka's folder can be written");
    }
}

/// Copies the files of a folder that has no folders in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a formatted folder can be read") {
        let entry = entry.expect("a folder that was opened can be read");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a small file can be copied");
    }
}

/// An id as Kafka writes them: 16 random bytes. Two clusters must never be taken for the same one.
fn id() -> String {
    // Every `RandomState` has other keys; that is random enough for two clusters on one machine to differ. The first
    // bit is cleared, for an id that begins with a dash is taken for an option.
    let [one, two] = [(); 2].map(|()| RandomState::new().hash_one(std::process::id()));
    let bytes = ((u128::from(one) << 64 | u128::from(two)) & (u128::MAX >> 1)).to_be_bytes();
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_what_the_setup_fetches() {
        let pom = include_str!("../../../../deploy/kafka/pom.xml");
        assert!(pom.contains(&format!("<kafka.version>{VERSION}</kafka.version>")));
    }

    #[test]
    fn ids_differ_and_are_no_options() {
        let (one, two) = (id(), id());
        assert_ne!(one, two);
        assert!(one.len() == 22 && !one.starts_with('-'), "{one}");
    }
}
