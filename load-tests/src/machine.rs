//! What a figure was measured on. A figure without it says nothing.

use std::fmt;
use std::fs;
use std::process::Command;

/// The machine and the code.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_mb: u64,
    kernel: String,
    commit: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = field(&cpu_info, "model name").unwrap_or("unknown processor").to_owned();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mb: kilobytes(&memory, "MemTotal") / 1024,
            kernel: format!("{} {}", std::env::consts::OS, kernel.trim()),
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_mb, kernel, commit } = self;
        writeln!(f, "machine      {cpu}, {cores} cores, {memory_mb} MB, {kernel}")?;
        write!(f, "commit       {commit}")
    }
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    Some(if changed { format!("{commit} with changes") } else { commit })
}

/// The resident memory of a process in megabytes; `None` when it is not there.
pub(crate) fn resident_mb(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    field(&status, "VmRSS")?;
    // Megabytes of a process fit an f64 many times over.
    Some(kilobytes(&status, "VmRSS") as f64 / 1024.0)
}

fn kilobytes(text: &str, name: &str) -> u64 {
    field(text, name).and_then(|value| value.trim_end_matches(" kB").trim().parse().ok()).unwrap_or_default()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "MemTotalX:  1 kB\nMemTotal:      2048 kB\nmodel name\t: A: B\n";
        assert_eq!(kilobytes(text, "MemTotal"), 2048);
        assert_eq!(field(text, "model name"), Some("A: B"));
        assert_eq!(kilobytes(text, "Missing"), 0);
    }

    #[test]
    fn this_process_has_memory() {
        if cfg!(target_os = "linux") {
            assert!(resident_mb(std::process::id()).expect("this process runs") > 0.5);
        }
        assert!(resident_mb(u32::MAX).is_none());
    }
}
