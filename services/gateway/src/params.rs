//! The query string: known parameters are taken out one by one, and what is left over is refused by name.

use std::fmt;
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::web::Query;

use crate::problem::{Code, Problem};

/// The parameters that nobody has taken yet.
pub(crate) struct Params(Vec<(String, String)>);

/// The redacting form: how many are left.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Params({})", self.0.len())
    }
}

impl Params {
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::from_query(request.query_string());
        let pairs = pairs.map_err(|_| Problem::new(Code::InvalidField, "the query string cannot be read"))?;
        Ok(Self(pairs.into_inner()))
    }

    /// Takes a parameter; given twice, it is an error.
    pub(crate) fn take(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let Some(at) = self.0.iter().position(|(known, _)| known == name) else { return Ok(None) };
        let (_, value) = self.0.swap_remove(at);
        if self.0.iter().any(|(known, _)| known == name) {
            return Err(Problem::field(Code::InvalidField, name, "is given twice"));
        }
        Ok(Some(value))
    }

    /// Takes a parameter that is a number, true or false.
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &str, what: &str) -> Result<Option<T>, Problem> {
        let Some(value) = self.take(name)? else { return Ok(None) };
        let parsed = value.parse().map_err(|_| Problem::field(Code::InvalidField, name, format!("must be {what}")))?;
        Ok(Some(parsed))
    }

    /// Takes a limit of 1 to `max`.
    pub(crate) fn limit(&mut self, default: usize, max: usize) -> Result<usize, Problem> {
        let limit = self.parsed("limit", "a number")?.unwrap_or(default);
        if (1..=max).contains(&limit) {
            return Ok(limit);
        }
        Err(Problem::field(Code::InvalidField, "limit", format!("must be 1 to {max}")))
    }

    /// Refuses what is left over.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::field(Code::UnknownField, name, "is not a parameter of this route")),
        }
    }
}
