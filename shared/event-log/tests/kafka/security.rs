//! Being let in, and not.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event_log::kafka::topics::{self, Finding, State};
use event_log::kafka::{KafkaLog, KafkaSettings, Mechanism, Protocol, Secret, Security};
use event_log::{Error, EventLog, Offset, Partition, Topic};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::{ClientContext, OAuthToken};
use testkit::kafka::{Broker, BrokerOptions, Listener};

use crate::kit::{blocking, new_log, read_to_end, record, settings, topic_settings, values};

const USER: &str = "memos";
const PASSWORD: &str = "a-long-password";
/// Of a token that expires during a test. Long enough to open a log on a busy machine.
const LIVES_SECONDS: u64 = 15;

fn works(bootstrap: &str, security: Security) {
    let shown = format!("{security:?}");
    let settings = KafkaSettings { security, ..settings(bootstrap) };
    works_with(&shown, &new_log(&settings));
}

fn works_with(shown: &str, log: &KafkaLog) {
    let zero = Partition::new(0);
    log.append(&Topic::Working, zero, vec![record("k", "v")]).expect("there is room").wait().expect("it is durable");
    assert_eq!(values(&read_to_end(log, &Topic::Working, zero, Offset::FIRST)), ["v"], "{shown}");
    log.commit("group", &Topic::Working, zero, Offset::new(1)).expect("it is noted");
    assert_eq!(
        log.committed("group", &Topic::Working, zero).expect("the broker says"),
        Some(Offset::new(1)),
        "{shown}"
    );
}

fn refused(bootstrap: &str, security: Security) {
    let shown = format!("{security:?}");
    let settings = KafkaSettings { security, delivery_timeout_ms: 5000, ..settings(bootstrap) };
    let error = KafkaLog::open(&settings).expect_err("it must not be let in");
    // A broker that wants a certificate just hangs up.
    let hangs_up = matches!(error, Error::Away { .. });
    assert!(hangs_up || matches!(error, Error::Refused { .. }), "{shown}: {error}");
    assert!(!format!("{error} {error:?}").contains(PASSWORD), "a secret is not shown");
}

fn sasl(protocol: Protocol, mechanism: Mechanism) -> Security {
    Security {
        protocol,
        mechanism,
        username: USER.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        ..Security::default()
    }
}

#[test]
fn every_way_in_works_and_the_wrong_key_does_not() {
    let broker = Broker::start_with(&BrokerOptions {
        listeners: vec![Listener::Ssl, Listener::SaslPlaintext, Listener::SaslSsl],
        users: vec![(USER.to_owned(), PASSWORD.to_owned())],
        ..BrokerOptions::default()
    });
    let certificates = broker.certificates();
    let dir = tempfile::tempdir().expect("a temporary directory");

    let tls = Security {
        protocol: Protocol::Ssl,
        ca_file: certificates.authority(),
        certificate_file: certificates.client(),
        key_file: certificates.client_key(),
        ..Security::default()
    };
    works(&broker.bootstrap_of(Listener::Ssl), tls.clone());
    let stranger = Security { ca_file: certificates.stranger(), ..tls.clone() };
    refused(&broker.bootstrap_of(Listener::Ssl), stranger);
    let nameless = Security { certificate_file: PathBuf::new(), key_file: PathBuf::new(), ..tls };
    refused(&broker.bootstrap_of(Listener::Ssl), nameless);

    let plaintext = broker.bootstrap_of(Listener::SaslPlaintext);
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        works(&plaintext, sasl(Protocol::SaslPlaintext, mechanism));
        let wrong = Security { password: Secret::new("wrong".to_owned()), ..sasl(Protocol::SaslPlaintext, mechanism) };
        refused(&plaintext, wrong);
    }

    let file = dir.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).expect("the directory is writable");
    let from_file = Security {
        password: Secret::default(),
        password_file: file,
        ca_file: certificates.authority(),
        ..sasl(Protocol::SaslSsl, Mechanism::ScramSha512)
    };
    works(&broker.bootstrap_of(Listener::SaslSsl), from_file);

    let token_file = dir.path().join("token");
    let bearer = Security { token_file, ..sasl(Protocol::SaslPlaintext, Mechanism::OauthBearer) };
    works_with("a bearer token", &with_token(&broker, bearer, 3600));
}

