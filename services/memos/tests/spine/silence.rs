//! Nobody hears what people say but those who may ask for it.
//!
//! Every field of every input is a canary: what is good, what is wrong in any way, and what is no request at all. It must
//! be in no line of the log at its most talkative, in no metric, in no file, and in no refusal. A refusal may name a field, a
//! parameter or an operator that its own request has sent, for it says which of them is unknown; it never quotes a value, not
//! even to whoever sent it, because clients log the errors they get. Only answers that succeed hold content, for its owner.
//! One thing is meant for logs: the id that a client gives its request (`X-Request-Id`).
//!
//! From outside there is no way to make an actor panic, so that is not tried; what a panic would show are the redacting
//! forms, which have tests of their own.

// law: L09, L08, L11

use memory_core::event::parse::FIELDS;
use memos_client::inlet::{InletRecord, Signer};
use memos_client::{Interaction, RecallRequest};
use serde_json::{Map, Value, json};

use crate::harness::{self, DEADLINE, get, wait_until};
use crate::hostile::http::{Request, begin};

#[path = "silence/scene.rs"]
mod scene;

use scene::{JSON, Scene};

/// Types of events that have a body.
const CONTROLS: [&str; 8] =
    ["remember", "correct", "delete", "feedback", "consent", "forget", "session_end", "idle_tick"];
/// The fields of such bodies.
const OF_BODIES: [&str; 14] = [
    "text",
    "kind",
    "topic",
    "memory_id",
    "memory_ids",
    "event_ids",
    "useful",
    "remember",
    "everything",
    "session_id",
    "origin",
    "from",
    "to",
    "expires_at",
];
/// The fields of a forget by request.
const OF_FORGETS: [&str; 15] = [
    "everything",
    "memory_ids",
    "event_ids",
    "session_id",
    "run_id",
    "origin",
    "from",
    "to",
    "query",
    "filters",
    "kinds",
    "limit",
    "min_score",
    "dry_run",
    "confirm",
];
/// What must have been provoked at least.
const CODES: [&str; 24] = [
    "invalid_json",
    "json_too_deep",
    "missing_field",
    "unknown_field",
    "invalid_field",
    "too_large",
    "too_many_interactions",
    "invalid_query",
    "invalid_cursor",
    "wrong_log",
    "unauthorized",
    "route_not_found",
    "memory_not_found",
    "event_not_found",
    "inlet_not_found",
    "dead_letter_not_found",
    "receipt_not_found",
    "method_not_allowed",
    "request_timeout",
    "confirm_needed",
    "body_too_large",
    "unsupported_media_type",
    "storage_low",
    "timeout",
];

fn names(of: &[String]) -> Vec<&str> {
    of.iter().map(String::as_str).collect()
}

/// Somebody says everything that can be said, and it is kept.
fn good_events(scene: &mut Scene) -> String {
    let [user, text, speaker, tag, key, value, session, agent, app] = scene.words();
    let id = scene.event_id();
    let [part, file, note, remembered, nested] = scene.words();
    let events = json!({ "interactions": [
        { "id": id, "user_id": user, "session_id": session, "agent_id": agent, "app_id": app, "speaker": speaker,
            "content": format!("I moved to Berlin with my sister Anna, {text}."), "tags": [tag],
            "metadata": { key: value, "x": { "y": [nested] } } },
        { "user_id": user, "content": [{ "type": "text", "text": format!("I was born in {part}.") },
            { "type": "file", "name": file }] },
        { "user_id": user, "type": "note", "content": format!("{note} is allergic to penicillin.") },
        { "user_id": user, "type": "remember", "body": { "kind": "preference", "text": remembered } },
        { "user_id": user, "type": "session_end" },
    ] });
    let idempotent = scene.word();
    let headers = [JSON, ("Idempotency-Key", idempotent.as_str())];
    let reply = scene.send("POST", "/v1/interactions", &headers, events.to_string().as_bytes(), &[]);
    assert_eq!(reply.status, 202, "{}", reply.body);
    let path = format!("/v1/users/{user}/memories");
    wait_until(DEADLINE, "they are memories", || {
        let list = scene.ask("GET", &path, &Value::Null, &[]);
        list.json()["results"].as_array().is_some_and(|found| found.len() >= 3)
    });
    user
}

