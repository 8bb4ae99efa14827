//! Whose rules apply: a tenant may have others than the rest.
//!
//! Working memory closes a tenant's windows by that tenant's rules, and recall does the same, from the same table. Nobody
//! else asks: from then on the rules travel in the window.

use std::collections::BTreeMap;

use crate::rules::Rules;
use crate::subject::TenantId;

/// The rules of every tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesOf {
    /// The rules of whoever has none of their own.
    pub others: Rules,
    pub tenants: BTreeMap<TenantId, Rules>,
}

impl RulesOf {
    /// The rules of a tenant.
    #[must_use]
    pub fn tenant(&self, tenant: &TenantId) -> &Rules {
        self.tenants.get(tenant).unwrap_or(&self.others)
    }
}

impl From<Rules> for RulesOf {
    fn from(others: Rules) -> Self {
        Self { others, tenants: BTreeMap::new() }
    }
}
