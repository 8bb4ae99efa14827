//! API keys: two tenants on one memos, who never learn of each other.

use memos_client::{EventStatus, MemoriesQuery, Owner};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{client_of, question, turn};
use crate::harness::{DEADLINE, Server, block_on, memos, status, wait_until};
use crate::hostile::http::{Reply, Request, send};

/// A new key of a tenant, and the lines for the settings file.
pub(crate) fn key(tenant: &str) -> (String, String) {
    let output = memos().args(["api-key", "new", "--tenant", tenant]).output().expect("memos runs");
    let text = String::from_utf8(output.stdout).expect("memos writes UTF-8");
    let key = text.lines().map(str::trim).find(|line| line.contains('.') && !line.contains(' ')).expect("a key");
    let settings = text.lines().map(str::trim).skip_while(|line| *line != "[[gateway.keys]]");
    let settings: Vec<&str> = settings.take_while(|line| !line.is_empty()).collect();
    (key.to_owned(), settings.join("\n"))
}

/// Everything of an answer that must not tell two causes apart. The id of the request is the caller's own.
fn answer(server: &Server, key: &str, method: &str, path: &str, body: &Value) -> (u16, Vec<(String, String)>, String) {
    let bearer = format!("Bearer {key}");
    let headers =
        [("Authorization", bearer.as_str()), ("Content-Type", "application/json"), ("X-Request-Id", "the-same")];
    let body = if method == "GET" { String::new() } else { body.to_string() };
    let Reply { status, mut headers, body } =
        send(&server.url, &Request { method, path, headers: &headers, body: body.as_bytes() });
    headers.retain(|(name, _)| name != "date");
    headers.sort();
    (status, headers, body)
}

