//! The suite that every log passes.

use std::collections::BTreeMap;

use event_log::kafka::KafkaLog;
use event_log::kafka::topics;
use event_log::{EventLog, Topic, conformance};
use testkit::kafka::Broker;

use crate::kit::{BROKER, new_log, open, settings, topic_settings};

/// What makes records age within seconds, by topic.
fn ageing() -> BTreeMap<Topic, BTreeMap<String, String>> {
    let properties = |topic: &Topic| {
        let mut properties = vec![("segment.ms", "300"), ("file.delete.delay.ms", "100")];
        match topic {
            Topic::Working | Topic::Memories | Topic::Keys => properties.extend([
                ("delete.retention.ms", "2000"),
                ("max.compaction.lag.ms", "500"),
                ("min.cleanable.dirty.ratio", "0.01"),
            ]),
            Topic::Interactions | Topic::DeadLetters => properties.push(("retention.ms", "2000")),
            Topic::Consolidations | Topic::Receipts | Topic::Inlet(_) => {}
        }
        properties.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    Topic::FIXED.into_iter().map(|topic| (topic.clone(), properties(&topic))).collect()
}

fn log(ages: bool) -> KafkaLog {
    let settings = settings(BROKER.bootstrap());
    let mut wanted = topic_settings();
    if ages {
        wanted.extra = ageing();
    }
    topics::ensure(&settings, &wanted).expect("the topics can be made");
    open(&settings)
}

#[test]
fn the_log_over_kafka_conforms() {
    conformance::run_kept_by_brokers(&|ages| Box::new(log(ages)) as Box<dyn EventLog>);
}

#[test]
fn the_log_over_kafka_pushes_back() {
    let broker = Broker::start();
    let log = new_log(&settings(broker.bootstrap()));
    broker.pause();
    conformance::back_pressure(&log, || broker.resume());
}