/// Events with every field in every shape; those that are taken count as well.
fn bad_events(scene: &mut Scene, user: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for field in FIELDS.into_iter().chain(["colour"]) {
        for (value, named) in scene.shapes() {
            let mut event = json!({ "user_id": user, "content": "hello" });
            event[field] = value;
            events.push((event, named));
        }
        let unknown = scene.word();
        events.push((json!({ "user_id": user, "content": "hello", unknown.as_str(): 1 }), vec![unknown]));
    }
    for kind in CONTROLS {
        for (body, named) in scene.shapes() {
            events.push((json!({ "user_id": user, "type": kind, "body": body }), named));
        }
        for field in OF_BODIES {
            for (value, named) in scene.shapes() {
                events.push((json!({ "user_id": user, "type": kind, "body": { field: value } }), named));
            }
        }
    }
    for (event, named) in &events {
        scene.note_event(event);
        scene.ask("POST", "/v1/interactions", &json!({ "interactions": [event] }), &names(named));
    }
    events.into_iter().map(|(event, _)| event).collect()
}

/// Bodies that are no good as a whole.
fn bad_bodies(scene: &mut Scene) {
    let [open, large, deep, list, control, latin, media, many] = scene.words();
    let deep = (0..40).fold(json!(deep), |inner, _| json!([inner]));
    let long = |text: &str, bytes: usize| format!("{text} {}", "x".repeat(bytes));
    let one = |text: String| json!({ "interactions": [{ "user_id": "u", "content": text }] }).to_string();
    let several: Vec<Value> = (0..201).map(|_| json!({ "user_id": "u", "content": many })).collect();
    let bodies = [
        format!("{{\"interactions\": [{{\"content\": \"{open}").into_bytes(),
        one(long(&large, 99_000)).into_bytes(),
        one(long(&large, 110_000)).into_bytes(),
        json!({ "interactions": deep }).to_string().into_bytes(),
        json!([list]).to_string().into_bytes(),
        format!("{{\"interactions\": \"{control}\u{1}\"}}").into_bytes(),
        [format!("{{\"{latin}").as_bytes(), &[0xff, b'"', b'}']].concat(),
        json!({ "interactions": several }).to_string().into_bytes(),
    ];
    for path in ["/v1/interactions", "/v1/recall", "/v1/feedback", "/v1/users/u/forget", "/v1/dead-letters/replay"] {
        for body in &bodies {
            scene.send("POST", path, &[JSON], body, &[]);
        }
        let media = format!("text/{media}");
        scene.send("POST", path, &[("Content-Type", &media)], b"{}", &[]);
    }
    // Half a body, and then silence: what came of it is not told.
    let half = scene.word();
    let bearer = scene.bearer.clone();
    let headers = [("Authorization", bearer.as_str()), JSON];
    let request = Request { method: "POST", path: "/v1/interactions", headers: &headers, body: &[] };
    let late = begin(&scene.server.url, &request, 1_000).finish(format!("{{\"{half}\":").as_bytes());
    assert_eq!((late.status, late.code().as_str()), (408, "request_timeout"));
    assert_eq!(scene.canaries().find(late.body.as_bytes()), []);
    scene.codes.insert(late.code());
}

/// Questions, lists, corrections, feedback: every field and parameter in every shape.
fn questions(scene: &mut Scene, user: &str) {
    let good = json!({ "user_id": user, "query": scene.word(), "filters": { "tags": { "contains": scene.word() } } });
    assert_eq!(scene.ask("POST", "/v1/recall", &good, &[]).status, 200);
    let fields = json!(RecallRequest::default());
    let fields: Vec<String> = fields.as_object().expect("an object").keys().cloned().collect();
    for field in fields.iter().map(String::as_str).chain(["run_id", "colour"]) {
        for (value, named) in scene.shapes() {
            let mut question = json!({ "user_id": user, "query": "x" });
            question[field] = value;
            scene.ask("POST", "/v1/recall", &question, &names(&named));
        }
    }
    let [field, operator, value, text, id] = scene.words();
    for filters in [
        json!({ field.as_str(): { "eq": value } }),
        json!({ "kind": { operator.as_str(): value } }),
        json!({ "kind": { "eq": value } }),
        json!({ "and": value }),
        json!({ "time": { "gt": value } }),
        json!({ "not": [{ "metadata.x": { "in": value } }] }),
    ] {
        let named = [field.as_str(), operator.as_str()];
        scene.ask("POST", "/v1/recall", &json!({ "user_id": user, "query": "x", "filters": filters }), &named);
        let query = format!("/v1/users/{user}/memories?filters={}", escaped(&filters.to_string()));
        scene.ask("GET", &query, &Value::Null, &named);
    }
    for position in [json!("memos:1"), json!({ "log": id, "next": {} })] {
        scene.ask("POST", "/v1/recall", &json!({ "user_id": user, "query": "x", "at_least": position }), &[]);
    }
    scene.ask("PATCH", &format!("/v1/memories/{}", uuid::Uuid::nil()), &json!({ "text": text }), &[]);
    for field in ["memory_ids", "useful", "user_id", "query", "colour"] {
        for (value, named) in scene.shapes() {
            let mut feedback = json!({ "memory_ids": [uuid::Uuid::nil()], "useful": true });
            feedback[field] = value.clone();
            scene.ask("POST", "/v1/feedback", &feedback, &names(&named));
            scene.ask("PUT", &format!("/v1/users/{user}/consent"), &json!({ field: value }), &names(&named));
        }
    }
}

