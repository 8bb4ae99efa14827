//! What every test's own log has in common.

/// Everything of [`EventLog`](event_log::EventLog) that a log in a test leaves to the log behind it, the field that is
/// named: all but `append`, `read` and `wait`, which are what tests watch, hold up and break.
///
/// To be used inside the `impl`; the crate must depend on `event-log`.
#[macro_export]
macro_rules! rest_of_the_log {
    ($inner:ident) => {
        fn id(&self) -> ::event_log::LogId {
            self.$inner.id()
        }

        fn partitions(&self) -> u32 {
            self.$inner.partitions()
        }

        fn partitions_of(&self, topic: &::event_log::Topic) -> u32 {
            self.$inner.partitions_of(topic)
        }

        fn watermarks(
            &self,
            topic: &::event_log::Topic,
            partition: ::event_log::Partition,
        ) -> Result<::event_log::Watermarks, ::event_log::Error> {
            self.$inner.watermarks(topic, partition)
        }

        fn commit(
            &self,
            group: &str,
            topic: &::event_log::Topic,
            partition: ::event_log::Partition,
            next: ::event_log::Offset,
        ) -> Result<(), ::event_log::Error> {
            self.$inner.commit(group, topic, partition, next)
        }

        fn committed(
            &self,
            group: &str,
            topic: &::event_log::Topic,
            partition: ::event_log::Partition,
        ) -> Result<Option<::event_log::Offset>, ::event_log::Error> {
            self.$inner.committed(group, topic, partition)
        }

        fn release(
            &self,
            reader: &str,
            topic: &::event_log::Topic,
            partition: ::event_log::Partition,
            up_to: ::event_log::Offset,
        ) -> Result<(), ::event_log::Error> {
            self.$inner.release(reader, topic, partition, up_to)
        }

        fn maintain(&self, now: ::event_log::Timestamp) -> Result<::event_log::Maintained, ::event_log::Error> {
            self.$inner.maintain(now)
        }

        fn topics(&self) -> Vec<::event_log::Topic> {
            self.$inner.topics()
        }

        fn failure(&self) -> Option<String> {
            self.$inner.failure()
        }
    };
}
