//! `memos api-key new`: a credential that is shown once. What goes into the settings is its hash, so the settings file
//! is no secret.

use std::io::Write;

use anyhow::Context;
use memory_core::TenantId;

use crate::secret;

/// Bytes of randomness in a secret. 32 cannot be guessed, so a plain hash of it needs no salt and no slowness.
const SECRET_BYTES: usize = 32;

/// Makes a key and prints it with the lines for the settings file.
pub(crate) fn new(tenant: &str, id: Option<&str>, out: &mut impl Write) -> anyhow::Result<()> {
    let tenant = TenantId::try_new(tenant)
        .with_context(|| format!("`{tenant}` cannot name a tenant: use 1 to 256 bytes without control characters"))?;
    let id = match id {
        Some(id) => id.to_owned(),
        None => secret::hex(&secret::random::<6>()?),
    };
    // The id ends at the first dot of the key.
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    anyhow::ensure!(
        (1..=64).contains(&id.len()) && id.chars().all(allowed),
        "`{id}` cannot be the id of a key: use 1 to 64 letters, digits, - and _"
    );
    let secret = secret::hex(&secret::random::<SECRET_BYTES>()?);
    let hash = blake3::hash(secret.as_bytes()).to_hex();
    writeln!(out, "API key for tenant {} (shown only now):", tenant.as_str())?;
    writeln!(out)?;
    writeln!(out, "  {id}.{secret}")?;
    writeln!(out)?;
    writeln!(out, "Put this into the settings file and start memos again:")?;
    writeln!(out)?;
    writeln!(out, "  [[gateway.keys]]")?;
    writeln!(out, "  id = \"{id}\"")?;
    // A Rust string with its escapes is a TOML string too, for every character a tenant's name can have.
    writeln!(out, "  tenant = {}", serde_json::to_string(tenant.as_str())?)?;
    writeln!(out, "  hash = \"{hash}\"")?;
    writeln!(out)?;
    writeln!(out, "Clients send it as `Authorization: Bearer KEY`, or set MEMOS_API_KEY for this command.")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::SettingsArgs;
    use crate::settings;

    fn printed(tenant: &str, id: Option<&str>) -> String {
        let mut out = Vec::new();
        new(tenant, id, &mut out).expect("a key");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_snippet_is_a_settings_file_and_holds_only_the_hash() {
        let text = printed("Ac \"me\" é", Some("web-1"));
        let key = text.lines().find_map(|line| line.trim().strip_prefix("web-1.")).expect("the key is shown");
        assert_eq!(key.len(), 2 * SECRET_BYTES);
        assert_eq!(text.matches(key).count(), 1, "the secret is shown once");

        let begin = text.find("  [[gateway.keys]]").expect("a snippet");
        let end = text.find("\nClients").expect("an end");
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("memos.toml");
        std::fs::write(&file, &text[begin..end]).expect("the file is written");
        let args = SettingsArgs { config: Some(file), ..SettingsArgs::default() };
        let keys = settings::load(&args).expect("it loads").settings.gateway.keys;
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].tenant, "Ac \"me\" é");
        assert_eq!(keys[0].hash, blake3::hash(key.as_bytes()).to_hex().to_string());
    }

    #[test]
    fn two_keys_differ_and_bad_names_are_refused() {
        assert_ne!(printed("a", None), printed("a", None));
        assert!(new("", None, &mut Vec::new()).is_err());
        assert!(new("a", Some("x.y"), &mut Vec::new()).is_err());
    }
}
