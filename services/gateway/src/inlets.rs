//! What product services publish on topics of their own. Each inlet is bound to one tenant by the settings, since
//! nothing in a record proves whose it is.

use std::collections::BTreeMap;

use event_log::{EventLog, InletName, Topic};
use memory_core::TenantId;

use crate::StartError;
use crate::auth::tenant;
use crate::settings::Settings;

pub(crate) mod reader;
pub(crate) mod worker;

pub use reader::{InletReader, Taken};

/// The inlets, and whose events they carry.
#[derive(Debug)]
pub(crate) struct Bindings(BTreeMap<InletName, TenantId>);

impl Bindings {
    pub(crate) fn new(settings: &Settings, log: &dyn EventLog) -> Result<Self, StartError> {
        let topics = log.topics();
        let mut bindings = BTreeMap::new();
        for inlet in &settings.inlets {
            let refused = |reason: String| StartError::Inlet { name: inlet.name.clone(), reason };
            let name = InletName::try_new(&inlet.name).map_err(|error| refused(error.to_string()))?;
            if !topics.contains(&Topic::Inlet(name.clone())) {
                return Err(refused("the log has no such inlet".to_owned()));
            }
            let tenant = tenant(&inlet.tenant, "gateway.inlets.tenant")?;
            if bindings.insert(name, tenant).is_some() {
                return Err(refused("it is bound twice".to_owned()));
            }
        }
        Ok(Self(bindings))
    }

    /// Whose events this inlet carries; `None` when nobody reads it.
    pub(crate) fn tenant(&self, inlet: &InletName) -> Option<&TenantId> {
        self.0.get(inlet)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &InletName> {
        self.0.keys()
    }
}
