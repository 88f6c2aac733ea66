//! The integration tests, in one binary so that they link once. Most run the real `flowcheck`.

mod broken;
mod cloudwatch;
mod expectation;
mod formats;
mod logs_stub;
mod network;
mod readme;
mod run;
mod sample;
mod scenarios;
mod structure;