/// A log that is opened with a bearer token that lives for so long. With one, topics can be seen and named, but neither
/// made nor described, and nothing of that is a difference.
fn with_token(broker: &Broker, security: Security, lives_seconds: u64) -> KafkaLog {
    let write = |lives| std::fs::write(&security.token_file, token(lives)).expect("the directory is writable");
    write(3600);
    let open = settings(broker.bootstrap());
    let bootstrap_servers = broker.bootstrap_of(Listener::SaslPlaintext);
    let settings = KafkaSettings { security: security.clone(), bootstrap_servers, ..open.clone() };
    let missing = topics::ensure(&settings, &topic_settings()).expect("the broker lets it in");
    assert_eq!(missing.len(), Topic::FIXED.len() + 1);
    let says_how = |finding: &Finding| finding.state == State::Missing && finding.wanted.contains("cleanup.policy=");
    assert!(missing.iter().all(says_how), "{missing:?}");
    topics::ensure(&open, &topic_settings()).expect("the topics can be made");
    for findings in [topics::ensure(&settings, &topic_settings()), topics::verify(&settings, &topic_settings())] {
        let findings = findings.expect("they are there");
        let count = |state| findings.iter().filter(|finding| finding.state == state).count();
        assert_eq!(count(State::Ok), Topic::FIXED.len(), "the partitions can be seen: {findings:?}");
        assert_eq!(count(State::Unreadable), Topic::FIXED.len() + 1, "{findings:?}");
        assert_eq!(findings.len(), 2 * Topic::FIXED.len() + 1, "nothing differs: {findings:?}");
    }
    write(lives_seconds);
    KafkaLog::open(&settings).expect("the log opens")
}

/// An unsigned token, which the broker of these tests takes.
fn token(lives_seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs();
    let claims = format!(r#"{{"sub":"{USER}","iat":{now},"exp":{}}}"#, now + lives_seconds);
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
}

/// A context that has a token, and knows whether it was asked for it.
#[derive(Debug)]
struct HasToken(std::sync::Arc<AtomicBool>);

impl ClientContext for HasToken {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.0.store(true, Ordering::Relaxed);
        let lifetime_ms = 4_102_444_800_000;
        Ok(OAuthToken { token: token(3600), principal_name: USER.to_owned(), lifetime_ms })
    }
}

/// Why `topics` does without an admin client when tokens are used. When this fails after an upgrade of rdkafka, it can
/// be given one, and [`State::Unreadable`] can go.
#[test]
fn an_admin_client_never_asks_for_its_token() {
    let broker =
        Broker::start_with(&BrokerOptions { listeners: vec![Listener::SaslPlaintext], ..BrokerOptions::default() });
    let asked = std::sync::Arc::new(AtomicBool::new(false));
    let admin: AdminClient<HasToken> = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap_of(Listener::SaslPlaintext))
        .set("security.protocol", "sasl_plaintext")
        .set("sasl.mechanism", "OAUTHBEARER")
        .create_with_context(HasToken(std::sync::Arc::clone(&asked)))
        .expect("the settings are good");
    let options = AdminOptions::new().request_timeout(Some(std::time::Duration::from_secs(3)));
    let answer = blocking(admin.describe_configs([&ResourceSpecifier::Topic("any")], &options));
    assert!(answer.is_err(), "it was let in: {answer:?}");
    assert!(!asked.load(Ordering::Relaxed), "it asked for the token");
}

#[test]
fn a_token_is_read_again_before_it_expires() {
    let broker =
        Broker::start_with(&BrokerOptions { listeners: vec![Listener::SaslPlaintext], ..BrokerOptions::default() });
    let dir = tempfile::tempdir().expect("a temporary directory");
    let token_file = dir.path().join("token");
    let security = Security { token_file: token_file.clone(), ..sasl(Protocol::SaslPlaintext, Mechanism::OauthBearer) };
    let log = with_token(&broker, security, LIVES_SECONDS);
    std::fs::write(&token_file, token(3600)).expect("the directory is writable");
    let began = std::time::Instant::now();
    // Connections are made anew after the first token's end, which only the second one opens.
    while began.elapsed() < std::time::Duration::from_secs(LIVES_SECONDS + 1) {
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
    broker.restart();
    let zero = Partition::new(0);
    log.append(&Topic::Working, zero, vec![record("k", "v")]).expect("there is room").wait().expect("it is durable");
    assert_eq!(values(&read_to_end(&log, &Topic::Working, zero, Offset::FIRST)), ["v"]);
}