// law: L08
#[test]
fn what_is_anothers_answers_as_what_is_not_there() {
    let root = tempfile::tempdir().expect("a directory");
    let ((one, settings_of_one), (two, settings_of_two)) = (key("one"), key("two"));
    let inlet = "[[gateway.inlets]]\nname = \"private\"\ntenant = \"one\"";
    let file = root.path().join("memos.toml");
    std::fs::write(&file, format!("{settings_of_one}\n{settings_of_two}\n{inlet}\n")).expect("a file");
    let server = Server::start(&root.path().join("data"), &["--config", &file.display().to_string()]);
    let (client_of_one, client_of_two) = (client_of(&server, &one), client_of(&server, &two));

    let events = [
        turn("mine", "alice", "My locker code is 4711."),
        json!({"id": "end", "user_id": "alice", "type": "session_end"}),
    ];
    block_on(client_of_one.publish(&events)).expect("good events");
    wait_until(DEADLINE, "it is a memory", || status(&client_of_one, "mine") == Some(EventStatus::Kept));
    let id = block_on(client_of_one.event("mine")).expect("it is known").memory_id.expect("it was kept");
    let bad = json!({"user_id": "alice"}).to_string();
    let bearer = format!("Bearer {one}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let path = "/v1/inlets/private";
    assert_eq!(
        send(&server.url, &Request { method: "POST", path, headers: &headers, body: bad.as_bytes() }).status,
        202
    );
    wait_until(DEADLINE, "a dead letter of the first", || {
        !block_on(client_of_one.dead_letters(10)).expect("a list").is_empty()
    });
    let letter = block_on(client_of_one.dead_letters(10)).expect("a list")[0].id;

    let nothing = Uuid::from_u128(0x1234);
    let pairs = [
        ("GET", format!("/v1/memories/{id}"), format!("/v1/memories/{nothing}")),
        ("GET", format!("/v1/memories/{id}/history"), format!("/v1/memories/{nothing}/history")),
        ("PATCH", format!("/v1/memories/{id}"), format!("/v1/memories/{nothing}")),
        ("DELETE", format!("/v1/memories/{id}"), format!("/v1/memories/{nothing}")),
        ("GET", "/v1/events/mine".to_owned(), "/v1/events/none".to_owned()),
        ("POST", "/v1/inlets/private".to_owned(), "/v1/inlets/none".to_owned()),
    ];
    let body = json!({"text": "something else"});
    for (method, foreign, missing) in pairs {
        let (theirs, none) =
            (answer(&server, &two, method, &foreign, &body), answer(&server, &two, method, &missing, &body));
        assert_eq!(theirs, none, "{method} {foreign}");
        assert_eq!(theirs.0, 404, "{method} {foreign}");
    }
    let feedback = |id: Uuid| json!({"memory_ids": [id], "useful": true});
    let of = |id| answer(&server, &two, "POST", "/v1/feedback", &feedback(id));
    assert_eq!(of(id), of(nothing));
    let replay = |id: Uuid| answer(&server, &two, "POST", "/v1/dead-letters/replay", &json!({"ids": [id]}));
    assert_eq!(
        replay(letter).2.replace(&letter.to_string(), "ID"),
        replay(nothing).2.replace(&nothing.to_string(), "ID")
    );

    nothing_is_listed(&client_of_two);
    let unchanged = block_on(client_of_one.memory(id)).expect("the owner still has it");
    assert_eq!((unchanged.text.as_str(), unchanged.version), ("My locker code is 4711.", 1));
    for wrong in [format!("{}x", one), one.replace('.', ""), "x.y".to_owned()] {
        let refused = answer(&server, &wrong, "GET", "/v1/users/alice/memories", &Value::Null);
        assert_eq!(refused.0, 401);
    }
    server.stop();
}

/// The same name in another tenant is another person, of whom nothing is known.
fn nothing_is_listed(client: &memos_client::Client) {
    let found = block_on(client.recall(&question("alice", "locker code"))).expect("an answer");
    assert_eq!(found.results.len(), 0);
    let alice = Owner::User("alice");
    assert_eq!(block_on(client.memories(alice, &MemoriesQuery::default())).expect("a page").results.len(), 0);
    let conversation = block_on(client.working_memory(alice)).expect("an answer");
    assert_eq!((conversation.turns.len(), conversation.next_seq), (0, 0));
    let profile = block_on(client.profile(alice, None)).expect("an answer");
    assert_eq!((profile.facts.len(), profile.topics.len(), profile.style), (0, 0, None));
    assert_eq!(block_on(client.dead_letters(10)).expect("a list").len(), 0);
}

/// One memos, one text, two tenants: a domain and a rule of its own decide what is kept of it.
#[test]
fn a_tenant_may_have_rules_of_its_own() {
    let root = tempfile::tempdir().expect("a directory");
    let ((one, settings_of_one), (two, settings_of_two)) = (key("one"), key("two"));
    let rules = "domain = \"health\"\n[tenants.two]\ndomain = \"support\"\nrules = { keep_at = 1000 }\n";
    let file = root.path().join("memos.toml");
    std::fs::write(&file, format!("{rules}{settings_of_one}\n{settings_of_two}\n")).expect("a file");
    let server = Server::start(&root.path().join("data"), &["--config", &file.display().to_string()]);
    let events = [
        turn("told", "alice", "The fair in Lisbon was on 12 June."),
        json!({"id": "end", "user_id": "alice", "type": "session_end"}),
    ];
    for (key, becomes) in [(&one, EventStatus::Kept), (&two, EventStatus::NotKept)] {
        let client = client_of(&server, key);
        block_on(client.publish(&events)).expect("good events");
        wait_until(DEADLINE, "it is consolidated", || status(&client, "told") == Some(becomes));
        let kept = block_on(client.memories(Owner::User("alice"), &MemoriesQuery::default())).expect("a page");
        let said = kept.results.iter().filter(|memory| memory.part_of.is_none()).count();
        assert_eq!(said, usize::from(becomes == EventStatus::Kept));
    }
    server.stop();
}
