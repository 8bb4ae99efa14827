//! That no broker, and no data of one, outlives the test process.
//!
//! A broker shared by a test binary lies in a static, and statics are never dropped; a test run can be killed, too.
//! The kernel's parent-death signal is of no use here: it is bound to the *thread* that started the child, and the
//! thread of the test that happened to come first is gone long before the last test. So a shell stands beside every
//! broker and reads from a pipe whose other end only this process holds. When the process ends, in whatever way, the
//! kernel closes that end, and the shell kills the broker it was last told of and removes the folder.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// An empty line means that no broker is running.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
broker=
while read -r line; do broker=$line; done
[ -z "$broker" ] || kill -KILL "$broker"
rm -rf -- "$1"
"#;

#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// Starts to stand guard over a folder. It is removed when the guard is dropped or the process ends.
    pub(super) fn start(folder: &Path) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "memos-kafka-guard"])
            .arg(folder)
            // A group of its own: what a terminal sends to the test run must not reach it first.
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let pipe = shell.stdin.take();
        Self { shell, pipe: Mutex::new(pipe) }
    }

    /// Tells which process is the broker now.
    pub(super) fn watch(&self, broker: Option<u32>) {
        let line = broker.map_or_else(String::new, |pid| pid.to_string());
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = pipe.as_mut().expect("the pipe is open until the guard is dropped");
        // Without its guard a broker might stay; but a guard that somebody killed must not make a drop panic.
        drop(writeln!(pipe, "{line}"));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.shell.wait());
    }
}
