//! The names of flow log fields, versions 2 to 11, and what each is called in other spellings.
//!
//! Source: VPC User Guide, "Flow log records"; Parquet columns write `_` for `-` (Athena User Guide).

/// A field the analysis reads, or one it only has to step over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the AWS field names")]
pub enum Field {
    Version,
    InterfaceId,
    Srcaddr,
    Dstaddr,
    Srcport,
    Dstport,
    Protocol,
    Packets,
    Bytes,
    Start,
    End,
    Action,
    LogStatus,
    VpcId,
    SubnetId,
    TcpFlags,
    PktSrcaddr,
    PktDstaddr,
    FlowDirection,
    RejectReason,
    ResourceId,
    /// A field that AWS documents and the analysis does not need.
    Carried,
    /// A field of transit gateway flow logs, which have no action and no interface.
    TransitGateway,
    /// A name this version does not know: carried, never refused.
    Unknown,
}

/// Fields the analysis reads, by name.
const READ: [(&str, Field); 21] = [
    ("version", Field::Version),
    ("interface-id", Field::InterfaceId),
    ("srcaddr", Field::Srcaddr),
    ("dstaddr", Field::Dstaddr),
    ("srcport", Field::Srcport),
    ("dstport", Field::Dstport),
    ("protocol", Field::Protocol),
    ("packets", Field::Packets),
    ("bytes", Field::Bytes),
    ("start", Field::Start),
    ("end", Field::End),
    ("action", Field::Action),
    ("log-status", Field::LogStatus),
    ("vpc-id", Field::VpcId),
    ("subnet-id", Field::SubnetId),
    ("tcp-flags", Field::TcpFlags),
    ("pkt-srcaddr", Field::PktSrcaddr),
    ("pkt-dstaddr", Field::PktDstaddr),
    ("flow-direction", Field::FlowDirection),
    ("reject-reason", Field::RejectReason),
    ("resource-id", Field::ResourceId),
];

/// Documented fields that are stepped over.
const CARRIED: [&str; 33] = [
    "account-id",
    "instance-id",
    "type",
    "region",
    "az-id",
    "sublocation-type",
    "sublocation-id",
    "pkt-src-aws-service",
    "pkt-dst-aws-service",
    "traffic-path",
    "ecs-cluster-arn",
    "ecs-cluster-name",
    "ecs-container-instance-arn",
    "ecs-container-instance-id",
    "ecs-container-id",
    "ecs-second-container-id",
    "ecs-service-name",
    "ecs-task-definition-arn",
    "ecs-task-arn",
    "ecs-task-id",
    "encryption-status",
    "instance-tag",
    "instance-tag-2",
    "interface-tag",
    "interface-tag-2",
    "asg-tag",
    "asg-tag-2",
    "interface-type",
    "next-hop-interface-id",
    "next-hop-subnet-id",
    "next-hop-az-id",
    "next-hop-vpc-id",
    "next-hop-interface-type",
];

/// Fields that only transit gateway flow logs have (Transit Gateways guide), besides those beginning with `tgw-`.
const TRANSIT_GATEWAY: [&str; 5] = [
    "resource-type",
    "packets-lost-no-route",
    "packets-lost-blackhole",
    "packets-lost-mtu-exceeded",
    "packets-lost-ttl-expired",
];

/// The order of the default format (version 2), which cannot be changed.
pub const DEFAULT_FIELDS: [&str; 14] = [
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
];

impl Field {
    /// The field of that name: dashes, underscores or neither, any case.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let squeezed = squeeze(name);
        if let Some(&(_, field)) = READ.iter().find(|(known, _)| squeeze(known) == squeezed) {
            return field;
        }
        match squeezed.as_str() {
            // CloudWatch Logs Insights discovers these two under names of its own.
            "starttime" => return Self::Start,
            "endtime" => return Self::End,
            _ => {}
        }
        if CARRIED.iter().any(|known| squeeze(known) == squeezed) {
            Self::Carried
        } else if squeezed.starts_with("tgw")
            || TRANSIT_GATEWAY.iter().any(|known| squeeze(known) == squeezed)
        {
            Self::TransitGateway
        } else {
            Self::Unknown
        }
    }

    /// Whether a column of that name matters: the analysis reads it, or it tells what the records are.
    #[must_use]
    pub fn is_wanted(name: &str) -> bool {
        !matches!(Self::from_name(name), Self::Carried | Self::Unknown)
    }

    /// The AWS name of a field the analysis reads; `field` for one it does not.
    #[must_use]
    pub fn name(self) -> &'static str {
        READ.iter().find(|&&(_, field)| field == self).map_or("field", |&(name, _)| name)
    }
}

fn squeeze(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_one_field() {
        for name in ["log-status", "log_status", "logStatus", "LOG-STATUS"] {
            assert_eq!(Field::from_name(name), Field::LogStatus, "{name}");
        }
        assert_eq!(Field::from_name("ecs_task_id"), Field::Carried);
        assert_eq!(Field::from_name("tgw-pair-attachment-id"), Field::TransitGateway);
        assert_eq!(Field::from_name("quantum-lane"), Field::Unknown);
    }

    #[test]
    fn every_documented_field_is_known() {
        // Versions 2 to 11 have 54 fields (VPC User Guide).
        assert_eq!(READ.len() + CARRIED.len(), 54);
        for name in CARRIED {
            assert_eq!(Field::from_name(name), Field::Carried, "{name}");
        }
    }
}
