//! The connection to AWS: credentials, regions, endpoints, the calls made and what their errors mean.
//!
//! Owns the session (the default chain, profiles, roles), the one runtime that calls run on, the list of every action
//! this program may ask of AWS, and the EC2 and STS calls. Refuses to know flow log records and what a network
//! configuration means. Nothing here ever prints or logs a credential.

mod action;
mod credentials;
mod ec2;
mod error;
mod http;
mod query;
mod session;
mod shape;
mod xml;

pub use action::Action;
pub use ec2::{Description, DestinationOptions, FlowLog, NetworkDescription};
pub use error::AwsError;
pub use session::{Aws, AwsOptions, Stop};
