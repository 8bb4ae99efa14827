//! The rules about the text of files: their length, their names, what they may mention, and how a log message reads.
//!
//! The scan knows strings, characters and line comments of Rust, and nothing else of it. That is enough for every rule
//! here, and a parser would be one more thing to keep up with the language.

/// A file with its path relative to the root.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Where a file stops being readable in one sitting.
const LONGEST_FILE: usize = 500;

const LOG_MACROS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// Lines are counted up to the unit tests at the end of the file.
pub(crate) fn long_files(files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(|file| file.is_rust())
        .map(|file| (file, without_tests(&file.text).lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(file, lines)| format!("{} has {lines} lines, at most {LONGEST_FILE} are readable", file.path))
        .collect()
}

/// The text up to the unit tests at its end.
pub(crate) fn without_tests(text: &str) -> &str {
    text.rfind("\n#[cfg(test)]\nmod tests").map_or(text, |at| &text[..at])
}

/// `foo.rs` beside `foo/`: ten open tabs called `mod.rs` are ten tabs without a name.
pub(crate) fn mod_files(files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(|file| file.path.rsplit('/').next() == Some("mod.rs"))
        .map(|file| format!("{} should be named after its module", file.path))
        .collect()
}

/// What must not stand in any file: places that exist on one machine only.
pub(crate) fn mentions(files: &[File], forbidden: &[&str]) -> Vec<String> {
    files
        .iter()
        .flat_map(|file| {
            forbidden
                .iter()
                .filter(|word| file.text.contains(**word))
                .map(move |word| format!("{} mentions {word}", file.path))
        })
        .collect()
}

/// Every log message of a file, in order.
pub(crate) fn log_messages(text: &str) -> Vec<String> {
    let code = without_comments(text);
    let mut found: Vec<(usize, String)> = Vec::new();
    for name in LOG_MACROS {
        let call = format!("{name}!");
        for (at, _) in code.match_indices(&call) {
            let before = code[..at].chars().next_back();
            let arguments = code[at + call.len()..].trim_start().strip_prefix('(');
            if let Some(arguments) = arguments.filter(|_| !before.is_some_and(is_word)) {
                found.extend(message(arguments).map(|message| (at, message)));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, message)| message).collect()
}

/// A log message is a fragment: it starts in lower case and has no final period, so that lines of all crates read alike.
pub(crate) fn bad_log_messages(files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(|file| file.is_rust())
        .flat_map(|file| log_messages(&file.text).into_iter().map(move |message| (file, message)))
        .filter(|(_, message)| message.starts_with(char::is_uppercase) || message.ends_with('.') || message.is_empty())
        .map(|(file, message)| format!("{}: log message \"{message}\"", file.path))
        .collect()
}

/// The first argument that is a string by itself. Those before it are fields, and a field may hold a string too.
fn message(arguments: &str) -> Option<String> {
    split_arguments(arguments).iter().find_map(|argument| {
        let literal = argument.trim().strip_prefix('"')?.strip_suffix('"')?;
        Some(literal.to_owned()).filter(|literal| !has_bare_quote(literal))
    })
}

fn has_bare_quote(literal: &str) -> bool {
    literal.replace("\\\\", "").replace("\\\"", "").contains('"')
}

/// Cuts the text after an opening parenthesis at its commas, up to the parenthesis that closes it.
fn split_arguments(text: &str) -> Vec<&str> {
    let mut arguments = Vec::new();
    let (mut depth, mut start, mut at) = (0_usize, 0, 0);
    while let Some(next) = text[at..].chars().next() {
        let length = literal_length(&text[at..]).unwrap_or_else(|| next.len_utf8());
        if length == next.len_utf8() {
            match next {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth == 0 => break,
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => {
                    arguments.push(&text[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        at += length;
    }
    arguments.push(&text[start..at]);
    arguments
}

/// The content of every string of the file, comments left out.
pub(crate) fn string_literals(text: &str) -> Vec<String> {
    let code = without_comments(text);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = code[at..].chars().next() {
        let length = literal_length(&code[at..]);
        if let Some(length) = length.filter(|length| next == '"' && *length >= 2) {
            found.push(code[at + 1..at + length - 1].to_owned());
        }
        at += length.unwrap_or_else(|| next.len_utf8());
    }
    found
}

/// Blanks what stands behind `//`, unless the slashes are inside a string.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let length = literal_length(rest).unwrap_or_else(|| next.len_utf8());
        code.push_str(&rest[..length]);
        at += length;
    }
    code
}

/// How long the string or character is that starts here, quotes included. A lifetime is not a character.
fn literal_length(text: &str) -> Option<usize> {
    if let Some(raw) = raw_string_length(text) {
        return Some(raw);
    }
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    if quote == '\'' && !is_character(text) {
        return None;
    }
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        if next == quote && !escaped {
            return Some(at + 1);
        }
        escaped = next == '\\' && !escaped;
    }
    None
}

/// `r"…"` and `r#"…"#`, in which a backslash is a backslash and, with hashes, a quote is a quote.
fn raw_string_length(text: &str) -> Option<usize> {
    let behind_r = text.strip_prefix('r')?;
    let content = behind_r.trim_start_matches('#');
    let hashes = behind_r.len() - content.len();
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content.strip_prefix('"')?.find(&end)?;
    Some(1 + hashes + 1 + length + end.len())
}

fn is_character(text: &str) -> bool {
    let mut inside = text.chars().skip(1);
    let first = inside.next();
    first == Some('\\') || (first.is_some() && inside.next() == Some('\''))
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    /// A call of a log macro, put together so that the rule does not find it in this file.
    fn call(name: &str, arguments: &str) -> String {
        format!("fn f() {{ tracing::{name}{}({arguments}); }}", '!')
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let tests = format!("\n#[cfg(test)]\nmod tests {{\n{}}}\n", "    x();\n".repeat(900));
        let good = file("a.rs", &("x();\n".repeat(LONGEST_FILE) + &tests));
        let bad = file("b.rs", &"x();\n".repeat(LONGEST_FILE + 1));
        assert_eq!(long_files(&[good, bad]), ["b.rs has 501 lines, at most 500 are readable"]);
    }

    #[test]
    fn a_mod_file_is_found() {
        let files = [file("a/model.rs", ""), file("a/mod.rs", "")];
        assert_eq!(mod_files(&files), ["a/mod.rs should be named after its module"]);
    }

    #[test]
    fn a_forbidden_mention_is_found() {
        let files = [file("a.md", "see elsewhere"), file("b.md", "see nowhere")];
        assert_eq!(mentions(&files, &["elsewhere"]), ["a.md mentions elsewhere"]);
    }

    #[test]
    fn messages_that_shout_or_end_in_a_period_are_found() {
        for bad in ["\"Started\"", "partition = 3, \"started.\"", "error = %f(\"a, b\"), \"Failed: {}\", x", "\"\""] {
            let found = bad_log_messages(&[file("a.rs", &call("info", bad))]);
            assert_eq!(found.len(), 1, "{bad} should be found once: {found:?}");
        }
    }

    #[test]
    fn good_messages_are_read_and_let_through() {
        let goods = [
            ("\"started\"", "started"),
            ("target: \"Audit.\", \"key.read\" = \"No.\", \"key read\"", "key read"),
            ("mark = '\"', text = \"say \\\"Hi.\\\"\", \"quoted \\\"Hi\\\" there\"", "quoted \\\"Hi\\\" there"),
            ("topic = %topic,\n        offset = 7,\n        \"record read\",\n    ", "record read"),
        ];
        for (good, expected) in goods {
            let text = call("warn", good);
            assert_eq!(log_messages(&text), [expected]);
            assert_eq!(bad_log_messages(&[file("a.rs", &text)]), Vec::<String>::new());
        }
    }

    #[test]
    fn comments_and_other_macros_are_not_log_messages() {
        let commented =
            format!("// {}\nlet url = \"http://x\"; // {}", call("info", "\"Bad.\""), call("warn", "\"Bad.\""));
        assert_eq!(log_messages(&commented), Vec::<String>::new());
        let other = format!("my_error{}(\"Not ours.\")", '!');
        assert_eq!(log_messages(&other), Vec::<String>::new());
    }

    #[test]
    fn a_raw_string_hides_nothing_behind_it() {
        let text = "g(r\"\\\", \"one\", r#\"a \" // b\"#, \"two\")";
        assert_eq!(string_literals(text), ["one", "two"]);
    }

    #[test]
    fn strings_are_found_among_lifetimes_and_characters() {
        let text = "fn f<'a>(x: &'a str) { g('\"', \"one\", '\\'', \"t\\\"wo\") } // \"three\"";
        assert_eq!(string_literals(text), ["one", "t\\\"wo"]);
    }
}
