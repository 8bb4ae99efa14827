//! Filters of recall and of lists: `and`, `or`, `not` over comparisons of a memory's fields.
//!
//! ```json
//! {"and": [{"tags": {"contains": "work"}}, {"time": {"gte": "2026-01-01T00:00:00Z"}}, {"metadata.city": {"eq": "Berlin"}}]}
//! ```
//!
//! Fields are a closed list plus the top-level scalars of `metadata`. A field a memory does not have fails every
//! comparison but `{"exists": false}` and `ne`.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::memory::Memory;
use crate::turn::Turn;

/// How deep filters may nest, and how many comparisons they may make.
const DEPTH_MAX: usize = 8;
const TERMS_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Compare { field: Field, op: Op, value: Value },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Time,
    CreatedAt,
    UpdatedAt,
    Kind,
    Role,
    Speaker,
    Origin,
    SessionId,
    AgentId,
    AppId,
    Tags,
    Salience,
    Pinned,
    Critical,
    Metadata(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Eq,
    Ne,
    In,
    Gt,
    Gte,
    Lt,
    Lte,
    Contains,
    Exists,
}

/// What is wrong with a filter, in words for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filters: {0}")]
pub struct Invalid(pub String);

const FIELDS: &str = "time, created_at, updated_at, kind, role, speaker, origin, session_id, agent_id, app_id, tags, salience, pinned, critical, metadata.NAME";
const OPS: &str = "eq, ne, in, gt, gte, lt, lte, contains, exists";

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`Invalid`] says which part of it cannot be understood.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let mut terms = 0;
        parse(value, 0, &mut terms)
    }

    #[must_use]
    pub fn matches_memory(&self, memory: &Memory) -> bool {
        self.matches(&|field| of_memory(memory, field))
    }

    #[must_use]
    pub fn matches_turn(&self, turn: &Turn) -> bool {
        self.matches(&|field| of_turn(turn, field))
    }

    fn matches(&self, get: &dyn Fn(&Field) -> Option<Value>) -> bool {
        match self {
            Self::And(all) => all.iter().all(|filter| filter.matches(get)),
            Self::Or(any) => any.iter().any(|filter| filter.matches(get)),
            Self::Not(filter) => !filter.matches(get),
            Self::Compare { field, op, value } => compare(get(field).as_ref(), *op, value),
        }
    }
}

fn parse(value: &Value, depth: usize, terms: &mut usize) -> Result<Filter, Invalid> {
    let object = value.as_object().ok_or_else(|| Invalid("each filter is an object".to_owned()))?;
    if depth > DEPTH_MAX {
        return Err(Invalid(format!("nested deeper than {DEPTH_MAX}")));
    }
    let mut all = Vec::with_capacity(object.len());
    for (name, inner) in object {
        let list = |terms: &mut usize| -> Result<Vec<Filter>, Invalid> {
            let list = inner.as_array().ok_or_else(|| Invalid(format!("{name} takes a list of filters")))?;
            list.iter().map(|filter| parse(filter, depth + 1, terms)).collect()
        };
        match name.to_ascii_lowercase().as_str() {
            "and" => all.push(Filter::And(list(terms)?)),
            "or" => all.push(Filter::Or(list(terms)?)),
            "not" => all.push(Filter::Not(Box::new(parse(inner, depth + 1, terms)?))),
            field => all.extend(comparisons(&parse_field(field, name)?, inner, terms)?),
        }
    }
    if all.len() == 1 {
        return Ok(all.remove(0));
    }
    Ok(Filter::And(all))
}

fn comparisons(field: &Field, value: &Value, terms: &mut usize) -> Result<Vec<Filter>, Invalid> {
    let single = Map::from_iter([("eq".to_owned(), value.clone())]);
    let ops = value.as_object().unwrap_or(&single);
    *terms += ops.len();
    if *terms > TERMS_MAX {
        return Err(Invalid(format!("more than {TERMS_MAX} comparisons")));
    }
    ops.iter().map(|(op, value)| comparison(field, op, value)).collect()
}

fn comparison(field: &Field, op: &str, value: &Value) -> Result<Filter, Invalid> {
    let op = match op {
        "eq" => Op::Eq,
        "ne" => Op::Ne,
        "in" => Op::In,
        "gt" => Op::Gt,
        "gte" => Op::Gte,
        "lt" => Op::Lt,
        "lte" => Op::Lte,
        "contains" => Op::Contains,
        "exists" => Op::Exists,
        other => return Err(Invalid(format!("{other} is no comparison; there are {OPS}"))),
    };
    let is_time = matches!(field, Field::Time | Field::CreatedAt | Field::UpdatedAt);
    let value = match (op, value) {
        (Op::In, Value::Array(list)) if is_time => Value::Array(list.iter().map(time).collect::<Result<_, _>>()?),
        (Op::In, Value::Array(list)) => Value::Array(list.clone()),
        (Op::In, _) => return Err(Invalid("in takes a list".to_owned())),
        (Op::Exists, Value::Bool(flag)) => Value::Bool(*flag),
        (Op::Exists, _) => return Err(Invalid("exists takes true or false".to_owned())),
        (_, value) if is_time => time(value)?,
        (_, value) => value.clone(),
    };
    Ok(Filter::Compare { field: field.clone(), op, value })
}

