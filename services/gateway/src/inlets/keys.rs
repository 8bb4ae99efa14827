//! The keys of tenants that sign what they publish. A tenant has as many as it needs: two during a rotation, one for
//! each of its services if it likes. They are read once, at start.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use event_log::inlet::{Refused, one_line};
use event_log::{InletName, Record};
use memory_core::TenantId;
use memos_client::inlet::{COVERED, InvalidSecret, KEY_ID, SIGNATURE, Secret, Statement, TENANT, decode};

use crate::StartError;
use crate::auth::tenant;
use crate::settings::InletKeySettings;

/// All keys, by tenant and id.
pub(crate) struct Keys {
    keys: BTreeMap<(String, String), (TenantId, Secret)>,
    /// What a record with an unknown key is compared against, so that it takes as long as a wrong signature.
    nobodys: Secret,
}

/// The redacting form: whose they are stays out of logs.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.keys.len())
    }
}

/// Why a key of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a name that a header can hold.
    #[error("an id is 1 to 256 bytes without control characters")]
    Id,
    /// The same id twice for one tenant.
    #[error("the tenant has another key with this id")]
    Twice,
    /// None or both of the sources.
    #[error("name the secret's source: either secret_file or secret_env")]
    Source,
    /// The file cannot be read.
    #[error("its file {} cannot be read", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// There is no such variable.
    #[error("the environment variable {name} is not set, or is not text")]
    Env { name: String },
    /// What is there is no secret.
    #[error("its secret cannot be used")]
    Secret(#[source] InvalidSecret),
}

impl Keys {
    pub(crate) fn new(settings: &[InletKeySettings]) -> Result<Self, StartError> {
        let mut keys = BTreeMap::new();
        for (index, key) in settings.iter().enumerate() {
            let refused = |source| StartError::InletKey { index, id: key.id.clone(), source };
            let tenant = tenant(&key.tenant, "gateway.inlet_keys.tenant")?;
            if !memory_core::subject::valid_id(&key.id) {
                return Err(refused(KeyError::Id));
            }
            let secret = secret(key).map_err(refused)?;
            if keys.insert((key.tenant.clone(), key.id.clone()), (tenant, secret)).is_some() {
                return Err(refused(KeyError::Twice));
            }
        }
        let nobodys = Secret::try_new(&"0".repeat(Secret::BYTES_MIN)).expect("long enough");
        Ok(Self { keys, nobodys })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the settings hold a key of this tenant.
    pub(crate) fn knows(&self, tenant: &TenantId) -> bool {
        self.keys.values().any(|(known, _)| known == tenant)
    }

    /// Whose record it is, which its signature proves.
    pub(crate) fn tenant_of(&self, inlet: &InletName, record: &Record) -> Result<TenantId, Refused> {
        let value = record.value.as_deref().ok_or(Refused::NoValue)?;
        let needed = |header: &'static str| one_line(record, header)?.ok_or(Refused::SignatureMissing { header });
        let (tenant, key_id, signature) = (needed(TENANT)?, needed(KEY_ID)?, needed(SIGNATURE)?);
        let signature = decode(&signature).ok_or_else(|| Refused::SignatureMalformed {
            header: SIGNATURE.to_owned(),
            problem: "is not the base64 of 32 bytes: send the whole HMAC-SHA-256, in the standard alphabet with padding",
        })?;
        let mut covered = [const { None }; COVERED.len()];
        for (name, value) in COVERED.into_iter().zip(&mut covered) {
            *value = one_line(record, name)?;
        }
        let headers = covered.each_ref().map(Option::as_deref);
        let statement = Statement { tenant: &tenant, key_id: &key_id, inlet: inlet.as_str(), headers, value };
        let known = self.keys.get(&(tenant.clone(), key_id.clone()));
        let verifies = statement.verifies(known.map_or(&self.nobodys, |(_, secret)| secret), &signature);
        match known {
            Some((tenant, _)) if verifies => Ok(tenant.clone()),
            Some(_) | None => Err(Refused::SignatureInvalid),
        }
    }
}

fn secret(key: &InletKeySettings) -> Result<Secret, KeyError> {
    let text = match (&key.secret_file, &key.secret_env) {
        (Some(path), None) => {
            std::fs::read_to_string(path).map_err(|source| KeyError::File { path: path.clone(), source })?
        }
        (None, Some(name)) => std::env::var(name).map_err(|_| KeyError::Env { name: name.clone() })?,
        (Some(_), Some(_)) | (None, None) => return Err(KeyError::Source),
    };
    Secret::try_new(&text).map_err(KeyError::Secret)
}
