//! Who may open a store, and what a reader beside the writer sees.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use event_log::{EventLog, Partition, Topic};
use memory_store::{Error, ErrorKind, Settings, Store};
use testkit::{fold, lively_history, secret, wait_until};

use crate::kit::{ONE, apply_all, apply_next, dump, hash, log_of, open, oracle, read_all, records, ring};

#[test]
fn a_second_writer_is_told_that_another_process_has_the_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = open(dir.path());
    let error = Store::open(dir.path(), secret(), ring().clone(), &Settings::default()).expect_err("it is taken");
    assert!(matches!(error, Error::Open { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Operator);
    assert!(error.to_string().contains("stop it first"), "{error}");
    drop(first);
    open(dir.path());
}

#[test]
fn a_reader_beside_the_writer_sees_the_store_as_it_was_when_it_was_opened() {
    let folded = fold(&lively_history(71, 3, 200));
    let log = log_of(&folded.steps);
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    apply_next(&log, &store, ONE, 20).expect("there are more");
    let then = dump(&store);
    let reader = Store::open_read_only(dir.path(), secret(), ring().clone()).expect("it opens beside the writer");
    assert_eq!(dump(&reader), then, "what was not flushed is seen as well");
    apply_all(&log, &store, 20);
    store.flush().expect("it flushes");
    assert_eq!((dump(&reader), dump(&store)), (then, folded.hash()));
    assert_eq!(dump(&Store::open_read_only(dir.path(), secret(), ring().clone()).expect("it opens")), folded.hash());
    assert!(store.disk_bytes() > 0);
}

/// A flush removes files while a reader opens them; what it then shows must still be whole batches.
// law: L02
#[test]
fn a_reader_that_opens_while_the_writer_flushes_sees_the_rows_below_its_position() {
    let folded = fold(&lively_history(73, 3, 160));
    let log = log_of(&folded.steps);
    let all = records(&read_all(&log, ONE));
    let dir = tempfile::tempdir().expect("a directory");
    let (store, done, readers) = (open(dir.path()), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut batches = 0;
            while apply_next(&log, &store, ONE, 2).is_some() {
                store.flush().expect("it flushes");
                batches += 1;
                // Now and then the writer pauses, so that readers get in however slow the machine is.
                if batches % 8 == 0 {
                    let so_far = readers.load(Ordering::SeqCst);
                    let another = || readers.load(Ordering::SeqCst) > so_far;
                    wait_until(Duration::from_secs(60), "another reader opened the store", another);
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            let reader = match Store::open_read_only(dir.path(), secret(), ring().clone()) {
                Ok(reader) => reader,
                Err(Error::Busy { .. }) => continue,
                Err(error) => panic!("{error:?}"),
            };
            let position = reader.position(log.id(), &Topic::Memories, ONE).expect("a position");
            let below = all.iter().take_while(|record| record.offset < position);
            assert_eq!(dump(&reader), hash(&oracle(below)), "at position {position}");
            readers.fetch_add(1, Ordering::SeqCst);
        }
    });
    assert_eq!(
        dump(&Store::open_read_only(dir.path(), secret(), ring().clone()).expect("nobody writes")),
        folded.hash()
    );
}

#[test]
fn a_reader_makes_no_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let error =
        Store::open_read_only(&dir.path().join("nothing"), secret(), ring().clone()).expect_err("there is none");
    assert!(matches!(error, Error::Open { .. }), "{error}");
}

#[test]
fn a_reader_cannot_write() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()));
    let reader = Store::open_read_only(dir.path(), secret(), ring().clone()).expect("it opens");
    let error = reader.forget_spilled(Partition::new(0), 1).expect_err("it only reads");
    assert!(matches!(error, Error::Io { .. }), "{error}");
}
