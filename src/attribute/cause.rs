//! Why a reply was rejected, how sure that is, and what else is to be said: the words of every verdict.

use std::fmt;

use crate::net::{Direction, Protocol, Timestamp};
use crate::network::MissingFact;

/// Why a reply was rejected. Order is the order of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A numbered deny entry matched.
    NaclRule,
    /// Nothing matched; the `*` entry denied.
    NaclDefault,
    /// VPC Block Public Access, by `reject-reason`.
    VpcBlockPublicAccess,
    /// VPC Encryption Controls, by `reject-reason`.
    EncryptionControls,
    /// A fact is missing.
    Undetermined,
    /// The ACL allows the packet or is not evaluated for it.
    NotNacl,
}

impl Cause {
    /// The word of the machine outputs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NaclRule => "nacl_rule",
            Self::NaclDefault => "nacl_default",
            Self::VpcBlockPublicAccess => "vpc_block_public_access",
            Self::EncryptionControls => "encryption_controls",
            Self::Undetermined => "undetermined",
            Self::NotNacl => "not_nacl",
        }
    }

    /// Whether an ACL's entry is to blame.
    #[must_use]
    pub fn is_nacl(self) -> bool {
        matches!(self, Self::NaclRule | Self::NaclDefault)
    }
}

/// How sure a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// The input holds no accepted records: only the shape of the reject tells.
    Possible,
    /// The request or the configuration of that moment is inferred.
    Likely,
    /// Request seen, rule evaluated on configuration known to be in force then.
    Proven,
}

impl Confidence {
    /// The word of the machine outputs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Proven => "proven",
        }
    }
}

/// What is left when it was not the ACL, or which fact is missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Both ends are in one subnet.
    SameSubnet(String),
    /// Link-local addresses, which ACLs do not filter (VPC User Guide, "Network ACL basics").
    LinkLocal,
    /// The request left through this other interface.
    OtherInterface(String),
    /// A FIN or RST was seen before.
    LateAfterClose,
    /// Silent for longer than the connection is tracked: protocol and seconds.
    TrackingExpired(Protocol, i64),
    /// The ACL allows it and nothing else is known.
    AclAllows(Option<Timestamp>),
    /// No network configuration was given.
    NoConfiguration,
    /// It is unknown which ACL stands there.
    NoNetworkAcl(MissingFact),
    /// It is unknown which way the packet went.
    DirectionUnknown(String),
    /// The ACL that is known to have been in force allows it and nothing else is known.
    AclAllowedThen,
    /// A deny entry depends on an ICMP type, which flow logs do not carry.
    IcmpTypeUnknown,
    /// This call, at that time, came so close that the packets may have met the rules before it or those after it.
    ChangeInWindow(String, Timestamp),
    /// What the history gives changed between these moments without an event in it.
    UnseenChange(Option<Timestamp>, Option<Timestamp>),
    /// This rule existed, and the history does not say what it held.
    EntryUnknown(String, Direction, u16),
    /// The log gives a reason that this version does not know.
    UnknownRejectReason,
}