/// As it stands in a query string.
fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

/// Positions of another log, and of none that this one will reach soon.
fn positions(scene: &mut Scene, user: &str) {
    let word = scene.word();
    let event = json!({ "interactions": [{ "user_id": user, "content": word }] });
    let taken = scene.ask("POST", "/v1/interactions", &event, &[]).json();
    let here: memos_client::Position = serde_json::from_value(taken["position"].clone()).expect("a position");
    let mut ahead = here.clone();
    let (partition, next) = here.next.iter().next().expect("one partition");
    ahead.cover(*partition, memory_core::Offset::new(next.get() + 1_000));
    for position in [ahead, memos_client::Position::new(uuid::Uuid::from_u128(7))] {
        let word = scene.word();
        scene.ask("POST", "/v1/recall", &json!({ "user_id": user, "query": word, "at_least": position }), &[]);
    }
}

/// Paths, parameters, methods and headers.
fn requests(scene: &mut Scene) {
    let [id, name, value, cursor] = scene.words();
    for path in [
        format!("/{id}"),
        format!("/v1/{id}"),
        format!("/v1/users/{id}"),
        format!("/v1/users/{id}/memories?{name}={value}"),
        format!("/v1/users/{id}/memories?cursor={cursor}"),
        format!("/v1/users/{id}/memories?limit={value}&kind={value}"),
        format!("/v1/users/{id}/memories?limit=2&limit={value}"),
        format!("/v1/users/{id}/memories?kind={value}"),
        format!("/v1/users/{id}%01/working-memory"),
        format!("/v1/users/{id}%ff%fe/working-memory"),
        format!("/v1/users/{id}{}/working-memory", "y".repeat(300)),
        format!("/v1/{id}/x/working-memory"),
        format!("/v1/users/{id}/profile?now={value}"),
        format!("/v1/users/{id}/profile?{name}={value}"),
        format!("/v1/memories/{id}"),
        format!("/v1/memories/{id}%ff/history"),
        format!("/v1/memories/{id}/history"),
        format!("/v1/events/{id}"),
        format!("/v1/events/{id}{}", "y".repeat(300)),
        format!("/v1/receipts/{id}"),
        format!("/v1/dead-letters?limit={value}"),
        format!("/v1/dead-letters?{name}=1"),
        format!("/health/ready?{name}={value}"),
        format!("/metrics/{id}"),
        format!("/docs/{id}"),
        format!("/v1/recall/{id}?x=%ff%f{value}"),
    ] {
        for method in ["GET", "POST", "DELETE", "PATCH", "PUT"] {
            scene.ask(method, &path, &json!({}), &[name.as_str()]);
        }
    }
    for name in [
        "Authorization",
        "X-API-Key",
        "Idempotency-Key",
        "traceparent",
        "tracestate",
        "User-Agent",
        "Cookie",
        "Referer",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "Forwarded",
        "Accept",
        "Accept-Encoding",
        "Expect",
        "Range",
        "If-None-Match",
        "Origin",
        "X-HTTP-Method-Override",
        "ce-id",
    ] {
        for form in ["{}", "Bearer {}", "Bearer a.{}", "00-{}-01", "{}\u{e9}", "{}; q=1"] {
            let value = form.replace("{}", &scene.word());
            scene.send("GET", "/v1/users/u/memories", &[(name, &value)], b"", &[]);
            scene.send("POST", "/v1/interactions", &[JSON, (name, &value)], b"{\"interactions\": [7]}", &[]);
        }
        let long = format!("{}{}", scene.word(), "z".repeat(400));
        scene.send("POST", "/v1/recall", &[JSON, (name, &long)], b"{\"user_id\": \"u\"}", &[]);
    }
}

