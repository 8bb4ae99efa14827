//! HTTP by hand, for requests that no good client sends, and answers whose every byte matters.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// A request: method, path, headers, body.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The stable code of a refusal.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_else(|| panic!("no code in {}", self.body)).to_owned()
    }
}

/// A request of which only the headers were sent.
pub(crate) struct Begun(TcpStream);

/// Sends the headers, which promise a body of `length` bytes.
pub(crate) fn begin(url: &str, request: &Request<'_>, length: usize) -> Begun {
    let address = url.strip_prefix("http://").expect("a plain address");
    let mut stream = TcpStream::connect(address).expect("memos listens");
    let Request { method, path, headers, .. } = request;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    head.push_str(&format!("Content-Length: {length}\r\n\r\n"));
    stream.write_all(head.as_bytes()).expect("the headers are sent");
    Begun(stream)
}

impl Begun {
    /// Sends the body and reads the answer.
    pub(crate) fn finish(mut self, body: &[u8]) -> Reply {
        // A server that refuses early need not read the rest.
        drop(self.0.write_all(body));
        let mut bytes = Vec::new();
        drop(self.0.read_to_end(&mut bytes));
        let text = String::from_utf8(bytes).expect("answers are text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: `{text}`"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Reply { status, headers, body: body.to_owned() }
    }
}

/// Asks and reads the answer.
pub(crate) fn send(url: &str, request: &Request<'_>) -> Reply {
    begin(url, request, request.body.len()).finish(request.body)
}

pub(crate) fn post_json(url: &str, path: &str, body: &Value) -> Reply {
    let body = body.to_string();
    let headers = [("Content-Type", "application/json")];
    send(url, &Request { method: "POST", path, headers: &headers, body: body.as_bytes() })
}
