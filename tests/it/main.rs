//! The integration tests, in one binary so that they link once. Most run the real `flowcheck`.

mod account;
mod acl_history;
mod broken;
mod cloudwatch;
mod expectation;
mod follow;
mod formats;
mod history;
mod interrupt;
mod live_logs;
mod live_s3;
mod logs_stub;
mod network;
mod overflow;
mod page;
mod parquet;
mod permissions;
mod progress;
mod proxy;
mod readme;
mod report;
mod run;
mod s3;
mod s3_server;
mod sample;
mod scenarios;
mod servers;
mod structure;
mod stub;

// The fixtures of the unit tests, which `page` shares, know it by this name.
use flowcheck::net;
