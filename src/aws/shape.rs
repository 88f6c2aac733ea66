//! The answers of the Describe calls, member by member.
//!
//! Owns which members are kept: all that a reader of a saved configuration may want. Names and shapes: EC2 API
//! 2016-11-15. Times stay as they are sent.

use super::xml::{Member, Shape};

const fn text(json: &'static str) -> Member {
    Member::text(json)
}

const fn integer(json: &'static str) -> Member {
    Member::integer(json)
}

const fn flag(json: &'static str) -> Member {
    Member::flag(json)
}

const fn list(json: &'static str, wire: &'static str, item: &'static Shape) -> Member {
    Member::list(json, item).wire(wire)
}

const NEXT_TOKEN: Member = text("NextToken");

const TAG: Shape = Shape::Struct(&[text("Key"), text("Value")]);
const TAGS: Member = list("Tags", "tagSet", &TAG);

const CIDR_STATE: &[Member] = &[text("State"), text("StatusMessage")];

const BLOCK_PUBLIC_ACCESS: Member =
    Member::object("BlockPublicAccessStates", &[text("InternetGatewayBlockMode")]);

pub(super) const NETWORK_ACLS: &[Member] = &[list("NetworkAcls", "networkAclSet", &NETWORK_ACL), NEXT_TOKEN];

const NETWORK_ACL: Shape = Shape::Struct(&[
    list(
        "Associations",
        "associationSet",
        &Shape::Struct(&[text("NetworkAclAssociationId"), text("NetworkAclId"), text("SubnetId")]),
    ),
    list("Entries", "entrySet", &NETWORK_ACL_ENTRY),
    flag("IsDefault").wire("default"),
    text("NetworkAclId"),
    TAGS,
    text("VpcId"),
    text("OwnerId"),
]);

const NETWORK_ACL_ENTRY: Shape = Shape::Struct(&[
    text("CidrBlock"),
    flag("Egress"),
    Member::object("IcmpTypeCode", &[integer("Code"), integer("Type")]),
    text("Ipv6CidrBlock"),
    Member::object("PortRange", &[integer("From"), integer("To")]),
    text("Protocol"),
    text("RuleAction"),
    integer("RuleNumber"),
]);

pub(super) const SUBNETS: &[Member] = &[list("Subnets", "subnetSet", &SUBNET), NEXT_TOKEN];

const SUBNET: Shape = Shape::Struct(&[
    text("AvailabilityZone"),
    text("AvailabilityZoneId"),
    integer("AvailableIpAddressCount"),
    flag("AssignIpv6AddressOnCreation"),
    BLOCK_PUBLIC_ACCESS,
    text("CidrBlock"),
    flag("DefaultForAz"),
    flag("EnableDns64"),
    Member::list("Ipv6CidrBlockAssociationSet", &SUBNET_IPV6_CIDR),
    flag("Ipv6Native"),
    flag("MapCustomerOwnedIpOnLaunch"),
    flag("MapPublicIpOnLaunch"),
    text("OutpostArn"),
    text("OwnerId"),
    Member::object(
        "PrivateDnsNameOptionsOnLaunch",
        &[
            text("HostnameType"),
            flag("EnableResourceNameDnsARecord"),
            flag("EnableResourceNameDnsAAAARecord"),
        ],
    ),
    text("State"),
    text("SubnetArn"),
    text("SubnetId"),
    TAGS,
    text("Type"),
    text("VpcId"),
]);

const SUBNET_IPV6_CIDR: Shape = Shape::Struct(&[
    text("AssociationId"),
    text("Ipv6CidrBlock"),
    Member::object("Ipv6CidrBlockState", CIDR_STATE),
    text("Ipv6AddressAttribute"),
    text("IpSource"),
]);

pub(super) const NETWORK_INTERFACES: &[Member] =
    &[list("NetworkInterfaces", "networkInterfaceSet", &NETWORK_INTERFACE), NEXT_TOKEN];

const NETWORK_INTERFACE: Shape = Shape::Struct(&[
    Member::object("Association", ADDRESS_ASSOCIATION),
    list("AssociatedSubnets", "associatedSubnetSet", &Shape::Text),
    Member::object("Attachment", ATTACHMENT),
    text("AvailabilityZone"),
    text("AvailabilityZoneId"),
    Member::object(
        "ConnectionTrackingConfiguration",
        &[integer("TcpEstablishedTimeout"), integer("UdpStreamTimeout"), integer("UdpTimeout")],
    ),
    flag("DenyAllIgwTraffic"),
    text("Description"),
    list("Groups", "groupSet", &Shape::Struct(&[text("GroupId"), text("GroupName")])),
    text("InterfaceType"),
    list("Ipv4Prefixes", "ipv4PrefixSet", &Shape::Struct(&[text("Ipv4Prefix")])),
    text("Ipv6Address"),
    list(
        "Ipv6Addresses",
        "ipv6AddressesSet",
        &Shape::Struct(&[text("Ipv6Address"), text("PublicIpv6DnsName"), flag("IsPrimaryIpv6")]),
    ),
    flag("Ipv6Native"),
    list("Ipv6Prefixes", "ipv6PrefixSet", &Shape::Struct(&[text("Ipv6Prefix")])),
    text("MacAddress"),
    text("NetworkInterfaceId"),
    Member::object("Operator", &[flag("Managed"), text("Principal"), flag("HiddenByDefault")]),
    text("OutpostArn"),
    text("OwnerId"),
    text("PrivateDnsName"),
    text("PrivateIpAddress"),
    list("PrivateIpAddresses", "privateIpAddressesSet", &PRIVATE_IP_ADDRESS),
    text("PublicDnsName"),
    text("RequesterId"),
    flag("RequesterManaged"),
    flag("SourceDestCheck"),
    text("Status"),
    text("SubnetId"),
    list("TagSet", "tagSet", &TAG),
    text("VpcId"),
]);

