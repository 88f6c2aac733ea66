//! The integration tests, in one binary so that they link once. Most run the real `flowcheck`.

mod account;
mod broken;
mod cloudwatch;
mod expectation;
mod formats;
mod logs_stub;
mod network;
mod permissions;
mod readme;
mod run;
mod sample;
mod scenarios;
mod structure;
mod stub;
