//! The secret of a key, which both ends hold and nobody prints.

use std::fmt;

/// What a tenant's key signs with: the text as it stands, as bytes. It is not decoded, whatever it looks like.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

/// Why a text is no secret. Says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Too little to be unguessable, or more than anybody means.
    #[error(
        "it has {bytes} bytes: use {} to {}, for instance the output of `openssl rand -hex 32`",
        Secret::BYTES_MIN,
        Secret::BYTES_MAX
    )]
    Length { bytes: usize },
    /// What an editor, a shell or another language could change.
    #[error("it holds something else than visible ASCII characters, such as a space or a line break within it")]
    NotVisible,
}

impl Secret {
    /// The shortest secret. As many bytes as the signature has.
    pub const BYTES_MIN: usize = 32;
    /// The longest secret.
    pub const BYTES_MAX: usize = 1_024;

    /// The secret in this text. White space around it, such as the line feed at the end of a file, is not part of it.
    ///
    /// # Errors
    /// [`InvalidSecret`].
    pub fn try_new(text: &str) -> Result<Self, InvalidSecret> {
        let text = text.trim_ascii();
        if !(Self::BYTES_MIN..=Self::BYTES_MAX).contains(&text.len()) {
            return Err(InvalidSecret::Length { bytes: text.len() });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidSecret::NotVisible);
        }
        Ok(Self(text.as_bytes().into()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}
