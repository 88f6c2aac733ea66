//! The network configuration around the ACLs: subnets, interfaces and what they are called.
