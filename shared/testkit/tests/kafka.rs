//! The broker that other tests rely on: that it is a real one, comes back with what it had, and goes when its test goes.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use testkit::kafka::{Broker, BrokerOptions, Listener, python};
use testkit::wait_until;

/// For what a broker does within seconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// Shared by the tests that do not hurt it.
static BROKER: LazyLock<Broker> = LazyLock::new(Broker::start);

fn kcat(bootstrap: &str, args: &[&str]) -> Output {
    kcat_with_input(bootstrap, args, "")
}

fn kcat_with_input(bootstrap: &str, args: &[&str], input: &str) -> Output {
    let mut child = Command::new("kcat")
        .args(["-b", bootstrap])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kcat is there, or deploy/setup.sh test installs it");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A kcat that fails at once does not read its input, and its output says why.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    child.wait_with_output().expect("kcat runs")
}

fn produce(broker: &Broker, topic: &str, lines: &str) {
    let output = kcat_with_input(broker.bootstrap(), &["-P", "-t", topic, "-p", "0", "-X", "acks=all"], lines);
    assert!(output.status.success(), "nothing was produced: {output:?}");
}

fn consume(broker: &Broker, topic: &str) -> String {
    let output = kcat(broker.bootstrap(), &["-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q"]);
    assert!(output.status.success(), "nothing was consumed: {output:?}");
    String::from_utf8(output.stdout).expect("text was produced")
}

/// A process that has ended and that nobody has asked for yet is not running.
fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| !status.lines().any(|line| line.starts_with("State:") && line.contains('Z')))
}

