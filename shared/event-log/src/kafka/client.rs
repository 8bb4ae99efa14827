//! What all clients of the brokers have in common: what they log, what they report, and how long they are patient.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;

use super::security::read_token;
use super::settings::KafkaSettings;
use super::statistics::{ClientStatistics, Collected};
use crate::Error;
use crate::signal::lock;

/// What is known of one client from the outside. Also the context of consumers that are only read from.
#[derive(Debug)]
pub(super) struct Observed {
    role: String,
    token: Option<PathBuf>,
    collected: Arc<Collected>,
    /// What went wrong last, in the words of librdkafka.
    trouble: Mutex<Option<String>>,
    /// That a broker did not let us in, and the words for it.
    refused: Mutex<Option<String>>,
    /// When trouble was last logged: a broker that is away is told of ten times a second.
    told_at: Mutex<Option<Instant>>,
}

/// How often trouble is logged; what comes between is there at the level debug.
const TELL_EVERY: Duration = Duration::from_secs(5);

impl Observed {
    pub(super) fn new(role: String, settings: &KafkaSettings, collected: &Arc<Collected>) -> Arc<Self> {
        Arc::new(Self {
            role,
            token: settings.security.token(),
            collected: Arc::clone(collected),
            trouble: Mutex::default(),
            refused: Mutex::default(),
            told_at: Mutex::default(),
        })
    }

    pub(super) fn log_line(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        let client = self.role.as_str();
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(client, facility, line, "librdkafka reports an error");
            }
            // What it thinks of our configuration was decided when the code was written.
            RDKafkaLogLevel::Warning if facility == "CONFWARN" => {
                tracing::debug!(client, facility, line, "librdkafka warns")
            }
            RDKafkaLogLevel::Warning => tracing::info!(client, facility, line, "librdkafka warns"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(client, facility, line, "librdkafka");
            }
        }
    }

    pub(super) fn statistics(&self, statistics: &Statistics) {
        self.collected.set(&self.role, ClientStatistics::of(&self.role, statistics));
    }

    /// The newest figures, at most five seconds old; `None` in the first seconds.
    pub(super) fn figures(&self) -> Option<ClientStatistics> {
        self.collected.of(&self.role)
    }

    pub(super) fn trouble(&self, error: &KafkaError, reason: &str) {
        // The end of a partition is reported as an error, too.
        let Some(code) = error.rdkafka_error_code() else { return };
        if code == RDKafkaErrorCode::PartitionEOF {
            return;
        }
        let client = self.role.as_str();
        if matches!(code, RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL) {
            tracing::error!(client, reason, "a broker does not let this process in");
            *lock(&self.refused) = Some(reason.to_owned());
        } else if self.is_news() {
            tracing::info!(client, %code, reason, "trouble with a broker");
        } else {
            tracing::debug!(client, %code, reason, "trouble with a broker");
        }
        let mut trouble = lock(&self.trouble);
        // That all brokers are away says less than why the last of them is.
        if code != RDKafkaErrorCode::AllBrokersDown || trouble.is_none() {
            *trouble = Some(reason.to_owned());
        }
    }

    fn is_news(&self) -> bool {
        let mut told_at = lock(&self.told_at);
        let news = told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY);
        if news {
            *told_at = Some(Instant::now());
        }
        news
    }

    fn told(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    fn refused(&self) -> Option<String> {
        lock(&self.refused).clone()
    }

    pub(super) fn oauth_token(&self) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let file = self.token.as_ref().ok_or("no token file is configured")?;
        read_token(file).map_err(|reason| {
            tracing::error!(client = self.role, reason, "there is no token to show to the brokers");
            reason.into()
        })
    }

    pub(super) fn forget(&self) {
        self.collected.remove(&self.role);
    }
}

/// Implements [`ClientContext`] by what `self.observed()` knows.
macro_rules! observed {
    ($context:ty) => {
        impl rdkafka::client::ClientContext for $context {
            const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

            fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, line: &str) {
                self.observed().log_line(level, facility, line);
            }

            fn stats(&self, statistics: rdkafka::statistics::Statistics) {
                self.observed().statistics(&statistics);
            }

            fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
                self.observed().trouble(&error, reason);
            }

            fn generate_oauth_token(
                &self,
                _: Option<&str>,
            ) -> Result<rdkafka::client::OAuthToken, Box<dyn std::error::Error>> {
                self.observed().oauth_token()
            }
        }
    };
}
pub(super) use observed;

/// The context of a client without callbacks of its own.
#[derive(Debug)]
pub(super) struct Plain(pub(super) Arc<Observed>);

impl Plain {
    fn observed(&self) -> &Observed {
        &self.0
    }
}

observed!(Plain);
impl ConsumerContext for Plain {}

/// How long a question may go unanswered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For one try.
    pub(super) request: Duration,
    /// For all of them.
    pub(super) total: Duration,
    /// Whether to give up at once when a broker does not let us in.
    pub(super) beginning: bool,
}

/// How long a broker may say that it knows no such topic, before it is believed: one that just came up may say so.
const GONE: Duration = Duration::from_secs(8);
const FIRST_QUESTION: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// Asks until there is an answer, an error that waiting does not heal, or no patience left.
pub(super) fn patiently<T>(
    action: &str,
    patience: Patience,
    observed: &Observed,
    mut ask: impl FnMut(Duration) -> KafkaResult<T>,
) -> Result<T, Error> {
    let began = Instant::now();
    loop {
        let left = patience.total.saturating_sub(began.elapsed());
        // Whether a broker lets us in is known soon, but a question does not end with that.
        let request = if patience.beginning { patience.request.min(FIRST_QUESTION) } else { patience.request };
        let error = match ask(request.min(left.max(PAUSE))) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let refused = if patience.beginning { observed.refused() } else { None };
        if let Some(reason) = refused {
            return Err(Error::Refused { action: action.to_owned(), reason });
        }
        let code = error.rdkafka_error_code();
        let final_now = match code.map_or(Verdict::Final, verdict) {
            Verdict::Wait => false,
            Verdict::Gone => began.elapsed() >= GONE.min(patience.total),
            Verdict::Final => true,
        };
        if final_now {
            return Err(Error::Refused { action: action.to_owned(), reason: error.to_string() });
        }
        if began.elapsed() >= patience.total {
            let reason = observed.told().unwrap_or_else(|| error.to_string());
            return Err(Error::Away { action: action.to_owned(), seconds: patience.total.as_secs(), reason });
        }
        std::thread::sleep(PAUSE);
    }
}

/// What waiting does for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may heal.
    Wait,
    /// It heals soon or never.
    Gone,
    /// It does not heal.
    Final,
}

pub(super) fn verdict(code: RDKafkaErrorCode) -> Verdict {
    use RDKafkaErrorCode as Code;
    if matches!(
        code,
        Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition | Code::UnknownTopicId
    ) {
        return Verdict::Gone;
    }
    let never = matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::InvalidTopic
            | Code::InvalidGroupId
            | Code::InvalidArgument
            | Code::InvalidRequest
            | Code::InvalidConfig
            | Code::InvalidPartitions
            | Code::InvalidReplicationFactor
            | Code::PolicyViolation
            | Code::UnsupportedVersion
            | Code::UnsupportedFeature
            | Code::NotImplemented
            | Code::Fatal
            | Code::UnknownMemberId
            | Code::IllegalGeneration
            | Code::FencedInstanceId
            | Code::FencedMemberEpoch
            | Code::StaleMemberEpoch
            | Code::RebalanceInProgress
            | Code::OffsetMetadataTooLarge
    );
    if never { Verdict::Final } else { Verdict::Wait }
}
