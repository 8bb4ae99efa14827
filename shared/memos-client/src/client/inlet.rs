//! Publishing to an inlet without Kafka.
//!
//! One request is one record, as it must be for a signed one: its headers are the request's. CloudEvents attributes are
//! spelt and percent-encoded as HTTP has it, which a gateway undoes before it checks a signature. The record's key goes
//! along as the attribute `partitionkey`, so that records with the same key stay in order; alone it makes no CloudEvent.

use std::fmt::Write;

use reqwest::{Method, RequestBuilder, Url};

use super::{Client, ClientError};
use crate::InletResponse;
use crate::inlet::{InletRecord, KEY_ID, SIGNATURE, TENANT};

/// The key, as a CloudEvents attribute.
const PARTITION_KEY: &str = "ce-partitionkey";

impl Client {
    /// Publishes records to an inlet over HTTP, one request after the other. The answer says that all of them are
    /// durable, not that they are good: one that is not becomes a dead letter. Headers that memos does not read are
    /// left out. For many records use a Kafka client.
    ///
    /// # Errors
    /// [`ClientError`]; the `index` of [`ClientError::Refused`] is the record's. Those before it were taken. They may be
    /// sent again: their ids are taken once.
    pub async fn publish_to_inlet(&self, inlet: &str, records: &[InletRecord]) -> Result<InletResponse, ClientError> {
        let url = self.url(&["v1", "inlets", inlet]);
        let mut accepted = 0;
        for (index, record) in records.iter().enumerate() {
            let answer: Result<InletResponse, ClientError> = self.call(|| self.one_record(&url, record)).await;
            accepted += answer.map_err(|error| of_record(error, index))?.accepted;
        }
        Ok(InletResponse { accepted })
    }

    fn one_record(&self, url: &Url, record: &InletRecord) -> RequestBuilder {
        // Added, and none replaced: what is there twice is judged as such by memos.
        let add = |request: RequestBuilder, (name, value)| request.header::<String, Vec<u8>>(name, value);
        headers(record).into_iter().fold(self.request(Method::POST, url), add).body(record.value.clone())
    }
}

fn of_record(error: ClientError, index: usize) -> ClientError {
    match error {
        ClientError::Refused { status, code, message, request_id, field, index: _ } => {
            ClientError::Refused { status, code, message, request_id, field, index: Some(index) }
        }
        ClientError::Address { .. } | ClientError::Transport { .. } | ClientError::Answer { .. } => error,
    }
}

/// The headers of a request that carries this record.
fn headers(record: &InletRecord) -> Vec<(String, Vec<u8>)> {
    let mut headers = Vec::with_capacity(record.headers.len() + 1);
    for (name, value) in &record.headers {
        let mut name = name.to_ascii_lowercase();
        if name.starts_with("ce_") {
            name.replace_range(..3, "ce-");
            headers.push((name, encoded(value)));
        } else if is_read(&name) {
            headers.push((name, value.clone()));
        }
    }
    if !record.key.is_empty() && headers.iter().all(|(name, _)| name != PARTITION_KEY) {
        headers.push((PARTITION_KEY.to_owned(), encoded(&record.key)));
    }
    headers
}

/// Whether memos reads this header, beside the attributes in Kafka's spelling.
fn is_read(name: &str) -> bool {
    let known = [TENANT, KEY_ID, SIGNATURE, "content-type", "traceparent", "tracestate"];
    known.contains(&name) || name.starts_with("ce-")
}

/// As CloudEvents encode an attribute in HTTP: all but visible ASCII, and of that `"` and `%`.
fn encoded(value: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(value.len());
    for &byte in value {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a string takes all");
        }
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(headers: &[(&str, &[u8])]) -> InletRecord {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        InletRecord { key: "zoë 1".as_bytes().to_vec(), headers, value: b"{}".to_vec() }
    }

    #[test]
    fn attributes_are_spelt_and_encoded_as_http_has_it() {
        let given =
            record(&[("CE_Id", "10% zoë".as_bytes()), ("content-type", b"application/json"), ("x-other", b"\n")]);
        let headers = headers(&given);
        let found = |name: &str| headers.iter().find(|(given, _)| given == name);
        let text = |name: &str| found(name).map(|(_, value)| std::str::from_utf8(value).expect("ASCII"));
        assert_eq!(text("ce-id"), Some("10%25%20zo%C3%AB"));
        assert_eq!(text(PARTITION_KEY), Some("zo%C3%AB%201"));
        assert_eq!((text("content-type"), text("x-other")), (Some("application/json"), None));
    }

    #[tokio::test]
    async fn what_http_cannot_carry_is_not_sent() {
        let client = Client::new("http://127.0.0.1:1", None).expect("an address");
        let refused = client.publish_to_inlet("i", &[record(&[("memos-tenant", b"a\nb")])]).await;
        let Err(ClientError::Transport { source, .. }) = refused else { panic!("{refused:?}") };
        assert!(source.is_builder(), "{source}");
    }
}