fn time(value: &Value) -> Result<Value, Invalid> {
    let parsed = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let time = parsed.ok_or_else(|| Invalid("a time is written like 2026-05-08T13:56:00Z".to_owned()))?;
    Ok(Value::from(time.as_microsecond()))
}

fn parse_field(lower: &str, name: &str) -> Result<Field, Invalid> {
    Ok(match lower {
        "time" | "event_time" => Field::Time,
        "created_at" => Field::CreatedAt,
        "updated_at" => Field::UpdatedAt,
        "kind" => Field::Kind,
        "role" => Field::Role,
        "speaker" => Field::Speaker,
        "origin" => Field::Origin,
        "session_id" | "run_id" => Field::SessionId,
        "agent_id" => Field::AgentId,
        "app_id" => Field::AppId,
        "tags" => Field::Tags,
        "salience" => Field::Salience,
        "pinned" => Field::Pinned,
        "critical" => Field::Critical,
        _ => match name.strip_prefix("metadata.") {
            Some(key) if !key.is_empty() => Field::Metadata(key.to_owned()),
            Some(_) | None => return Err(Invalid(format!("{name} is no field; there are {FIELDS}"))),
        },
    })
}

fn of_memory(memory: &Memory, field: &Field) -> Option<Value> {
    match field {
        Field::Time => Some(memory.event_time.micros().into()),
        Field::CreatedAt => Some(memory.created_at.micros().into()),
        Field::UpdatedAt => Some(memory.updated_at.micros().into()),
        Field::Kind => Some(memory.kind.as_str().into()),
        Field::Role => Some(memory.role.as_str().into()),
        Field::Speaker => memory.speaker.clone().map(Value::from),
        Field::Origin => Some(memory.origin.as_str().into()),
        Field::SessionId => memory.session_id.clone().map(Value::from),
        Field::AgentId => memory.agent_id.clone().map(Value::from),
        Field::AppId => memory.app_id.clone().map(Value::from),
        Field::Tags => Some(memory.tags.clone().into()),
        Field::Salience => Some(memory.salience.into()),
        Field::Pinned => Some(memory.pinned.into()),
        Field::Critical => Some(memory.critical.into()),
        Field::Metadata(key) => memory.metadata.get(key).cloned(),
    }
}

fn of_turn(turn: &Turn, field: &Field) -> Option<Value> {
    let event = &turn.event;
    match field {
        Field::Time => Some(event.time.micros().into()),
        Field::CreatedAt | Field::UpdatedAt => Some(turn.arrived.micros().into()),
        Field::Kind | Field::Pinned => None,
        Field::Salience => Some(turn.salience.total.into()),
        Field::Critical => Some(turn.is_critical().into()),
        Field::Role => Some(event.role.as_str().into()),
        Field::Speaker => event.speaker.clone().map(Value::from),
        Field::Origin => Some(event.origin.as_str().into()),
        Field::SessionId => event.session_id.clone().map(Value::from),
        Field::AgentId => event.agent_id.clone().map(Value::from),
        Field::AppId => event.app_id.clone().map(Value::from),
        Field::Tags => Some(event.tags.clone().into()),
        Field::Metadata(key) => event.metadata.get(key).cloned(),
    }
}

fn compare(found: Option<&Value>, op: Op, wanted: &Value) -> bool {
    let Some(found) = found.filter(|value| !value.is_null()) else {
        return matches!((op, wanted), (Op::Exists, Value::Bool(false))) || op == Op::Ne;
    };
    let ordering = order(found, wanted);
    match op {
        Op::Exists => wanted == &Value::Bool(true),
        Op::Eq => ordering == Some(Ordering::Equal),
        Op::Ne => ordering != Some(Ordering::Equal),
        Op::Gt => ordering == Some(Ordering::Greater),
        Op::Gte => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        Op::Lt => ordering == Some(Ordering::Less),
        Op::Lte => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        Op::In => {
            wanted.as_array().is_some_and(|list| list.iter().any(|item| order(found, item) == Some(Ordering::Equal)))
        }
        Op::Contains => match (found, wanted) {
            (Value::Array(list), wanted) => list.contains(wanted),
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            _ => false,
        },
    }
}

/// How two values of the same type compare; `None` for different types, lists and objects.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            // Metadata may hold fractions. They are only ever compared, never computed with.
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
