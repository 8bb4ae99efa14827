//! What was said. It is the one thing here that must never reach a log line, so its `Debug` tells only the size.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A text, or the parts of a multi-modal message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// One part of a message. Only text is learnt from; the rest is kept as it came and given back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    #[serde(rename = "type")]
    pub kind: PartKind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Every other field of the part.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    Text,
    ImageUrl,
    File,
    ToolCall,
    ToolResult,
}

impl PartKind {
    pub const NAMES: &str = "text, image_url, file, tool_call, tool_result";

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "image_url" => Some(Self::ImageUrl),
            "file" => Some(Self::File),
            "tool_call" => Some(Self::ToolCall),
            "tool_result" => Some(Self::ToolResult),
            _ => None,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::ImageUrl => "image_url",
            Self::File => "file",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
        }
    }
}

impl Content {
    #[must_use]
    pub const fn empty() -> Self {
        Self::Text(String::new())
    }

    /// The words of it: the text, or the text parts, one per line.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Parts(parts) => {
                let texts: Vec<&str> =
                    parts.iter().map(|part| part.text.as_str()).filter(|text| !text.is_empty()).collect();
                Cow::Owned(texts.join("\n"))
            }
        }
    }

    /// Roughly how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Parts(parts) => parts.iter().map(|part| part.text.len() + 64 * (1 + part.rest.len())).sum(),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.bytes())
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({:?}, {} bytes)", self.kind, self.text.len())
    }
}
