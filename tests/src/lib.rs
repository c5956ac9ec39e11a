//! What crosses crates is tested here.

pub mod conformance;
pub mod counting;
pub mod digits;
pub mod engine;
pub mod golden;
pub mod gradcheck;
pub mod levels;
pub mod plain;
pub mod random;
pub mod reference;
