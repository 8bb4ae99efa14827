//! The client against a socket that answers from a script: what is retried, and what is not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use serde_json::Value;

use super::*;
use crate::forget::{ForgetBody, ForgetUntil, ReceiptStatus};

/// Answers one connection after the other with these; gives back what was asked.
fn server(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("is bound"));
    let handle = std::thread::spawn(move || {
        let exchange = |answer: String| answer_one(listener.accept().expect("a connection").0, &answer);
        answers.into_iter().map(exchange).collect()
    });
    (address, handle)
}

fn answer_one(stream: TcpStream, answer: &str) -> String {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    (&stream).write_all(answer.as_bytes()).expect("the client reads");
    head + &String::from_utf8(body).expect("JSON is text")
}

fn answer(status: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn error(code: &str) -> Value {
    json!({ "error": { "code": code, "message": "later", "request_id": "r-1" } })
}

#[tokio::test]
async fn a_full_server_is_asked_again_with_the_same_key() {
    let accepted = json!({ "results": [], "position": format!("p1.{}", Uuid::nil().simple()) });
    let answers = vec![
        answer("429 Too Many Requests", "retry-after: 0\r\n", &error("overloaded")),
        answer("503 Service Unavailable", "retry-after: 0\r\n", &error("restoring")),
        answer("202 Accepted", "", &accepted),
    ];
    let (address, asked) = server(answers);
    let client = Client::new(&address, Some("k.secret".to_owned())).expect("an address");
    let none: [Value; 0] = [];
    client.publish(&none).await.expect("the third answer is good");
    let asked = asked.join().expect("the server ends");
    let keys: Vec<&str> =
        asked.iter().flat_map(|head| head.lines()).filter(|line| line.starts_with("idempotency-key")).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert!(asked.iter().all(|head| head.contains("authorization: Bearer k.secret")));
}

#[tokio::test]
async fn a_refusal_is_final_and_typed() {
    let (address, asked) = server(vec![answer("404 Not Found", "", &error("memory_not_found"))]);
    let client = Client::new(&address, None).expect("an address");
    let refused = client.memory(Uuid::nil()).await.expect_err("is refused");
    assert_eq!((refused.code(), refused.request_id()), (Some("memory_not_found"), Some("r-1")));
    assert_eq!(asked.join().expect("the server ends").len(), 1);
}

#[tokio::test]
async fn attempts_are_bounded() {
    let full = || answer("429 Too Many Requests", "retry-after: 0\r\n", &error("overloaded"));
    let (address, asked) = server(vec![full(), full()]);
    let settings = ClientSettings { attempts: 2, ..ClientSettings::default() };
    let client = Client::with_settings(&address, None, settings).expect("an address");
    let refused = client.event("e/1").await.expect_err("stays full");
    assert_eq!(refused.code(), Some("overloaded"));
    let asked = asked.join().expect("the server ends");
    assert_eq!(asked.len(), 2);
    assert!(asked[0].starts_with("GET /v1/events/e%2F1 "), "{}", asked[0]);
}

#[test]
fn only_an_http_address_is_taken() {
    for url in ["", "localhost", "https://localhost", "mailto:x"] {
        assert!(matches!(Client::new(url, None), Err(ClientError::Address { .. })), "{url}");
    }
}

fn receipt(status: &str) -> Value {
    json!({
        "id": Uuid::nil(), "status": status, "scope": "everything", "accepted_at": "2026-05-08T13:56:00Z",
        "forgotten": null, "copies": []
    })
}

#[tokio::test]
async fn a_forget_says_what_goes_and_how_long_to_wait() {
    let position = format!("p1.{}", Uuid::nil().simple());
    let forgotten = json!({ "receipt": receipt("erased"), "position": position });
    let preview = json!({ "memories": 1, "turns": 0, "memory_ids": [Uuid::nil()], "event_ids": [] });
    let answers = vec![
        answer("503 Service Unavailable", "retry-after: 0\r\n", &error("unavailable")),
        answer("202 Accepted", "", &forgotten),
        answer("200 OK", "", &json!({ "preview": preview, "confirm": "c" })),
        answer("202 Accepted", "", &forgotten),
        answer("200 OK", "", &receipt("verified")),
    ];
    let (address, asked) = server(answers);
    let client = Client::new(&address, None).expect("an address");
    let (owner, all) = (Owner::User("a/b"), ForgetBody::everything());
    let wait = Some((ForgetUntil::Stage(ReceiptStatus::Erased), Duration::from_millis(70)));
    let done = client.forget(owner, &all, wait).await.expect("it is forgotten");
    assert_eq!(done.receipt.status, ReceiptStatus::Erased);
    let dry = client.forget_preview(owner, &all).await.expect("a preview");
    assert_eq!((dry.preview.memories, dry.confirm.as_str()), (1, "c"));
    client.delete_memory(Uuid::nil()).await.expect("it is forgotten");
    assert_eq!(client.receipt(Uuid::nil()).await.expect("a receipt").status, ReceiptStatus::Verified);
    let asked = asked.join().expect("the server ends");
    let key = |head: &str| head.lines().find(|line| line.starts_with("idempotency-key")).map(str::to_owned);
    assert!(key(&asked[0]).is_some() && key(&asked[0]) == key(&asked[1]), "a retry is the same forget");
    assert!(asked[1].starts_with("POST /v1/users/a%2Fb/forget?wait=erased&timeout_ms=70 "), "{}", asked[1]);
    assert!(asked[1].ends_with(r#"{"everything":true}"#), "{}", asked[1]);
    assert!(asked[2].ends_with(r#"{"everything":true,"dry_run":true}"#), "{}", asked[2]);
    assert!(asked[3].starts_with("DELETE /v1/memories/"), "{}", asked[3]);
    assert!(asked[4].starts_with("GET /v1/receipts/"), "{}", asked[4]);
}

#[tokio::test]
async fn an_error_names_no_user_and_quotes_no_answer() {
    let (address, asked) = server(vec![answer("200 OK", "", &json!({ "results": "said by zoe", "next": null }))]);
    let client = Client::new(&address, None).expect("an address");
    let (owner, query) = (Owner::User("zoe"), MemoriesQuery::default());
    let foreign = client.memories(owner, &query).await.expect_err("that is no page");
    asked.join().expect("the server ends");
    let settings = ClientSettings { timeout: Duration::from_millis(200), ..ClientSettings::default() };
    let nobody = Client::with_settings("http://127.0.0.1:1", None, settings).expect("an address");
    let unreached = nobody.memories(owner, &query).await.expect_err("nobody listens");
    for error in [foreign, unreached] {
        let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        let text: Vec<String> = chain.map(|error| format!("{error} {error:?}")).collect();
        assert!(text.len() > 1 && !text.concat().contains("zoe"), "{text:?}");
    }
}