const ADDRESS_ASSOCIATION: &[Member] = &[
    text("AllocationId"),
    text("AssociationId"),
    text("CarrierIp"),
    text("CustomerOwnedIp"),
    text("IpOwnerId"),
    text("PublicDnsName"),
    text("PublicIp"),
];

const ATTACHMENT: &[Member] = &[
    text("AttachTime"),
    text("AttachmentId"),
    flag("DeleteOnTermination"),
    integer("DeviceIndex"),
    text("InstanceId"),
    text("InstanceOwnerId"),
    integer("NetworkCardIndex"),
    text("Status"),
];

const PRIVATE_IP_ADDRESS: Shape = Shape::Struct(&[
    Member::object("Association", ADDRESS_ASSOCIATION),
    flag("Primary"),
    text("PrivateDnsName"),
    text("PrivateIpAddress"),
]);

pub(super) const NAT_GATEWAYS: &[Member] = &[list("NatGateways", "natGatewaySet", &NAT_GATEWAY), NEXT_TOKEN];

const NAT_GATEWAY: Shape = Shape::Struct(&[
    text("AutoProvisionZones"),
    text("AutoScalingIps"),
    text("AvailabilityMode"),
    text("ConnectivityType"),
    text("CreateTime"),
    text("DeleteTime"),
    text("FailureCode"),
    text("FailureMessage"),
    list("NatGatewayAddresses", "natGatewayAddressSet", &NAT_GATEWAY_ADDRESS),
    text("NatGatewayId"),
    text("RouteTableId"),
    text("State"),
    text("SubnetId"),
    TAGS,
    text("VpcId"),
]);

const NAT_GATEWAY_ADDRESS: Shape = Shape::Struct(&[
    text("AllocationId"),
    text("AssociationId"),
    text("AvailabilityZone"),
    text("AvailabilityZoneId"),
    text("FailureMessage"),
    flag("IsPrimary"),
    text("NetworkInterfaceId"),
    text("PrivateIp"),
    text("PublicIp"),
    text("Status"),
]);

pub(super) const VPCS: &[Member] = &[list("Vpcs", "vpcSet", &VPC), NEXT_TOKEN];

const VPC: Shape = Shape::Struct(&[
    BLOCK_PUBLIC_ACCESS,
    text("CidrBlock"),
    Member::list(
        "CidrBlockAssociationSet",
        &Shape::Struct(&[
            text("AssociationId"),
            text("CidrBlock"),
            Member::object("CidrBlockState", CIDR_STATE),
        ]),
    ),
    text("DhcpOptionsId"),
    Member::object(
        "EncryptionControl",
        &[text("Mode"), text("State"), text("StateMessage"), text("VpcEncryptionControlId"), text("VpcId")],
    ),
    text("InstanceTenancy"),
    Member::list("Ipv6CidrBlockAssociationSet", &VPC_IPV6_CIDR),
    flag("IsDefault"),
    text("OwnerId"),
    text("State"),
    TAGS,
    text("VpcId"),
]);

const VPC_IPV6_CIDR: Shape = Shape::Struct(&[
    text("AssociationId"),
    text("Ipv6CidrBlock"),
    Member::object("Ipv6CidrBlockState", CIDR_STATE),
    text("NetworkBorderGroup"),
    text("Ipv6Pool"),
    text("Ipv6AddressAttribute"),
    text("IpSource"),
]);

pub(super) const FLOW_LOGS: &[Member] = &[list("FlowLogs", "flowLogSet", &FLOW_LOG), NEXT_TOKEN];

const FLOW_LOG: Shape = Shape::Struct(&[
    text("CreationTime"),
    text("DeliverCrossAccountRole"),
    text("DeliverLogsErrorMessage"),
    text("DeliverLogsPermissionArn"),
    text("DeliverLogsStatus"),
    Member::object(
        "DestinationOptions",
        &[text("FileFormat"), flag("HiveCompatiblePartitions"), flag("PerHourPartition")],
    ),
    text("FlowLogId"),
    text("FlowLogStatus"),
    text("LogDestination"),
    text("LogDestinationType"),
    text("LogFormat"),
    text("LogGroupName"),
    integer("MaxAggregationInterval"),
    text("ResourceId"),
    TAGS,
    text("TrafficType"),
]);

/// The answer of `sts:GetCallerIdentity`, whose elements begin with a capital.
pub(super) const CALLER_IDENTITY: &[Member] =
    &[Member::object("GetCallerIdentityResult", &[text("Account"), text("Arn"), text("UserId")])];
