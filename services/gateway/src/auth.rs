//! Who is asking. The tenant comes from the credential and from nowhere else (law L08).
//!
//! Without keys the gateway trusts everybody who can reach it, so it lets itself be reached from this machine only:
//! it refuses to listen beyond loopback, and it refuses requests for another host's name, which is how a web page
//! in the user's browser would reach it (DNS rebinding).

use std::collections::BTreeMap;

use actix_web::http::header::{self, HeaderMap};
use memory_core::TenantId;
use memos_client::internal::is_loopback_host;

use crate::StartError;
use crate::problem::{Code, Problem};
use crate::settings::Settings;

/// Everybody who may ask.
#[derive(Debug)]
pub(crate) enum Access {
    /// No keys: everybody on this machine, as this tenant.
    Local(TenantId),
    /// Whoever has a key.
    Keys(BTreeMap<String, Key>),
}

#[derive(Debug)]
pub(crate) struct Key {
    tenant: TenantId,
    /// Compared in constant time, as all of `blake3`'s hashes are.
    hash: blake3::Hash,
}

impl Access {
    pub(crate) fn new(settings: &Settings) -> Result<Self, StartError> {
        if settings.keys.is_empty() {
            if !settings.listen.ip().is_loopback() {
                return Err(StartError::Exposed { listen: settings.listen });
            }
            return Ok(Self::Local(tenant(&settings.tenant, "gateway.tenant")?));
        }
        let mut keys = BTreeMap::new();
        for key in &settings.keys {
            let refused = |reason| StartError::Key { id: key.id.clone(), reason };
            if key.id.is_empty() || key.id.contains('.') {
                return Err(refused("an id is a name without dots"));
            }
            let hash =
                blake3::Hash::from_hex(&key.hash).map_err(|_| refused("its hash is not 64 hexadecimal digits"))?;
            let key_of = Key { tenant: tenant(&key.tenant, "gateway.keys.tenant")?, hash };
            if keys.insert(key.id.clone(), key_of).is_some() {
                return Err(refused("another key has the same id"));
            }
        }
        Ok(Self::Keys(keys))
    }

    /// The tenant of a request to `/v1`.
    pub(crate) fn tenant(&self, headers: &HeaderMap) -> Result<TenantId, Problem> {
        let keys = match self {
            Self::Local(tenant) => return Ok(tenant.clone()),
            Self::Keys(keys) => keys,
        };
        let refused = || Problem::new(Code::Unauthorized, "send a valid key as `Authorization: Bearer ID.SECRET`");
        let (id, secret) = credential(headers).and_then(|credential| credential.split_once('.')).ok_or_else(refused)?;
        let key = keys.get(id).ok_or_else(refused)?;
        if blake3::hash(secret.as_bytes()) == key.hash { Ok(key.tenant.clone()) } else { Err(refused()) }
    }

    /// Refuses a request for another host's name where the name is all that protects this machine.
    pub(crate) fn check_host(&self, host: &str) -> Result<(), Problem> {
        match self {
            Self::Keys(_) => Ok(()),
            Self::Local(_) if is_loopback_host(host) => Ok(()),
            Self::Local(_) => {
                let message = "without API keys only requests for localhost, 127.0.0.1 or [::1] are answered";
                Err(Problem::new(Code::ForbiddenHost, message))
            }
        }
    }
}

/// A tenant's name from the settings.
pub(crate) fn tenant(name: &str, setting: &'static str) -> Result<TenantId, StartError> {
    TenantId::try_new(name).ok_or(StartError::Tenant { setting })
}

fn credential(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("X-API-Key") {
        return key.to_str().ok();
    }
    let (scheme, credential) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    known.then(|| credential.trim())
}
