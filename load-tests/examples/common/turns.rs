//! Events as working memory numbers them, for what measures one algorithm by itself.

use std::sync::Arc;

use memory_core::{Event, Rules, Seq, Turn, salience};

/// An event as the `seq`th of its subject.
pub(crate) fn turn(event: Event, seq: usize) -> Turn {
    let salience = salience::of(&event, None, &Rules::default());
    let seq = Seq::new(u64::try_from(seq).expect("few"));
    Turn { seq, arrived: event.time, event: Arc::new(event), salience, unkept: None, candidates: Vec::new() }
}
