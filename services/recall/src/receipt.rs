//! Receipts on the wire, and when each copy of what is forgotten is dead.

use memory_core::forget::Stage;
use memory_core::{ReceiptId, Timestamp};
use memory_store::ReceiptRow;
use memos_client::{CopyView, ForgottenView, ReceiptStatus, ReceiptView};

use crate::Copies;
use crate::partition::Accepted;

pub(crate) fn of_accepted(id: ReceiptId, accepted: &Accepted, copies: &Copies) -> ReceiptView {
    ReceiptView {
        id: id.as_uuid(),
        status: ReceiptStatus::Accepted,
        scope: accepted.scope.to_owned(),
        accepted_at: accepted.at,
        key_destroyed_at: None,
        erased_at: None,
        verified_at: None,
        forgotten: None,
        copies: copies_of(accepted.at, None, None, copies),
    }
}

pub(crate) fn of_row(row: &ReceiptRow, copies: &Copies) -> ReceiptView {
    let ReceiptRow { erased, keys, key_destroyed, erased_at, verified, .. } = row;
    ReceiptView {
        id: erased.receipt.as_uuid(),
        status: match row.stage() {
            Stage::Accepted => ReceiptStatus::Accepted,
            Stage::KeyDestroyed => ReceiptStatus::KeyDestroyed,
            Stage::Erased => ReceiptStatus::Erased,
            Stage::Verified => ReceiptStatus::Verified,
        },
        scope: erased.scope.clone(),
        accepted_at: erased.accepted,
        key_destroyed_at: *key_destroyed,
        erased_at: *erased_at,
        verified_at: *verified,
        forgotten: Some(ForgottenView { memories: erased.memories, sources: erased.sources, keys: *keys }),
        copies: copies_of(erased.accepted, *key_destroyed, *erased_at, copies),
    }
}

fn copies_of(
    accepted: Timestamp,
    key_destroyed: Option<Timestamp>,
    erased: Option<Timestamp>,
    copies: &Copies,
) -> Vec<CopyView> {
    let copy = |what: &str, dies: &str, died_at, dead_by| CopyView {
        what: what.to_owned(),
        dies: dies.to_owned(),
        died_at,
        dead_by,
    };
    let after = |seconds: Option<i64>| seconds.map(|seconds| accepted.plus_seconds(seconds));
    let epochs = copies.epoch_seconds.saturating_mul(3);
    let day_key = |kept: Option<i64>| after(kept.map(|kept| kept.saturating_add(epochs)));
    vec![
        copy("memories, windows and states, in every store and topic", "with the subject's keys", key_destroyed, None),
        copy("rows of the stores", "deleted", erased, None),
        copy(
            "steps in `memories`, keys in `keys`",
            "unreadable since the keys are destroyed; removed by compaction",
            None,
            erased.and_then(|erased| copies.compaction_seconds.map(|seconds| erased.plus_seconds(seconds))),
        ),
        copy(
            "the events in `interactions`",
            "masked at once; with the key of their day, once the log has let go of it",
            None,
            day_key(copies.interactions_seconds),
        ),
        copy(
            "events that could not be taken, in `dead-letters`",
            "masked at once; with the key of their day, once the log has let go of it",
            None,
            day_key(copies.dead_letters_seconds),
        ),
        copy("backups", "with the keys, which no backup of the data holds", key_destroyed, None),
    ]
}