impl Detail {
    /// A word for the id of a finding.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        match self {
            Self::SameSubnet(_) => "same_subnet",
            Self::LinkLocal => "link_local",
            Self::OtherInterface(_) => "other_interface",
            Self::LateAfterClose => "late_after_close",
            Self::TrackingExpired(..) => "tracking_expired",
            Self::AclAllows(_) | Self::AclAllowedThen => "acl_allows",
            Self::NoConfiguration | Self::NoNetworkAcl(_) => "no_network_acl",
            Self::DirectionUnknown(_) => "direction_unknown",
            Self::IcmpTypeUnknown => "icmp_type_unknown",
            Self::ChangeInWindow(..) => "change_in_window",
            Self::UnseenChange(..) => "unseen_change",
            Self::EntryUnknown(..) => "entry_unknown",
            Self::UnknownRejectReason => "unknown_reject_reason",
        }
    }

    /// The same for several conversations whose details differ.
    #[must_use]
    pub fn general(&self) -> String {
        match self {
            Self::SameSubnet(_) => "both ends are in one subnet, where network ACLs are not evaluated".to_owned(),
            Self::OtherInterface(_) => {
                "another interface holds the connection: the request left through it, and the security group of \
                 this one does not know the connection"
                    .to_owned()
            }
            Self::TrackingExpired(..) => {
                "the connection was silent so long that its tracking may have expired (UDP: 30 s, a stream 180 s; TCP: 350 s on newer \
                 instance types, else 5 days)"
                    .to_owned()
            }
            Self::NoNetworkAcl(_) => "no network ACL is known for these interfaces".to_owned(),
            Self::DirectionUnknown(_) => {
                "the direction of these packets is unknown: the format has no flow-direction field and the \
                 interfaces' own addresses are not known"
                    .to_owned()
            }
            Self::ChangeInWindow(..) => {
                "changes of the network ACL lie within a minute of these records: they may have met the rules before or after"
                    .to_owned()
            }
            Self::UnseenChange(..) => {
                "the network ACL changed at moments that the history given does not hold".to_owned()
            }
            Self::EntryUnknown(..) => {
                "the history given does not say what rules held that existed then".to_owned()
            }
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameSubnet(subnet) => {
                write!(f, "both ends are in {subnet}; network ACLs are not evaluated inside a subnet")
            }
            Self::LinkLocal => f.write_str("link-local traffic is not filtered by network ACLs"),
            Self::OtherInterface(interface) => write!(
                f,
                "another interface holds the connection: the request left through {interface}, and the security \
                 group of this one does not know the connection"
            ),
            Self::LateAfterClose => {
                f.write_str("late packet after the connection was closed (its records hold a FIN or RST)")
            }
            Self::TrackingExpired(protocol, seconds) => write!(
                f,
                "connection tracking may have expired: the reply came {seconds} s after the last accepted packet ({})",
                if *protocol == Protocol::UDP {
                    "udp is tracked for 30 s, a stream for 180 s"
                } else {
                    "tcp is tracked for 350 s on newer instance types, else for 5 days"
                }
            ),
            Self::AclAllows(captured_at) => {
                f.write_str("the network ACL allows this reply")?;
                if let Some(captured_at) = captured_at {
                    write!(f, " as captured at {captured_at}")?;
                }
                f.write_str(
                    ": left are a security group that does not track the connection, a packet after its close, or \
                     an ACL that was different at the time",
                )
            }
            Self::NoConfiguration => f.write_str("no network ACL is known: there is no network configuration"),
            Self::NoNetworkAcl(fact) => fact.fmt(f),
            Self::DirectionUnknown(interface) => write!(
                f,
                "the direction is unknown: the format has no flow-direction field and the own address of {interface} \
                 is neither in the network configuration nor clear from its records"
            ),
            Self::AclAllowedThen => f.write_str(
                "the network ACL in force then, by the history given, allows this reply: left are a security group that \
                 does not track the connection, or a packet after its close",
            ),
            Self::ChangeInWindow(call, at) => write!(
                f,
                "{call} at {at} lies within a minute of these records: they may have met the rules before it or those after it"
            ),
            Self::UnseenChange(from, until) => {
                f.write_str("the network ACL changed")?;
                match (from, until) {
                    (Some(from), Some(until)) => write!(f, " between {from} and {until}")?,
                    (Some(from), None) => write!(f, " after {from}")?,
                    (None, Some(until)) => write!(f, " before {until}")?,
                    (None, None) => {}
                }
                f.write_str(", and the history given does not hold the change: its moment is unknown")
            }
            Self::EntryUnknown(acl, direction, number) => write!(
                f,
                "{acl} {direction} {number} existed then, and the history given does not say what it held"
            ),
            Self::IcmpTypeUnknown => {
                f.write_str("a deny entry tests the ICMP type, which flow logs do not carry")
            }
            Self::UnknownRejectReason => f.write_str(
                "the record's reject-reason is one that this version does not know; AWS gives none for network ACLs",
            ),
        }
    }
}
