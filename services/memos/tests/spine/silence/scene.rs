//! A memos whose every input is a canary, and that is listened to.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use memos_client::inlet::Secret;
use serde_json::{Value, json};

use crate::harness::{self, Canaries, DEADLINE, Found, Server, canary};
use crate::hostile::http::{Reply, Request, send};
use crate::operations::tenants;

/// What the signed inlet of the tenant is signed with.
const SECRET: &str = "silence-0123456789abcdef0123456789abcdef";
pub(super) const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Everything.
pub(super) struct Scene {
    pub(super) server: Server,
    data: PathBuf,
    /// A name that is a canary as well.
    pub(super) tenant: String,
    pub(super) bearer: String,
    settings: PathBuf,
    seed: u64,
    words: Vec<String>,
    /// Those that were the id of an event.
    event_ids: BTreeSet<String>,
    /// Codes of refusals so far.
    pub(super) codes: BTreeSet<String>,
    /// All that was refused, each with the names of which it may speak.
    refusals: Vec<(String, Vec<String>)>,
    _root: tempfile::TempDir,
}

impl Scene {
    pub(super) fn new(seed: u64) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let tenant = canary(seed, "word", 0);
        let (key, of_tenant) = tenants::key(&tenant);
        let (_, of_other) = tenants::key("other");
        let (secret, settings) = (root.path().join("inlet.secret"), root.path().join("memos.toml"));
        std::fs::write(&secret, SECRET).expect("a file");
        let inlets = format!(
            "[[gateway.inlets]]\nname = \"bound\"\ntenant = \"{tenant}\"\n\
             [[gateway.inlets]]\nname = \"signed\"\nsigned = true\n\
             [[gateway.inlet_keys]]\ntenant = \"{tenant}\"\nid = \"k\"\nsecret_file = \"{}\"\n\
             [logging]\nfilter = \"{FILTER}\"\nformat = \"json\"\n\
             [gateway.limits]\nbody_timeout_ms = 300\nquery_timeout_ms = 1000\nbody_bytes = 100000\ninteractions = 200\n\
             [working_memory]\nidle_tick_seconds = 1\n",
            secret.display()
        );
        std::fs::write(&settings, format!("{of_tenant}\n{of_other}\n{inlets}")).expect("a file");
        let data = harness::data_dir(root.path(), "data", seed);
        let server = Server::start(&data, &["--config", &settings.display().to_string()]);
        let (bearer, words) = (format!("Bearer {key}"), vec![tenant.clone()]);
        let (event_ids, codes, refusals) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        Self { server, data, tenant, bearer, settings, seed, words, event_ids, codes, refusals, _root: root }
    }

    /// Starts again with further settings.
    pub(super) fn restart(self, extra: &[&str]) -> Self {
        let Self { server, data, tenant, bearer, settings, seed, words, event_ids, codes, refusals, _root } = self;
        server.stop();
        let config = settings.display().to_string();
        let server = Server::start(&data, &[&["--config", config.as_str()], extra].concat());
        Self { server, data, tenant, bearer, settings, seed, words, event_ids, codes, refusals, _root }
    }

    pub(super) fn secret() -> Secret {
        Secret::try_new(SECRET).expect("it is long enough")
    }

    /// A canary that nobody has heard yet.
    pub(super) fn word(&mut self) -> String {
        let number = u64::try_from(self.words.len()).expect("few");
        self.words.push(canary(self.seed, "word", number));
        self.words.last().expect("one was added").clone()
    }

    /// As many as one needs.
    pub(super) fn words<const COUNT: usize>(&mut self) -> [String; COUNT] {
        std::array::from_fn(|_| self.word())
    }

    pub(super) fn canaries(&self) -> Canaries {
        Canaries::new(self.words.iter().map(String::as_str))
    }

    /// A canary that is the id of an event.
    pub(super) fn event_id(&mut self) -> String {
        let id = self.word();
        self.event_ids.insert(id.clone());
        id
    }

    /// Notes that an event was sent under this id.
    pub(super) fn note_event(&mut self, event: &Value) {
        self.event_ids.extend(event["id"].as_str().map(str::to_owned));
    }

    /// Stops memos; answers what it wrote to standard output and to standard error, and what of it all is in files.
    pub(super) fn stop(self) -> (String, String, Vec<(String, Found)>) {
        let canaries = self.canaries();
        // The directory lives until all was looked at.
        let Self { server, data, event_ids, _root, .. } = self;
        let (out, errors) = server.stop_and_read();
        let mut found = canaries.find_below(&data);
        // Ids of events stand on `interactions`, and nowhere else.
        found.retain(|(file, hit)| !(file.contains("/log/interactions/") && event_ids.contains(&hit.word)));
        (out, errors, found)
    }

    pub(super) fn count(&self) -> usize {
        self.words.len()
    }

    /// Sends JSON as the tenant. Of these names, which the request sends, the answer may speak.
    pub(super) fn ask(&mut self, method: &str, path: &str, body: &Value, named: &[&str]) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &[JSON], body.as_bytes(), named)
    }

    /// Sends a request with further headers as the tenant.
    pub(super) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        named: &[&str],
    ) -> Reply {
        let bearer = self.bearer.clone();
        let known = headers.iter().any(|(name, _)| *name == "Authorization" || *name == "X-API-Key");
        let own: &[(&str, &str)] = if known { &[] } else { &[("Authorization", &bearer)] };
        let headers = [own, headers].concat();
        let reply = send(&self.server.url, &Request { method, path, headers: &headers, body });
        self.note(method, &reply, named);
        reply
    }

    /// Sends bytes that need be no request; answers what came.
    pub(super) fn send_raw(&mut self, bytes: &[u8]) -> String {
        let address = self.server.url.strip_prefix("http://").expect("a plain address");
        let mut stream = TcpStream::connect(address).expect("memos listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a time");
        // A server that refuses early need not read the rest, and may break off.
        drop(stream.write_all(bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        self.refusals.push((answer.clone(), Vec::new()));
        answer
    }

    fn note(&mut self, method: &str, reply: &Reply, named: &[&str]) {
        if reply.status < 400 {
            return;
        }
        let head: String = reply.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let text = format!("{method} was answered {}\n{head}\n{}", reply.status, reply.body);
        self.refusals.push((text, named.iter().map(|name| (*name).to_owned()).collect()));
        // The files of the API's description are not ours; all else has a code.
        if !reply.body.is_empty() {
            self.codes.insert(reply.code());
        }
    }

    /// Refusals that say something of what was sent, be it in their own request or in another.
    pub(super) fn quotes(&self) -> Vec<String> {
        let canaries = self.canaries();
        let quotes = |(text, named): &(String, Vec<String>)| {
            let mut found = canaries.find(text.as_bytes()).into_iter();
            found.find(|hit| !named.contains(&hit.word)).map(|hit| format!("{hit:?} in {text}"))
        };
        self.refusals.iter().filter_map(quotes).collect()
    }

    /// A value in every shape that a field may have, and the names in it.
    pub(super) fn shapes(&mut self) -> Vec<(Value, Vec<String>)> {
        let [a, b, c, d, e, f, g, h, i] = self.words();
        vec![
            (json!(a), vec![]),
            (json!([b]), vec![]),
            (json!({ c.as_str(): d }), vec![c]),
            (json!([[e]]), vec![]),
            (json!([{ "type": "text", "text": f }, { "type": g, h.as_str(): i }]), vec![h]),
        ]
    }
}

/// All that memos and its libraries can say, but for one line of a library at debug: it quotes a `Content-Length` that is no
/// number.
const FILTER: &str = "trace,actix_http::h1::decoder=info";
