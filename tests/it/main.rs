//! The integration tests, in one binary so that they link once. Each runs the real `flowcheck`.

mod broken;
mod expectation;
mod formats;
mod network;
mod readme;
mod run;
mod sample;
mod scenarios;
mod servers;
mod structure;
