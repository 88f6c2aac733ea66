//! `flowcheck`: find the network ACL rule that drops your return traffic.
//!
//! Data moves one way; a module knows what stands left of it only by the type it is handed:
//!
//! ```text
//!  source ──bytes──▶ decode ──lines──▶ record ──FlowRecord──▶ correlate ──Conversation──▶ attribute ──Finding──▶ report
//! (files, stdin)   (gzip, Parquet,    (format,               (requests ↔               (nacl::evaluate        (text, json,
//!                   bounded lines)     parse)                 rejected replies)         on the subnet's ACL)   jsonl, csv, md, html)
//!
//!                                      network (snapshot: interfaces, subnets, names) ──▶ nacl (model, evaluate)
//! ```
//!
//! | module | owns | may use |
//! |---|---|---|
//! | [`net`] | five-tuple, protocol, TCP flags, direction, time | nothing |
//! | [`aws`] | credentials, regions, endpoints; the calls to EC2, STS, CloudTrail and AWS Config | `net` |
//! | [`source`] | finding inputs and opening them as bytes | `net`, `aws` |
//! | [`decode`] | gzip members, plain text, Parquet rows, bounded lines and their positions | nothing |
//! | [`record`] | field names v2…v11, log formats, one record | `net` |
//! | [`correlate`] | pairing requests with rejected replies, memory bounds | `net`, `record` |
//! | [`nacl`] | network ACLs, the only evaluator, what they were over time, and changes that restore traffic | `net` |
//! | [`network`] | the saved configuration and its history: ACLs, subnets, interfaces and their names | `net`, `nacl` |
//! | [`attribute`] | interface → subnet → ACL at that time → cause of each rejected reply | `net`, `correlate`, `nacl`, `network` |
//! | [`report`] | one writer per output format over its own view types | `net` |
//! | [`survey`] | what a stretch of time came to: sums that are kept, put together, compared and made into a report | the stages' results |
//! | [`pipeline`] | composes the reading stages on all cores | the stages |
//! | [`memory`] | what becomes of freed memory | nothing |
//! | [`config`], [`cli`] | arguments → validated configuration | each stage's options |
//! | [`commands`] | one file a command | all but `cli` |
//!
//! A test in the suite reads `src/` and fails when two modules import each other.

pub mod attribute;
pub mod aws;
pub mod cli;
pub mod commands;
pub mod config;
pub mod correlate;
pub mod decode;
pub mod memory;
pub mod nacl;
pub mod net;
pub mod network;
pub mod pipeline;
pub mod record;
pub mod report;
pub mod source;
pub mod survey;
