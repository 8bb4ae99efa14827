//! What product services publish on topics of their own. Whose it is must be certain (law L08), and nothing that a
//! producer merely writes makes it so: either the settings bind the inlet to one tenant, or every record carries the
//! signature of one of its tenant's keys. Control events are records like all others.

use std::collections::BTreeMap;
use std::fmt;

use event_log::inlet::{self, InletLimits, Refused};
use event_log::ownership::Ownership;
use event_log::{EventLog, InletName, Record, Topic, now};
use memory_core::event::UnknownFields;
use memory_core::{Event, TenantId, Timestamp};
use memos_client::inlet::TENANT;

use crate::StartError;
use crate::auth::tenant;
use crate::inlets::keys::Keys;
use crate::settings::{InletSettings, Settings};

pub(crate) mod error;
pub(crate) mod keys;
pub(crate) mod places;
pub(crate) mod reader;
pub(crate) mod sealed;
pub(crate) mod worker;

pub use error::InletError;
pub use places::GROUP as INLET_GROUP;
pub use reader::{InletReader, Taken};

/// Says which partitions of each inlet this gateway reads: over Kafka as one member of the group [`INLET_GROUP`].
pub type InletOwnership = BTreeMap<InletName, Box<dyn Ownership>>;

/// The header that keeps the arrival of a record that is sent in again, in microseconds since 1970. Some logs give
/// every record the time of its append.
pub(crate) const ARRIVED: &str = "memos_arrived";

/// Whose records an inlet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// All of them are this tenant's.
    Tenant(TenantId),
    /// The tenant's whose key has signed it.
    Signed,
}

/// The inlets, and whose records they carry.
#[derive(Debug)]
pub(crate) struct Bindings {
    inlets: BTreeMap<InletName, Binding>,
    keys: Keys,
}

impl Bindings {
    pub(crate) fn new(settings: &Settings, log: &dyn EventLog) -> Result<Self, StartError> {
        let (topics, keys) = (log.topics(), Keys::new(&settings.inlet_keys)?);
        let mut inlets = BTreeMap::new();
        for inlet in &settings.inlets {
            let refused = |reason: &str| StartError::Inlet { name: inlet.name.clone(), reason: reason.to_owned() };
            let name = InletName::try_new(&inlet.name).map_err(|error| refused(&error.to_string()))?;
            if !topics.contains(&Topic::Inlet(name.clone())) {
                return Err(refused("the log has no such inlet"));
            }
            let binding = match inlet {
                InletSettings { tenant: Some(name), signed: false, .. } => {
                    Binding::Tenant(tenant(name, "gateway.inlets.tenant")?)
                }
                InletSettings { tenant: None, signed: true, .. } if keys.is_empty() => {
                    return Err(refused("its records are signed, and gateway.inlet_keys holds no key"));
                }
                InletSettings { tenant: None, signed: true, .. } => Binding::Signed,
                InletSettings { tenant: Some(_), signed: true, .. } => {
                    return Err(refused("it has a tenant and is signed, and a signed record says itself whose it is"));
                }
                InletSettings { tenant: None, signed: false, .. } => {
                    return Err(refused("nothing says whose its records are: give it a tenant, or signed = true"));
                }
            };
            if inlets.insert(name, binding).is_some() {
                return Err(refused("it is there twice"));
            }
        }
        Ok(Self { inlets, keys })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &InletName> {
        self.inlets.keys()
    }

    /// Whose records this inlet carries; `None` when nobody reads it.
    pub(crate) fn binding(&self, inlet: &InletName) -> Option<&Binding> {
        self.inlets.get(inlet)
    }

    /// Who may look after a record that says this of itself: the tenant of the inlet, or whom an inlet with signatures
    /// is told. The signature may be what is wrong with the record, so this is no proof: it shows nothing of the
    /// content, and what is sent in again is judged again.
    pub(crate) fn claimed(&self, inlet: &InletName, named: Option<&str>) -> Option<TenantId> {
        match self.binding(inlet)? {
            Binding::Tenant(tenant) => Some(tenant.clone()),
            Binding::Signed => TenantId::try_new(named?),
        }
    }

    /// Whose key seals the letter of a record that says this of itself; `None` where nobody knows a tenant of that name, for
    /// a stranger must not make memos keep a key for every name that comes to mind.
    pub(crate) fn known(&self, inlet: &InletName, named: Option<&str>) -> Option<TenantId> {
        let claimed = self.claimed(inlet, named)?;
        match self.binding(inlet)? {
            Binding::Tenant(_) => Some(claimed),
            Binding::Signed => self.keys.knows(&claimed).then_some(claimed),
        }
    }

    /// Judges one record: whose it is, and the event in it.
    pub(crate) fn judge(&self, inlet: &InletName, record: &Record) -> Result<(TenantId, Event), Refusal> {
        let tenant = match self.binding(inlet) {
            Some(Binding::Tenant(tenant)) => match inlet::text(record, TENANT)? {
                Some(named) if named != tenant.as_str() => return Err(Refused::WrongTenant.into()),
                Some(_) | None => tenant.clone(),
            },
            Some(Binding::Signed) => self.keys.tenant_of(inlet, record)?,
            None => return Err(Refused::SignatureInvalid.into()),
        };
        let raw = inlet::parse(record, &InletLimits::default())?;
        let event = Event::parse(&raw.json, UnknownFields::Ignore, None, arrived(record))
            .map_err(|refused| Refusal { reason: refused.code, message: refused.to_string() })?;
        Ok((tenant, event))
    }
}

/// Why a record became a dead letter.
pub(crate) struct Refusal {
    /// A stable word.
    pub(crate) reason: &'static str,
    /// What to change.
    pub(crate) message: String,
}

/// The redacting form: the message may quote what was published.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({})", self.reason)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self { reason: refused.code(), message: refused.to_string() }
    }
}

/// When a record arrived first. Nobody can be later than the log says, or than now where the topic's times are its
/// producers' own: a window that began in the future would never be closed for silence. Who claims to be earlier than
/// they are only has themselves forgotten.
pub(crate) fn arrived(record: &Record) -> Timestamp {
    let noted = record.header(ARRIVED).and_then(|value| std::str::from_utf8(value).ok());
    let noted = noted.and_then(|micros| micros.parse().ok()).map(Timestamp::from_micros);
    noted.map_or(record.timestamp, |noted| noted.min(record.timestamp)).min(now())
}
