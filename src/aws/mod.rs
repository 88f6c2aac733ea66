//! The connection to AWS: credentials, regions, endpoints, the calls made and what their errors mean.
//!
//! Owns the session (the default chain, profiles, roles), the one runtime that calls run on, the list of every action
//! this program may ask of AWS, and the calls to EC2, STS, CloudTrail and AWS Config. Refuses to know flow log records and
//! what a network configuration means. Nothing here ever prints or logs a credential.

mod acl_history;
mod action;
mod cloudtrail;
mod config_history;
mod credentials;
mod ec2;
mod error;
mod http;
mod json;
mod query;
mod service;
mod session;
mod shape;
mod transport;
mod xml;

pub use acl_history::{HistoryLimits, NetworkAclHistory};
pub use action::Action;
pub use cloudtrail::Complete;
pub use ec2::{Description, DestinationOptions, FlowLog, NetworkDescription};
pub use error::AwsError;
pub use session::{Aws, AwsOptions, Stop};
