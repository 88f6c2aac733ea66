//! The integration tests, in one binary so that they link once. Each runs the real `flowcheck`.

mod account;
mod broken;
mod expectation;
mod formats;
mod network;
mod permissions;
mod readme;
mod run;
mod sample;
mod scenarios;
mod structure;
mod stub;
