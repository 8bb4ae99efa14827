use super::*;

fn file(dir: &Path, text: &str, mode: u32) -> RootSource {
    let path = dir.join("root.key");
    drop(std::fs::remove_file(&path));
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    RootSource::File(path)
}

fn refused(source: &RootSource) -> String {
    source.load().expect_err("it is no root key").to_string()
}

const ONE: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const TWO: &str = "0202020202020202020202020202020202020202020202020202020202020aBc";

#[test]
fn the_first_root_is_the_current_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let roots = file(dir.path(), &format!("# ours\n\n {TWO} \r\n{ONE}\n"), 0o600).load().expect("two roots");
    assert_eq!(roots.current().key().as_bytes()[29..], [2, 0x0a, 0xbc]);
    assert_eq!(roots.older().len(), 1);
    assert_eq!(roots.older()[0].key().as_bytes(), &[1; 32]);
    assert!(roots.find(roots.older()[0].id()).is_some() && roots.find([0; 8]).is_none());
}

#[test]
fn what_protects_nothing_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let refused_text = |text: &str| refused(&file(dir.path(), text, 0o600));
    assert!(refused_text("").contains("no root key"));
    assert!(refused_text("# only a comment\n").contains("no root key"));
    assert!(refused_text("0011\n").contains("line 1"), "too short");
    assert!(refused_text(&format!("{ONE}\n{ONE}00\n")).contains("line 2"), "too long");
    assert!(refused_text(&"é".repeat(32)).contains("64 hexadecimal digits"));
    assert!(refused_text(&"0".repeat(64)).contains("zeros"));
    assert!(refused_text(&"#".repeat(TEXT_MAX + 1)).contains("read the root key"));
    for mode in [0o640, 0o604, 0o620, 0o601] {
        assert!(refused(&file(dir.path(), ONE, mode)).contains("chmod 600"), "{mode:o}");
    }
    file(dir.path(), ONE, 0o400).load().expect("its owner alone may read it");
    let text = refused(&RootSource::File(dir.path().join("none")));
    assert!(text.contains("memos keys init"), "{text}");
}

#[test]
fn a_root_key_comes_from_a_command_or_the_environment() {
    let command = |line: &str| RootSource::Command(["sh", "-c", line].map(str::to_owned).to_vec());
    let roots = command(&format!("printf {ONE}")).load().expect("a root");
    assert_eq!(roots.current().key().as_bytes(), &[1; 32]);
    assert!(refused(&command(&format!("printf {ONE}; exit 3"))).contains("exit status: 3"));
    assert!(refused(&RootSource::Command(vec!["/no/such/program".to_owned()])).contains("/no/such/program"));
    assert!(refused(&RootSource::Command(Vec::new())).contains("command"));
    assert!(refused(&RootSource::Env("MEMOS_NO_SUCH_ROOT".to_owned())).contains("MEMOS_NO_SUCH_ROOT"));
    // Cargo sets this one, and it is no key.
    assert!(refused(&RootSource::Env("CARGO_PKG_NAME".to_owned())).contains("64 hexadecimal digits"));
}

#[test]
fn a_root_in_the_data_directory_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let inside = RootSource::File(data.join("sub/../root.key"));
    assert!(inside.check_outside(&data).is_err(), "the directory is not there yet");
    std::fs::create_dir_all(data.join("sub")).expect("a directory");
    let text = inside.check_outside(&data).expect_err("it is inside").to_string();
    assert!(text.contains("keys.root_file"), "{text}");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&data, &link).expect("a link");
    assert!(RootSource::File(link.join("root.key")).check_outside(&data).is_err(), "through a link");
    assert!(RootSource::File(data.join("root.key")).check_outside(&link).is_err(), "through a link");
    RootSource::File(dir.path().join("data.key")).check_outside(&data).expect("it is beside");
    RootSource::Env("HOME".to_owned()).check_outside(&data).expect("it is nowhere");
}

#[test]
fn a_root_is_made_once_and_replaced_only_by_rotation() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("new/root.key");
    let source = RootSource::File(path.clone());
    let made = init(&path).expect("a root");
    assert_eq!(source.load().expect("it is there").current().id(), made.id());
    assert!(matches!(init(&path), Err(RootError::Exists { .. })));
    let held = File::open(&path).expect("the file");
    let next = RootKey::random().expect("a root");
    replace(&path, &[&next, &made]).expect("it is replaced");
    let mut text = String::new();
    (&held).read_to_string(&mut text).expect("the old file");
    assert!(text.bytes().all(|byte| byte == 0), "the old file still holds a key");
    let roots = source.load().expect("both");
    assert_eq!((roots.current().id(), roots.older()[0].id()), (next.id(), made.id()));
    assert_eq!(std::fs::read_dir(path.parent().expect("a directory")).expect("a list").count(), 1, "nothing is left");
}
