//! The rules that hold a promise against its proof: every metric is documented, every law has a test.

use std::collections::BTreeSet;

use super::source::{File, string_literals, without_tests};

/// What every metric of memos starts with.
const METRIC_PREFIX: &str = "memos_";

/// The names that any `metrics.rs` declares, outside its own tests.
pub(crate) fn declared_metrics(files: &[File]) -> BTreeSet<String> {
    files
        .iter()
        .filter(|file| file.path.ends_with("/metrics.rs"))
        .flat_map(|file| string_literals(without_tests(&file.text)))
        .filter(|literal| is_metric(literal))
        .collect()
}

/// The names in backticks that a document explains. A name may carry its labels: `memos_x_total{reason}`.
pub(crate) fn documented_metrics(document: &str) -> BTreeSet<String> {
    document
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|code| code.split('{').next().unwrap_or(code).to_owned())
        .filter(|code| is_metric(code))
        .collect()
}

fn is_metric(name: &str) -> bool {
    name.len() > METRIC_PREFIX.len()
        && name.starts_with(METRIC_PREFIX)
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

pub(crate) fn metrics_without_counterpart(declared: &BTreeSet<String>, documented: &BTreeSet<String>) -> Vec<String> {
    let undocumented = declared.difference(documented).map(|name| format!("{name} is declared and not documented"));
    let gone = documented.difference(declared).map(|name| format!("{name} is documented and not declared"));
    undocumented.chain(gone).collect()
}

/// The laws that no test claims to prove. A claim is a comment line of its own, above a test or at the head of a file
/// of tests, with one id or several: `law: L01, L12`.
pub(crate) fn unproven_laws(laws: &[&str], files: &[File]) -> Vec<String> {
    let claimed: BTreeSet<&str> =
        files.iter().filter(|file| has_tests(file)).flat_map(|file| claims(&file.text)).collect();
    laws.iter().filter(|law| !claimed.contains(**law)).map(|law| format!("no test names law {law}")).collect()
}

/// Claims of a law that does not exist, which are misspelt claims of one that does.
pub(crate) fn claims_of_unknown_laws(known: &[&str], files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(|file| file.is_rust())
        .flat_map(|file| claims(&file.text).map(move |law| (file, law)))
        .filter(|(_, law)| !known.contains(law))
        .map(|(file, law)| format!("{} names law {law}, which does not exist", file.path))
        .collect()
}

fn has_tests(file: &File) -> bool {
    file.is_rust()
        && (file.text.contains("#[test]") || file.text.contains("test]\n") || file.text.contains("proptest!"))
}

fn claims(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| {
            line.trim_start().strip_prefix("//")?.trim_start_matches(['/', '!']).trim_start().strip_prefix("law: ")
        })
        .flat_map(|ids| ids.split([',', ' ']))
        .map(|id| id.trim_matches(['.', ';', ':', '`']))
        .filter(|id| {
            id.strip_prefix('L').is_some_and(|number| number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn metrics_are_read_from_code_and_from_the_document() {
        let code = "// \"memos_commented_total\"\nconst A: &str = \"memos_a_total\"; const B: &str = \"memos_ and text\";\n\
                    #[cfg(test)]\nmod tests { const C: &str = \"memos_test_total\"; }";
        let declared = declared_metrics(&[file("x/src/metrics.rs", code), file("x/src/lib.rs", "\"memos_other\"")]);
        assert_eq!(declared, names(&["memos_a_total"]));
        let documented = documented_metrics("| `memos_a_total{reason}` | see `/metrics` and `memos_b_seconds` |");
        assert_eq!(documented, names(&["memos_a_total", "memos_b_seconds"]));
    }

    #[test]
    fn a_metric_that_is_only_on_one_side_is_found() {
        let found = metrics_without_counterpart(&names(&["memos_a", "memos_b"]), &names(&["memos_b", "memos_c"]));
        assert_eq!(found, ["memos_a is declared and not documented", "memos_c is documented and not declared"]);
    }

    #[test]
    fn a_law_without_a_test_is_found() {
        let proof = format!("{} law: L01, L03\n#[test]\nfn f() {{}}", "//");
        let mention = format!("{} law: L02\nfn not_a_test() {{}}", "//");
        let files = [file("a.rs", &proof), file("b.rs", &mention)];
        assert_eq!(unproven_laws(&["L01", "L02", "L03"], &files), ["no test names law L02"]);
    }

    #[test]
    fn a_claim_of_an_unknown_law_is_found() {
        let files = [file("a.rs", &format!("    {} law: L13\n#[test]", "//"))];
        assert_eq!(claims_of_unknown_laws(&["L01"], &files), ["a.rs names law L13, which does not exist"]);
    }
}