/// Bytes that are no HTTP, or hardly.
fn raw(scene: &mut Scene) {
    let [method, host, header, line, chunk, version] = scene.words();
    let bearer = scene.bearer.clone();
    for text in [
        format!(
            "{} /v1/recall HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n",
            method.to_uppercase()
        ),
        format!("{method} /v1/recall HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n"),
        format!(
            "GET /v1/users/u/memories HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n"
        ),
        format!("GET /v1/{host} HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{header} {header}: x\r\n\r\n"),
        format!("GET /{line} HTTP/1.1\r\n{}: {}\r\n\r\n", header, "w".repeat(200_000)),
        format!("{line}\r\n\r\n"),
        format!("GET /{version} HTTP/{version}\r\n\r\n"),
        format!(
            "POST /v1/recall HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\nContent-Type: application/json\r\n\
                 Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunk}\r\n{chunk}\r\n"
        ),
        format!("POST /v1/recall HTTP/1.1\r\nHost: x\r\nContent-Length: {chunk}\r\n\r\n{chunk}"),
    ] {
        scene.send_raw(text.as_bytes());
    }
}

/// Records of inlets: all the events again, good and forged signatures, CloudEvents with every attribute wrong.
fn inlets(scene: &mut Scene, user: &str, events: &[Value]) {
    for some in events.chunks(150) {
        let lines: Vec<String> = some.iter().map(Value::to_string).collect();
        let key = scene.word();
        let headers = [("Content-Type", "application/x-ndjson"), ("ce-partitionkey", key.as_str())];
        assert_eq!(scene.send("POST", "/v1/inlets/bound", &headers, lines.join("\n").as_bytes(), &[]).status, 202);
    }
    for attribute in ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "partitionkey"] {
        let [value, data] = scene.words();
        let id = scene.event_id();
        let name = format!("ce-{attribute}");
        let body = json!({ "id": id, "user_id": user, "content": data });
        let headers = [JSON, ("ce-specversion", "1.0"), (name.as_str(), value.as_str())];
        let headers = if attribute == "specversion" { &headers[..1] } else { &headers[..] };
        scene.send(
            "POST",
            "/v1/inlets/bound",
            &[headers, &[(&name, &value)]].concat(),
            body.to_string().as_bytes(),
            &[],
        );
        let mut event = json!({ "specversion": "1.0", "id": id, "source": "/x", "type": "turn", "data": body });
        event[attribute] = json!(value);
        // An event without an id of its own has that of its envelope.
        scene.note_event(&event);
        let structured = [("Content-Type", "application/cloudevents+json")];
        scene.send("POST", "/v1/inlets/bound", &structured, event.to_string().as_bytes(), &[]);
    }
    for body in [format!("{{\"{}", scene.word()), scene.word(), format!("[\"{}\"]", scene.word())] {
        scene.send("POST", "/v1/inlets/bound", &[JSON], body.as_bytes(), &[]);
    }
    let nowhere = format!("/v1/inlets/{}", scene.word());
    scene.send("POST", &nowhere, &[JSON], b"{}", &[]);
    signed(scene, user);
    let letters = || scene.server.metric("memos_dead_letters_total");
    wait_until(DEADLINE, "there are dead letters", || letters() >= 300.0);
}

fn signed(scene: &mut Scene, user: &str) {
    let signer =
        |scene: &Scene, key: &str| Signer::try_new("signed", &scene.tenant, key, Scene::secret()).expect("good names");
    let unknown = scene.word();
    for (key, forged) in [("k", false), ("k", true), (unknown.as_str(), false)] {
        let [text, other] = scene.words();
        let id = scene.event_id();
        let turn =
            Interaction { id: Some(id), ..Interaction::turn(user, memory_core::Role::User, format!("I like {text}.")) };
        let record = InletRecord::plain(&turn).expect("a record").signed(&signer(scene, key)).expect("signed");
        let value = if forged {
            String::from_utf8_lossy(&record.value).replace(&text, &other)
        } else {
            String::from_utf8_lossy(&record.value).into_owned()
        };
        let headers: Vec<(String, String)> = record
            .headers
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8(value).expect("headers are text")))
            .collect();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(scene.send("POST", "/v1/inlets/signed", &headers, value.as_bytes(), &[]).status, 202);
        let [signature, key] = scene.words();
        let tenant = scene.tenant.clone();
        let headers =
            [JSON, ("memos-tenant", tenant.as_str()), ("memos-key-id", &key), ("memos-signature", &signature)];
        scene.send("POST", "/v1/inlets/signed", &headers, value.as_bytes(), &[]);
        let nobody = scene.word();
        scene.send("POST", "/v1/inlets/signed", &[JSON, ("memos-tenant", &nobody)], value.as_bytes(), &[]);
    }
}

