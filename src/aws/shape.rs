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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::xml;
    use super::*;

    /// The first resource of an answer that holds `item`.
    fn resource(set: &str, item: &str, members: &'static [Member]) -> Value {
        let text = format!("<Answer><requestId>r</requestId><{set}><item>{item}</item></{set}></Answer>");
        let mut answer = xml::read(text.as_bytes(), "Answer", members).expect("an answer");
        answer[members[0].json][0].take()
    }

    #[test]
    fn an_interface_keeps_what_tells_whose_it_is() {
        let item = "<networkInterfaceId>eni-1</networkInterfaceId><interfaceType>nat_gateway</interfaceType>\
             <requesterManaged>true</requesterManaged><sourceDestCheck>false</sourceDestCheck><tagSet/>\
             <attachment><instanceOwnerId>amazon-aws</instanceOwnerId><deviceIndex>1</deviceIndex></attachment>\
             <association><publicIp>203.0.113.7</publicIp></association>\
             <connectionTrackingConfiguration><tcpEstablishedTimeout>350</tcpEstablishedTimeout></connectionTrackingConfiguration>\
             <groupSet><item><groupId>sg-1</groupId><groupName>web</groupName></item></groupSet>\
             <privateIpAddressesSet><item><privateIpAddress>10.0.0.5</privateIpAddress><primary>true</primary></item></privateIpAddressesSet>\
             <ipv6AddressesSet><item><ipv6Address>2001:db8::5</ipv6Address></item></ipv6AddressesSet>\
             <ipv4PrefixSet><item><ipv4Prefix>10.0.1.0/28</ipv4Prefix></item></ipv4PrefixSet>\
             <ipv6PrefixSet><item><ipv6Prefix>2001:db8:1::/80</ipv6Prefix></item></ipv6PrefixSet>\
             <associatedSubnetSet><item>subnet-2</item></associatedSubnetSet>\
             <operator><managed>true</managed></operator>";
        let wanted = json!({
            "NetworkInterfaceId": "eni-1", "InterfaceType": "nat_gateway", "RequesterManaged": true,
            "SourceDestCheck": false, "TagSet": [],
            "Attachment": {"InstanceOwnerId": "amazon-aws", "DeviceIndex": 1},
            "Association": {"PublicIp": "203.0.113.7"},
            "ConnectionTrackingConfiguration": {"TcpEstablishedTimeout": 350},
            "Groups": [{"GroupId": "sg-1", "GroupName": "web"}],
            "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.5", "Primary": true}],
            "Ipv6Addresses": [{"Ipv6Address": "2001:db8::5"}],
            "Ipv4Prefixes": [{"Ipv4Prefix": "10.0.1.0/28"}],
            "Ipv6Prefixes": [{"Ipv6Prefix": "2001:db8:1::/80"}],
            "AssociatedSubnets": ["subnet-2"], "Operator": {"Managed": true},
        });
        assert_eq!(resource("networkInterfaceSet", item, NETWORK_INTERFACES), wanted);
    }

    #[test]
    fn sets_of_cidrs_and_addresses_keep_their_names() {
        let vpc = "<isDefault>false</isDefault><cidrBlockAssociationSet><item><cidrBlock>10.0.0.0/16</cidrBlock>\
             <cidrBlockState><state>associated</state></cidrBlockState></item></cidrBlockAssociationSet>\
             <ipv6CidrBlockAssociationSet><item><ipv6CidrBlock>2001:db8::/56</ipv6CidrBlock></item></ipv6CidrBlockAssociationSet>\
             <blockPublicAccessStates><internetGatewayBlockMode>block-ingress</internetGatewayBlockMode></blockPublicAccessStates>";
        let wanted = json!({
            "IsDefault": false,
            "CidrBlockAssociationSet": [{"CidrBlock": "10.0.0.0/16", "CidrBlockState": {"State": "associated"}}],
            "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "2001:db8::/56"}],
            "BlockPublicAccessStates": {"InternetGatewayBlockMode": "block-ingress"},
        });
        assert_eq!(resource("vpcSet", vpc, VPCS), wanted);
        let nat = "<natGatewayId>nat-1</natGatewayId><natGatewayAddressSet><item><networkInterfaceId>eni-1</networkInterfaceId>\
             <isPrimary>true</isPrimary></item></natGatewayAddressSet>";
        let wanted = json!({
            "NatGatewayId": "nat-1", "NatGatewayAddresses": [{"NetworkInterfaceId": "eni-1", "IsPrimary": true}],
        });
        assert_eq!(resource("natGatewaySet", nat, NAT_GATEWAYS), wanted);
    }
}
