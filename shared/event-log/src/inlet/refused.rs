//! Why a record of an inlet was not taken, in words for the team that published it.

/// Why a record was refused. The code is stable; the message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A tombstone.
    #[error("the record has no value: publish the interaction as the record's value")]
    NoValue,
    /// More bytes than the limit.
    #[error("the value has {bytes} bytes: send at most {limit}, for instance in several turns")]
    TooLarge { bytes: usize, limit: usize },
    /// Not JSON.
    #[error(
        "the value is not JSON (line {line}, column {column}): send one UTF-8 JSON object without anything behind it"
    )]
    InvalidJson { line: usize, column: usize },
    /// Nested too deeply.
    #[error("objects and arrays are nested more than {limit} deep: flatten them")]
    TooDeep { limit: usize },
    /// One object names a key twice.
    #[error("the key `{key}` appears twice in one object: send it once")]
    DuplicateKey { key: String },
    /// The interaction is some other JSON value.
    #[error("the interaction is not a JSON object: send {{\"id\": …, \"type\": …}}")]
    NotAnObject,
    /// A header that has to be text is not.
    #[error("the header `{name}` is not UTF-8 text: encode it as UTF-8")]
    HeaderNotText { name: String },
    /// Another version of CloudEvents, or none.
    #[error("the CloudEvents specversion is {found}: send specversion \"1.0\"")]
    CloudEventVersion { found: String },
    /// A required attribute is missing or empty.
    #[error("the CloudEvents attribute `{attribute}` is missing or empty: it is required")]
    CloudEventAttributeMissing { attribute: &'static str },
    /// An attribute is not a string.
    #[error("the CloudEvents attribute `{attribute}` is not a string: send it as a string")]
    CloudEventAttributeInvalid { attribute: &'static str },
    /// No data in the envelope.
    #[error("the CloudEvent carries no data: put the interaction into `data`")]
    CloudEventDataMissing,
    /// Both kinds of data in the envelope.
    #[error("the CloudEvent carries `data` and `data_base64`: send one of them")]
    CloudEventDataTwice,
    /// Damaged base64.
    #[error("`data_base64` is not base64: encode it with the standard alphabet and padding")]
    InvalidBase64,
    /// Something other than JSON.
    #[error("the content type `{found}` is not supported: send application/json, or application/cloudevents+json")]
    ContentTypeUnsupported { found: String },
    /// An inlet that takes signed records only, and a record without all of the signature's headers.
    #[error(
        "the header `{header}` is missing: records of this inlet are signed, with the headers memos-tenant, \
         memos-key-id and memos-signature"
    )]
    SignatureMissing { header: &'static str },
    /// A signature, or something that it covers, that could be read in two ways or in none.
    #[error("the header `{header}` {problem}")]
    SignatureMalformed { header: String, problem: &'static str },
    /// The signature does not belong to this record. One answer for an unknown tenant, an unknown key and a wrong
    /// signature, so that nobody learns from it which tenants and keys there are.
    #[error(
        "the signature does not verify: check that memos-tenant and memos-key-id name an active key of yours, that \
         the secret is that key's, and that tenant, key id, inlet name, content type, CloudEvents attributes and value \
         are signed exactly as they are published"
    )]
    SignatureInvalid,
    /// An inlet that carries one tenant's records, and a record that says it is another's.
    #[error(
        "the header `memos-tenant` names another tenant than the one whose records this inlet carries: publish to an \
         inlet of your own, or leave the header out"
    )]
    WrongTenant,
}

impl Refused {
    /// The reason as a stable word, for dead letters and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoValue => "no_value",
            Self::TooLarge { .. } => "too_large",
            Self::InvalidJson { .. } => "invalid_json",
            Self::TooDeep { .. } => "too_deep",
            Self::DuplicateKey { .. } => "duplicate_key",
            Self::NotAnObject => "not_an_object",
            Self::HeaderNotText { .. } => "header_not_text",
            Self::CloudEventVersion { .. } => "cloud_event_version",
            Self::CloudEventAttributeMissing { .. } => "cloud_event_attribute_missing",
            Self::CloudEventAttributeInvalid { .. } => "cloud_event_attribute_invalid",
            Self::CloudEventDataMissing => "cloud_event_data_missing",
            Self::CloudEventDataTwice => "cloud_event_data_twice",
            Self::InvalidBase64 => "invalid_base64",
            Self::ContentTypeUnsupported { .. } => "content_type_unsupported",
            Self::SignatureMissing { .. } => "signature_missing",
            Self::SignatureMalformed { .. } => "signature_malformed",
            Self::SignatureInvalid => "signature_invalid",
            Self::WrongTenant => "wrong_tenant",
        }
    }
}