/// What could not be taken, sent in again.
fn dead_letters(scene: &mut Scene) {
    assert_eq!(scene.ask("GET", "/v1/dead-letters?limit=1000", &Value::Null, &[]).status, 200);
    for field in ["ids", "reason", "all", "colour"] {
        for (value, named) in scene.shapes() {
            scene.ask("POST", "/v1/dead-letters/replay", &json!({ field: value }), &names(&named));
        }
    }
    scene.ask("POST", "/v1/dead-letters/replay", &json!({ "ids": [uuid::Uuid::nil()] }), &[]);
    let before = scene.server.metric("memos_dead_letters_total");
    assert_eq!(scene.ask("POST", "/v1/dead-letters/replay", &json!({}), &[]).status, 202);
    wait_until(DEADLINE, "they are back", || scene.server.metric("memos_dead_letters_total") >= before + 300.0);
}

/// Forgets of all kinds; the last one takes everything.
fn forgets(scene: &mut Scene, user: &str) {
    let path = format!("/v1/users/{user}/forget");
    for dry_run in [true, false] {
        for field in OF_FORGETS.into_iter().chain(["colour"]).filter(|field| *field != "everything" || dry_run) {
            for (value, named) in scene.shapes() {
                let mut body = Map::from_iter([("dry_run".to_owned(), json!(dry_run))]);
                body.insert(field.to_owned(), value);
                scene.ask("POST", &path, &Value::Object(body), &names(&named));
            }
        }
    }
    let [wait, timeout, confirm, idempotent] = scene.words();
    let everything = json!({ "everything": true });
    scene.ask("POST", &format!("{path}?wait={wait}"), &everything, &[]);
    scene.ask("POST", &format!("{path}?timeout_ms={timeout}"), &everything, &[]);
    scene.ask("POST", &path, &json!({ "everything": true, "confirm": confirm }), &[]);
    let found = scene.ask("GET", &format!("/v1/users/{user}/memories"), &Value::Null, &[]).json();
    let one = found["results"][0]["id"].as_str().expect("there are memories").to_owned();
    assert_eq!(scene.ask("DELETE", &format!("/v1/memories/{one}?wait=verified"), &Value::Null, &[]).status, 202);
    let headers = [JSON, ("Idempotency-Key", idempotent.as_str())];
    let wait = format!("{path}?wait=verified");
    assert_eq!(scene.send("POST", &wait, &headers, everything.to_string().as_bytes(), &[]).status, 202);
}

#[test]
fn nothing_that_anybody_sends_is_in_logs_metrics_files_or_refusals() {
    let seed = harness::seed("silence", "every field of every input is a canary");
    let mut scene = Scene::new(seed);
    let user = good_events(&mut scene);
    let events = bad_events(&mut scene, &format!("{user}-2"));
    bad_bodies(&mut scene);
    questions(&mut scene, &user);
    positions(&mut scene, &user);
    requests(&mut scene);
    raw(&mut scene);
    inlets(&mut scene, &format!("{user}-3"), &events);
    dead_letters(&mut scene);
    forgets(&mut scene, &user);
    let canaries = scene.canaries();
    assert_eq!(canaries.find(get(&scene.server.url, "/metrics").as_bytes()), [], "in the metrics");
    let described = get(&scene.server.url, "/openapi.json");
    assert!(described.contains("/v1/recall") && canaries.find(described.as_bytes()).is_empty());
    // A full disk refuses as quietly.
    let mut scene = scene.restart(&["--set", "disk.min_free_bytes=4611686018427387904"]);
    let word = scene.word();
    let event = json!({ "interactions": [{ "user_id": user, "content": word }] });
    assert_eq!(scene.ask("POST", "/v1/interactions", &event, &[]).status, 503);
    let missing: Vec<&str> = CODES.into_iter().filter(|code| !scene.codes.contains(*code)).collect();
    assert_eq!((missing, scene.count() > 1_500), (Vec::new(), true), "not everything was provoked: {:?}", scene.codes);
    assert_eq!(scene.quotes(), Vec::<String>::new(), "refusals quote");
    let canaries = scene.canaries();
    let (out, errors, in_files) = scene.stop();
    assert!(errors.contains("\"answered\""), "the log is at its most talkative");
    assert_eq!(in_files, [], "in a file");
    assert_eq!(canaries.find(out.as_bytes()), [], "on standard output");
    let lines: Vec<&str> = errors.lines().filter(|line| !canaries.find(line.as_bytes()).is_empty()).collect();
    assert_eq!(lines, Vec::<&str>::new(), "in the log");
}
