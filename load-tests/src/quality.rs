//! Whether the right thing is found: conversations with questions whose evidence is known, what is found for each
//! question, and figures that anybody can check.
//!
//! | module | is |
//! |---|---|
//! | [`data`] | conversations in LoCoMo's format, and what of it is read |
//! | [`product`] | conversations go into a memos as interactions, and questions are asked of it |
//! | [`baseline`] | the plain words-only ranking that has to be beaten, computed here |
//! | [`score`] | what a ranking is worth |
//!
//! A memory counts for its sources, in their order, each of which takes a rank. So a summary of fifty turns fills fifty
//! ranks, and cannot look like a precise answer.

pub mod baseline;
pub mod data;
pub mod product;
pub mod score;
