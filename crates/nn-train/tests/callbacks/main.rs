//! The callbacks that come with the crate.

mod checkpoints;
mod keras;
mod logs;
mod rates;
mod resumed;
mod scripted;
mod stops;
mod tensorboard;

type TestResult = Result<(), Box<dyn std::error::Error>>;