#[test]
fn it_starts_and_answers_a_client_that_is_not_ours() {
    let output = kcat(BROKER.bootstrap(), &["-L", "-m", "10"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(&format!("broker 1 at {} (controller)", BROKER.bootstrap())), "{output:?}");
    assert!(BROKER.log().contains("Kafka Server started"), "the log is kept:\n{}", BROKER.log());
    eprintln!("the broker answered {:?} after its start began", BROKER.started_in());
}

#[test]
fn a_topic_that_nobody_made_is_not_there() {
    let output = kcat_with_input(BROKER.bootstrap(), &["-P", "-t", "misspelt", "-X", "message.timeout.ms=3000"], "x\n");
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn a_client_that_is_not_librdkafka_can_publish() {
    BROKER.create_topic("foreign", 1, &[]);
    let script = "import kafka, sys\n\
                  p = kafka.KafkaProducer(bootstrap_servers=sys.argv[1], acks='all')\n\
                  p.send('foreign', b'from python', key=b'ada').get(timeout=30)\n\
                  p.close()";
    let output = Command::new(python()).args(["-c", script, BROKER.bootstrap()]).output().expect("python runs");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(consume(&BROKER, "foreign"), "from python\n");
}

#[test]
fn what_lies_on_the_disk_can_be_looked_at() {
    BROKER.create_topic("disk", 1, &[("retention.ms", "86400000")]);
    produce(&BROKER, "disk", "on the disk\n");
    let segment = BROKER.data().join("disk-0/00000000000000000000.log");
    let segment = segment.to_str().expect("a path in UTF-8");
    let output = BROKER.tool("org.apache.kafka.tools.DumpLogSegments", ["--print-data-log", "--files", segment]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("payload: on the disk"), "{output:?}");
}

#[test]
fn a_topic_is_compacted_within_seconds() {
    let settings = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("segment.ms", "500"),
        ("max.compaction.lag.ms", "500"),
    ];
    BROKER.create_topic("compacted", 1, &settings);
    let produce = |lines: &str| {
        let args = ["-P", "-t", "compacted", "-p", "0", "-K", ":"];
        let output = kcat_with_input(BROKER.bootstrap(), &args, lines);
        assert!(output.status.success(), "nothing was produced: {output:?}");
    };
    produce("ada:old\nada:new\n");
    // A segment is closed by the record that comes after its time, and only a closed segment is compacted.
    wait_until(DEADLINE, "the older value of a key is gone", || {
        produce("tick:tock\n");
        let left = consume(&BROKER, "compacted");
        assert!(left.contains("new\n"), "the newest value of a key stays: {left}");
        !left.contains("old\n")
    });
}

#[test]
fn it_keeps_its_data_and_its_ports_over_a_restart_and_a_kill() {
    let broker = Broker::start();
    let (bootstrap, first) = (broker.bootstrap().to_owned(), broker.pid());
    broker.create_topic("kept", 1, &[]);
    produce(&broker, "kept", "one\n");

    broker.restart();
    assert_eq!(broker.bootstrap(), bootstrap);
    assert_ne!(broker.pid(), first);
    assert!(!is_running(first));
    assert_eq!(consume(&broker, "kept"), "one\n");
    produce(&broker, "kept", "two\n");

    broker.kill();
    assert!(!kcat(&bootstrap, &["-L", "-m", "1"]).status.success(), "a killed broker does not answer");
    broker.restart();
    assert_eq!(consume(&broker, "kept"), "one\ntwo\n");
}

#[test]
fn a_paused_broker_answers_nobody_until_it_goes_on() {
    let broker = Broker::start();
    let pid = broker.pid();
    broker.create_topic("paused", 1, &[]);
    broker.pause();
    // For longer than its own controller waits for it.
    assert!(!kcat(broker.bootstrap(), &["-L", "-m", "4"]).status.success(), "a paused broker does not answer");
    broker.resume();
    wait_until(DEADLINE, "the broker answers again", || kcat(broker.bootstrap(), &["-L", "-m", "2"]).status.success());
    produce(&broker, "paused", "and on\n");
    assert_eq!(consume(&broker, "paused"), "and on\n");
    assert_eq!(broker.pid(), pid);
    broker.pause();
    broker.stop();
    assert!(!is_running(pid), "a paused broker can be stopped too");
}

#[test]
fn two_brokers_are_two_clusters() {
    let other = Broker::start();
    let identity = |broker: &Broker| {
        let text = std::fs::read_to_string(broker.data().join("meta.properties")).expect("a broker has an identity");
        text.lines().find(|line| line.starts_with("cluster.id=")).expect("it names the cluster").to_owned()
    };
    assert_ne!(identity(&other), identity(&BROKER));
}

fn secured() -> Broker {
    Broker::start_with(&BrokerOptions {
        listeners: vec![Listener::Ssl, Listener::SaslPlaintext, Listener::SaslSsl],
        users: vec![("memos".to_owned(), "right".to_owned())],
        ..BrokerOptions::default()
    })
}

fn setting(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

#[test]
fn tls_and_sasl_let_in_who_should_be_and_nobody_else() {
    let broker = secured();
    let enters = |listener: Listener, seconds: &str, settings: &[&str]| {
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["-X", *setting]).collect();
        let args = [&["-L", "-m", seconds], settings.as_slice()].concat();
        kcat(&broker.bootstrap_of(listener), &args).status.success()
    };
    let may_enter = |listener, settings: &[&str]| enters(listener, "20", settings);
    let may_not = |listener, settings: &[&str]| !enters(listener, "1", settings);
    let files = broker.certificates();
    let ca = setting("ssl.ca.location", &files.authority());
    let stranger = setting("ssl.ca.location", &files.stranger());
    let certificate = setting("ssl.certificate.location", &files.client());
    let key = setting("ssl.key.location", &files.client_key());

    let ssl = "security.protocol=ssl";
    assert!(may_enter(Listener::Ssl, &[ssl, &ca, &certificate, &key]));
    assert!(may_not(Listener::Ssl, &[ssl, &stranger, &certificate, &key]), "a broker that it does not trust");
    assert!(may_not(Listener::Ssl, &[ssl, &ca]), "without a certificate of its own");

    let plain = ["sasl.mechanism=PLAIN", "sasl.username=memos"];
    for (listener, protocol) in [(Listener::SaslPlaintext, "sasl_plaintext"), (Listener::SaslSsl, "sasl_ssl")] {
        let protocol = format!("security.protocol={protocol}");
        assert!(may_enter(listener, &[&[&protocol, &ca, "sasl.password=right"], &plain[..]].concat()));
        assert!(may_not(listener, &[&[&protocol, &ca, "sasl.password=wrong"], &plain[..]].concat()));
        let token = ["sasl.mechanism=OAUTHBEARER", "enable.sasl.oauthbearer.unsecure.jwt=true"];
        let principal = "sasl.oauthbearer.config=principal=memos";
        assert!(may_enter(listener, &[&[&protocol, &ca, principal], &token[..]].concat()));
    }
}

/// With Kafka's own client: Debian's kcat has a librdkafka from before 2.6.1, which ends the SCRAM exchange with the
/// wrong nonce, and a broker of today notices.
#[test]
fn scram_lets_in_who_knows_the_password() {
    let broker = secured();
    let settings = broker.data().with_file_name("client.properties");
    for (mechanism, password, expected) in [
        ("SCRAM-SHA-256", "right", true),
        ("SCRAM-SHA-512", "right", true),
        ("SCRAM-SHA-256", "wrong", false),
        ("SCRAM-SHA-512", "wrong", false),
    ] {
        let text = format!(
            "security.protocol=SASL_SSL\nsasl.mechanism={mechanism}\nssl.truststore.type=PEM\n{}\n\
             sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
             username=\"memos\" password=\"{password}\";\n",
            setting("ssl.truststore.location", &broker.certificates().authority())
        );
        std::fs::write(&settings, text).expect("the client's settings can be written");
        let bootstrap = broker.bootstrap_of(Listener::SaslSsl);
        let file = settings.to_str().expect("a path in UTF-8");
        let args = ["--bootstrap-server", &bootstrap, "--command-config", file, "--list"];
        let output = broker.tool("org.apache.kafka.tools.TopicCommand", args);
        assert_eq!(output.status.success(), expected, "{mechanism} with the {password} password: {output:?}");
    }
}

/// Set for the process that [`no_broker_outlives_the_process_that_started_it`] starts and kills.
const VICTIM: &str = "TESTKIT_KAFKA_VICTIM";

#[test]
fn no_broker_outlives_the_process_that_started_it() {
    if std::env::var_os(VICTIM).is_some() {
        // Started in a thread that ends, as a static is by the test that comes first.
        std::thread::spawn(|| LazyLock::force(&BROKER)).join().expect("the broker starts");
        eprintln!("\nVICTIM {} {}", BROKER.pid(), BROKER.data().display());
        // Until the pipe is closed or, as it will be, this process is killed.
        drop(std::io::stdin().read(&mut [0]));
        return;
    }
    let test = "no_broker_outlives_the_process_that_started_it";
    let mut victim = Command::new(std::env::current_exe().expect("this test is a program"))
        .args(["--exact", test, "--nocapture"])
        .env(VICTIM, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program runs");
    let stderr = std::io::BufReader::new(victim.stderr.take().expect("it is piped"));
    let line = std::io::BufRead::lines(stderr)
        .map(|line| line.expect("it prints text"))
        .find(|line| line.starts_with("VICTIM "))
        .expect("it says which broker it started");
    let mut words = line.split(' ').skip(1);
    let pid: u32 = words.next().and_then(|word| word.parse().ok()).expect("a process id");
    let data = Path::new(words.next().expect("a folder"));
    assert!(is_running(pid) && data.exists(), "the victim's broker outlives the thread that started it");
    victim.kill().expect("it can be killed");
    victim.wait().expect("it can be waited for");
    wait_until(DEADLINE, "the broker is gone", || !is_running(pid));
    wait_until(DEADLINE, "its folder is gone", || !data.parent().expect("it lies in a folder").exists());
}
