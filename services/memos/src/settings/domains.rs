//! Domains: rules for a kind of use, as a file that a setting names.
//!
//! Five are compiled in, and anybody may write one: a domain is TOML with some of the keys of `[rules]` and nothing else,
//! so that choosing one can change what is remembered and never where memos listens. The more particular wins: defaults,
//! then `domain`, then `[rules]`, then the domain of a tenant, which takes the place of `domain`, then the tenant's own rules. The environment and flags win
//! over all of them, for every tenant: they are what an operator has in an emergency.

use std::collections::BTreeMap;

use anyhow::Context;
use memory_core::{Kind, Rules, RulesOf, TOPICS_MAX, TenantId};
use serde::{Deserialize, Serialize};
use service_runtime::{Layer, Loaded, Setting, Sources, settings};
use toml::{Table, Value};

use super::Settings;

/// The domains that are compiled in.
pub(super) const BUILT_IN: [(&str, &str); 5] = [
    ("assistant", include_str!("../../domains/assistant.toml")),
    ("education", include_str!("../../domains/education.toml")),
    ("health", include_str!("../../domains/health.toml")),
    ("support", include_str!("../../domains/support.toml")),
    ("wellbeing", include_str!("../../domains/wellbeing.toml")),
];
const RULES: &str = "rules";
const TOPIC_BYTES_MAX: usize = 100;

/// `[tenants.NAME]`: what is different for one tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tenant {
    /// Empty: that of everybody.
    domain: String,
    /// Some of the keys of `[rules]`.
    rules: Table,
}

/// The rules of one tenant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TenantRules {
    rules: Rules,
    /// What differs from the rules of everybody.
    pub(crate) different: Vec<Setting>,
}

/// Loads the settings of these sources with the domains that they choose.
pub(super) fn load(mut sources: Sources) -> anyhow::Result<Loaded<Settings>> {
    let chosen: Loaded<Settings> = settings::load(&sources)?;
    sources.presets.extend(domain(&chosen.settings.domain)?);
    let mut loaded: Loaded<Settings> = settings::load(&sources)?;
    let tenants = loaded.settings.tenants.iter();
    let rules = tenants.map(|(name, tenant)| of_tenant(&sources, &loaded, name, tenant));
    loaded.settings.tenant_rules = rules.collect::<anyhow::Result<_>>()?;
    Ok(loaded)
}

fn of_tenant(
    sources: &Sources,
    everybody: &Loaded<Settings>,
    name: &str,
    tenant: &Tenant,
) -> anyhow::Result<(TenantId, TenantRules)> {
    let id = TenantId::try_new(name).with_context(|| format!("`tenants.{name}` is not the name of a tenant"))?;
    let own = Table::from_iter([(RULES.to_owned(), Value::Table(tenant.rules.clone()))]);
    let domain = domain(&tenant.domain).with_context(|| format!("use `tenants.{name}.domain`"))?;
    let mut sources = sources.clone();
    if domain.is_some() {
        // It stands in for that of everybody: half of one domain and half of another would be neither.
        sources.presets.clear();
    }
    sources.overlays.extend(domain);
    sources.overlays.push(Layer { name: format!("tenants.{name}"), text: own.to_string() });
    let loaded: Loaded<Settings> = settings::load(&sources)?;
    let different = loaded.origins.into_iter().zip(&everybody.origins).filter(|(own, other)| own.value != other.value);
    let different = different.map(|(own, _)| own).collect();
    Ok((id, TenantRules { rules: loaded.settings.rules, different }))
}

/// The values of a domain; none for no name.
fn domain(name: &str) -> anyhow::Result<Option<Layer>> {
    if name.is_empty() {
        return Ok(None);
    }
    let built_in = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
    let text = match built_in {
        Some(text) => text,
        None if name.contains('/') || name.ends_with(".toml") => {
            std::fs::read_to_string(name).with_context(|| format!("read the domain {name}"))?
        }
        None => {
            let names = BUILT_IN.map(|(known, _)| known).join(", ");
            anyhow::bail!("there is no domain `{name}`: use one of {names}, or the path of a file that ends in .toml");
        }
    };
    let table: Table = text.parse().with_context(|| format!("read the domain {name}"))?;
    if let Some(other) = table.keys().find(|key| *key != RULES) {
        anyhow::bail!("the domain {name} sets `{other}`: a domain may hold nothing but [rules]");
    }
    Ok(Some(Layer { name: format!("domain {name}"), text }))
}

impl Settings {
    /// Whose rules apply.
    pub(crate) fn rules_of(&self) -> RulesOf {
        let tenants = self.tenant_rules.iter().map(|(id, own)| (id.clone(), own.rules.clone()));
        RulesOf { others: self.rules.clone(), tenants: tenants.collect() }
    }

    /// Refuses rules that no fold could work with.
    pub(super) fn check_rules(&self) -> anyhow::Result<()> {
        let everybody = ("rules".to_owned(), &self.rules);
        let tenants = self.tenant_rules.iter().map(|(id, own)| (format!("tenants.{}.rules", id.as_str()), &own.rules));
        for (section, rules) in std::iter::once(everybody).chain(tenants) {
            anyhow::ensure!(rules.window_turns_max > 0, "`{section}.window_turns_max` must be at least 1");
            anyhow::ensure!(rules.bank_max > 0, "`{section}.bank_max` must be at least 1");
            check_topics(&section, &rules.safety_topics)?;
            for kind in Kind::NAMES.split(", ").filter_map(Kind::parse) {
                let days = rules.half_life_days.of(kind);
                anyhow::ensure!(days > 0, "`{section}.half_life_days.{}` must be at least 1", kind.as_str());
            }
        }
        Ok(())
    }
}

fn check_topics(section: &str, topics: &[String]) -> anyhow::Result<()> {
    let name = format!("`{section}.safety_topics`");
    anyhow::ensure!(topics.len() <= TOPICS_MAX, "{name} may have at most {TOPICS_MAX}, and has {}", topics.len());
    for topic in topics {
        let is_word = |word: &str| word.trim_end_matches('*').chars().any(char::is_alphanumeric);
        anyhow::ensure!(
            !topic.trim().is_empty() && topic.len() <= TOPIC_BYTES_MAX && topic.split_whitespace().all(is_word),
            "{name}: `{topic}` is no word or phrase of at most {TOPIC_BYTES_MAX} bytes"
        );
    }
    Ok(())
}

/// The rules of tenants by their ids.
pub(super) type ByTenant = BTreeMap<TenantId, TenantRules>;

#[cfg(test)]
mod tests;
