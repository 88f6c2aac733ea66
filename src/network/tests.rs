//! Loading, merging and asking, from documents as the AWS CLI prints them.

use std::io::Write;

use super::*;
use crate::net::Direction;

const ACLS: &str = r#"{"NetworkAcls":[
  {"NetworkAclId":"acl-custom","VpcId":"vpc-1","IsDefault":false,"OwnerId":"111122223333","Unheard":[1,{"of":null}],
   "Tags":[{"Key":"team","Value":"net"},{"Key":"Name","Value":"private"}],
   "Associations":[{"NetworkAclAssociationId":"aclassoc-1","NetworkAclId":"acl-custom","SubnetId":"subnet-a"}],
   "Entries":[
    {"CidrBlock":"0.0.0.0/0","Egress":false,"Protocol":"-1","RuleAction":"deny","RuleNumber":32767},
    {"CidrBlock":"0.0.0.0/0","Egress":false,"IcmpTypeCode":{"Code":-1,"Type":3},"Protocol":"1","RuleAction":"allow","RuleNumber":150},
    {"CidrBlock":"10.0.0.7/8","Egress":true,"PortRange":null,"Protocol":6,"RuleAction":"allow","RuleNumber":100},
    {"Ipv6CidrBlock":"::/0","CidrBlock":null,"Egress":false,"Protocol":"58","RuleAction":"deny","RuleNumber":200},
    {"CidrBlock":"0.0.0.0/0","Egress":false,"PortRange":{"From":1024,"To":65535},"Protocol":"6","RuleAction":"allow","RuleNumber":140}]},
  {"NetworkAclId":"acl-default","VpcId":"vpc-1","IsDefault":true,"Entries":[
    {"CidrBlock":"0.0.0.0/0","Egress":false,"Protocol":"-1","RuleAction":"allow","RuleNumber":100}]}]}"#;

const REST: &str = r#"{
  "Subnets":[
    {"SubnetId":"subnet-a","VpcId":"vpc-1","CidrBlock":"10.0.1.0/24","Tags":[{"Key":"Name","Value":"private-a"}],
     "Ipv6CidrBlockAssociationSet":[
       {"Ipv6CidrBlock":"2001:db8:0:1::/64","Ipv6CidrBlockState":{"State":"associated"}},
       {"Ipv6CidrBlock":"2001:db8:0:9::/64","Ipv6CidrBlockState":{"State":"disassociated"}}]},
    {"SubnetId":"subnet-b","VpcId":"vpc-1","CidrBlock":"10.0.2.0/24"},
    {"SubnetId":"subnet-c","VpcId":"vpc-2","CidrBlock":"10.0.2.128/25"},
    {"SubnetId":"subnet-d"}],
  "NetworkInterfaces":[
    {"NetworkInterfaceId":"eni-1","SubnetId":"subnet-b","VpcId":"vpc-1","InterfaceType":"interface","Description":"",
     "RequesterManaged":false,"PrivateIpAddress":"10.0.2.5","TagSet":[{"Key":"Name","Value":"web-1"}],
     "PrivateIpAddresses":[{"Primary":false,"PrivateIpAddress":"10.0.2.4"},{"Primary":true,"PrivateIpAddress":"10.0.2.5"}],
     "Ipv6Addresses":[{"Ipv6Address":"2001:db8:0:2::5"}],"Ipv4Prefixes":[{"Ipv4Prefix":"10.0.2.64/28"}],
     "Attachment":{"InstanceId":"i-1","DeviceIndex":0}},
    {"NetworkInterfaceId":"eni-2","VpcId":"vpc-2","PrivateIpAddress":"10.0.2.5"},
    {"NetworkInterfaceId":"eni-nat","SubnetId":"subnet-a","VpcId":"vpc-1","InterfaceType":"nat_gateway",
     "RequesterManaged":true,"Description":"Interface for NAT Gateway nat-1","PrivateIpAddress":"10.0.1.9"}],
  "NatGateways":[{"NatGatewayId":"nat-1","SubnetId":"subnet-a","Tags":[{"Key":"Name","Value":"prod-a"}],
     "NatGatewayAddresses":[{"NetworkInterfaceId":"eni-nat","PrivateIp":"10.0.1.9"}]}],
  "Vpcs":[{"VpcId":"vpc-1","CidrBlock":"10.0.0.0/16","Tags":[{"Key":"Name","Value":"prod"}]}],
  "flowcheck":{"captured_at":"2024-05-01T10:00:00Z","region":"eu-west-1"}}"#;

fn parse(text: &str) -> Result<NetworkConfig, SnapshotError> {
    NetworkConfig::from_json(Path::new("snapshot.json"), text.as_bytes())
}

/// `ACLS` and `REST` as one file, one document after the other.
fn both() -> NetworkConfig {
    parse(&format!("{ACLS}\n{REST}")).unwrap()
}

/// A document with one ACL `acl-1` that has this one entry.
fn one_entry(entry: &str) -> String {
    format!(r#"{{"NetworkAcls":[{{"NetworkAclId":"acl-1","Entries":[{entry}]}}]}}"#)
}

fn captured(at: &str, subnet_name: &str) -> String {
    format!(
        r#"{{"Subnets":[{{"SubnetId":"subnet-a","Tags":[{{"Key":"Name","Value":"{subnet_name}"}}]}}],
            "flowcheck":{{"captured_at":{at}}}}}"#
    )
}

/// Writes the files into a new directory and loads them in this order.
fn load(files: &[(&str, &str)]) -> Result<NetworkConfig, SnapshotError> {
    let directory = tempfile::tempdir().unwrap();
    let paths: Vec<_> = files.iter().map(|(name, _)| directory.path().join(name)).collect();
    for (path, (_, text)) in paths.iter().zip(files) {
        std::fs::write(path, text).unwrap();
    }
    NetworkConfig::load(&paths)
}

#[test]
fn reads_entries_unsorted_and_lenient() {
    let config = parse(ACLS).unwrap();
    let acl = config.acl("acl-custom").unwrap();
    let rules = |direction| acl.entries(direction).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        rules(Direction::Ingress),
        [
            "140 TCP 1024-65535 0.0.0.0/0 ALLOW",
            "150 ICMP 3/ALL 0.0.0.0/0 ALLOW",
            "200 ICMPV6 ALL ::/0 DENY",
            "* ALL ALL 0.0.0.0/0 DENY",
            "* ALL ALL ::/0 DENY",
        ]
    );
    assert_eq!(rules(Direction::Egress)[0], "100 TCP ALL 10.0.0.0/8 ALLOW");
    assert_eq!((acl.vpc_id.as_deref(), acl.name.as_deref()), (Some("vpc-1"), Some("private")));
    assert_eq!(config.captured_at(), None);
}

#[test]
fn a_subnet_has_its_own_acl_or_its_vpcs_default() {
    let config = both();
    let acl_id = |subnet_id, vpc_id| {
        config
            .acl_for_subnet(subnet_id, vpc_id)
            .map(|acl| acl.network_acl_id.as_str())
            .map_err(|e| e.to_string())
    };
    assert_eq!(acl_id("subnet-a", None), Ok("acl-custom"));
    assert_eq!(acl_id("subnet-b", None), Ok("acl-default"));
    assert_eq!(acl_id("subnet-unknown", Some("vpc-1")), Ok("acl-default"));
    let missing = [
        ("subnet-c", "the default network ACL of vpc-2 is not in the network configuration"),
        ("subnet-d", "its VPC is not in the network configuration"),
        ("subnet-unknown", "its VPC is not in the network configuration"),
    ];
    for (subnet_id, fact) in missing {
        assert_eq!(acl_id(subnet_id, None), Err(format!("no network ACL known for {subnet_id}: {fact}")));
    }
    let of =
        |id| config.acl_for_interface(id).map(|acl| acl.network_acl_id.as_str()).map_err(|e| e.to_string());
    assert_eq!(of("eni-1"), Ok("acl-default"));
    assert_eq!(of("eni-2"), Err("the snapshot does not say in which subnet eni-2 is".to_owned()));
    assert_eq!(of("eni-9"), Err("eni-9 is not in the network configuration".to_owned()));
    let none = parse(REST).unwrap();
    assert!(none.acl_for_subnet("subnet-a", None).is_err_and(|e| e.to_string().ends_with("no network ACLs")));
}

#[test]
fn a_subnet_that_one_document_gives_two_acls_has_none_known() {
    let acl = |id: &str| {
        format!(r#"{{"NetworkAclId":"{id}","Entries":[],"Associations":[{{"SubnetId":"subnet-a"}}]}}"#)
    };
    let config = parse(&format!(r#"{{"NetworkAcls":[{},{}]}}"#, acl("acl-1"), acl("acl-2"))).unwrap();
    let error = config.acl_for_subnet("subnet-a", None).unwrap_err().to_string();
    assert!(error.ends_with("associates it with both acl-1 and acl-2"), "{error}");
    // Of two documents the later one counts: the subnet was re-associated.
    let document = |id: &str| format!(r#"{{"NetworkAcls":[{}]}}"#, acl(id));
    let config = parse(&format!("{}{}", document("acl-2"), document("acl-1"))).unwrap();
    assert_eq!(config.acl_for_subnet("subnet-a", None).unwrap().network_acl_id, "acl-1");
}

#[test]
fn interfaces_are_found_by_address_only_when_one_fits() {
    let config = both();
    let with = |addr: &str, vpc| {
        config.interface_with_address(addr.parse().unwrap(), vpc).map(|found| found.interface_id.as_str())
    };
    assert_eq!(with("10.0.2.4", None), Some("eni-1"));
    assert_eq!(with("2001:db8:0:2::5", None), Some("eni-1"));
    assert_eq!(with("10.0.2.70", None), Some("eni-1"), "in its delegated prefix");
    assert_eq!(with("10.0.2.5", None), None, "two VPCs have it");
    assert_eq!(with("10.0.2.5", Some("vpc-2")), Some("eni-2"));
    assert_eq!(with("10.0.2.99", None), None);
    let interface = config.interface("eni-1").unwrap();
    assert_eq!(interface.addresses[0], IpAddr::from([10, 0, 2, 5]), "the primary one first");
    assert_eq!(interface.addresses.len(), 3);

    let subnet =
        |addr: &str| config.subnet_containing(addr.parse().unwrap()).map(|found| found.subnet_id.as_str());
    assert_eq!(subnet("10.0.1.77"), Some("subnet-a"));
    assert_eq!(subnet("2001:db8:0:1::7"), Some("subnet-a"));
    assert_eq!(subnet("2001:db8:0:9::7"), None, "no longer associated");
    assert_eq!(subnet("10.0.2.200"), None, "two subnets contain it");
}

#[test]
fn ids_have_names() {
    let config = both();
    let table = [
        ("eni-nat", Some("NAT gateway nat-1 (prod-a)")),
        ("eni-1", Some("web-1")),
        ("eni-2", None),
        ("subnet-a", Some("private-a")),
        ("acl-custom", Some("private")),
        ("acl-default", None),
        ("vpc-1", Some("prod")),
        ("nat-1", Some("prod-a")),
        ("subnet-nowhere", None),
    ];
    for (id, label) in table {
        assert_eq!(config.label(id).as_deref(), label, "{id}");
    }
    assert!(config.interface_is_nat_gateway("eni-nat") && !config.interface_is_nat_gateway("eni-1"));
    let expected = Counts { network_acls: 2, subnets: 4, interfaces: 3, vpcs: 1, nat_gateways: 1 };
    assert_eq!(config.counts(), expected);
}

#[test]
fn broken_members_are_named() {
    let table = [
        (
            r#"{"CidrBlock":"0.0.0.0/0","Egress":false,"Protocol":"tcp","RuleAction":"allow","RuleNumber":110}"#,
            r#"acl-1, ingress rule 110: Protocol "tcp" is not -1 or a protocol number"#,
        ),
        (
            r#"{"CidrBlock":"10.0.0/8","Egress":true,"Protocol":"6","RuleAction":"allow","RuleNumber":110}"#,
            r#"acl-1, egress rule 110: CidrBlock "10.0.0/8" is not a CIDR"#,
        ),
        (
            r#"{"CidrBlock":"0.0.0.0/0","Egress":false,"Protocol":"6","RuleAction":"allow","RuleNumber":70000}"#,
            "acl-1, Entries[0]: RuleNumber 70000 is not a rule number from 1 to 65535",
        ),
        (
            r#"{"CidrBlock":"0.0.0.0/0","Egress":false,"Protocol":"300","RuleAction":"allow","RuleNumber":1}"#,
            "acl-1, ingress rule 1: Protocol 300 is not -1 or a protocol number",
        ),
        (
            r#"{"CidrBlock":"::/0","Egress":false,"Protocol":"6","RuleAction":"allow","RuleNumber":1}"#,
            r#"acl-1, ingress rule 1: CidrBlock "::/0" is not an IPv4 CIDR"#,
        ),
        (
            r#"{"Egress":false,"Protocol":"6","RuleAction":"allow","RuleNumber":1}"#,
            "acl-1, ingress rule 1: CidrBlock and Ipv6CidrBlock are both missing",
        ),
        (
            r#"{"CidrBlock":"0.0.0.0/0","Egress":false,"Protocol":"6","RuleAction":"permit","RuleNumber":1}"#,
            r#"acl-1, ingress rule 1: RuleAction "permit" is not allow or deny"#,
        ),
        (
            r#"{"CidrBlock":"0.0.0.0/0","Egress":false,"Protocol":"6","RuleNumber":1,"RuleAction":"deny","PortRange":{"From":9,"To":1}}"#,
            r#"acl-1, ingress rule 1: PortRange {"From":9,"To":1} is not a range of ports {From, To} from 0 to 65535"#,
        ),
    ];
    for (entry, message) in table {
        let error = parse(&one_entry(entry)).unwrap_err();
        assert_eq!(error.to_string(), format!("snapshot.json: {message}"));
    }
    let documents = [
        (r#"{"NetworkAcls":[{"NetworkAclId":"acl-1"}]}"#, "acl-1: Entries is missing"),
        (r#"{"NetworkAcls":[{"Entries":[]}]}"#, "NetworkAcls[0]: NetworkAclId is missing"),
        (r#"{"NetworkAcls":{}}"#, "document: NetworkAcls {} is not a list"),
        (
            r#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-1","PrivateIpAddress":"10.0.0"}]}"#,
            r#"eni-1: PrivateIpAddress "10.0.0" is not an IP address"#,
        ),
        (
            r#"{"Subnets":[],"flowcheck":{"captured_at":"noon"}}"#,
            r#"flowcheck: captured_at "noon" is not an RFC 3339 time"#,
        ),
    ];
    for (document, message) in documents {
        assert_eq!(parse(document).unwrap_err().to_string(), format!("snapshot.json: {message}"));
    }
    assert!(matches!(parse(&ACLS[..ACLS.len() - 3]), Err(SnapshotError::NotJson { .. })));
}

#[test]
fn a_first_page_is_said_and_its_gaps_are_not_filled() {
    let page = ACLS.replace(r#"{"NetworkAcls""#, r#"{"NextToken":"abc","NetworkAcls""#);
    let config = parse(&page).unwrap();
    assert_eq!(config.warnings(), ["snapshot.json holds only the first page: it has a NextToken"]);
    assert!(config.acl_for_subnet("subnet-a", None).is_ok());
    let error = config.acl_for_subnet("subnet-b", Some("vpc-1")).unwrap_err().to_string();
    assert!(error.ends_with("only the first page of network ACLs"), "{error}");
    assert!(parse(ACLS).unwrap().warnings().is_empty());
}

#[test]
fn the_later_capture_wins_else_the_later_file() {
    let (old, new, unknown) = (r#""2024-05-01T00:00:00Z""#, r#""2024-05-02T00:00:00Z""#, "null");
    let table = [
        (old, new, "second", "captured later"),
        (new, old, "first", "captured later"),
        (new, new, "second", "loaded later"),
        (new, unknown, "second", "loaded later"),
    ];
    for (first, second, winner, why) in table {
        let config =
            load(&[("a.json", &captured(first, "first")), ("b.json", &captured(second, "second"))]).unwrap();
        assert_eq!(config.label("subnet-a").as_deref(), Some(winner));
        assert_eq!(config.warnings().len(), 1);
        assert!(config.warnings()[0].starts_with("subnet-a differs between "), "{:?}", config.warnings());
        assert!(config.warnings()[0].ends_with(why), "{:?}", config.warnings());
        let known = [first, second].iter().all(|at| *at != unknown);
        assert_eq!(config.captured_at().is_some(), known);
    }
    let config = load(&[("a.json", &captured(new, "same")), ("b.json", &captured(old, "same"))]).unwrap();
    assert!(config.warnings().is_empty(), "nothing is said about equals");
    assert_eq!(config.captured_at().map(|at| at.to_string()).as_deref(), Some("2024-05-02T00:00:00Z"));
}

#[test]
fn rules_are_dated_by_the_document_they_come_from() {
    // The rules of one snapshot with the date of another would prove what neither shows.
    let document = |at: &str, action: &str| {
        format!(
            r#"{{"flowcheck":{{"captured_at":"{at}"}},"NetworkAcls":[{{"NetworkAclId":"acl-1","Entries":[
            {{"RuleNumber":100,"Protocol":"-1","RuleAction":"{action}","Egress":false,"CidrBlock":"0.0.0.0/0"}}]}}]}}"#
        )
    };
    let (early, late) = (document("2024-05-01T00:00:00Z", "allow"), document("2024-05-02T00:00:00Z", "deny"));
    for (first, second) in [(&early, &late), (&late, &early)] {
        let config = load(&[("a.json", first), ("b.json", second)]).unwrap();
        let rule =
            config.acl("acl-1").and_then(|acl| acl.entry(Direction::Ingress, 100)).map(ToString::to_string);
        assert_eq!(rule.as_deref(), Some("100 ALL ALL 0.0.0.0/0 DENY"));
        let captured_at = config.acl_captured_at("acl-1").map(|at| at.to_string());
        assert_eq!(captured_at.as_deref(), Some("2024-05-02T00:00:00Z"));
    }
}

#[test]
fn directories_skip_what_is_no_snapshot_and_named_files_must_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir(path("deep")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(ACLS.as_bytes()).unwrap();
    std::fs::write(path("deep/acls.json.gz"), gzip.finish().unwrap()).unwrap();
    let utf16: Vec<u8> =
        "\u{feff}".encode_utf16().chain(REST.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    std::fs::write(path("rest.json"), utf16).unwrap();
    std::fs::write(path("package.json"), r#"{"name":"x"}"#).unwrap();
    std::fs::write(path("notes.txt"), "not JSON").unwrap();

    let config = NetworkConfig::load(&[directory.path().to_owned()]).unwrap();
    assert_eq!((config.counts().network_acls, config.counts().subnets), (2, 4));
    assert_eq!(config.ignored(), [path("package.json")]);

    let error = NetworkConfig::load(&[path("package.json")]).unwrap_err().to_string();
    assert!(error.contains("holds none of the keys NetworkAcls, Subnets, NetworkInterfaces"), "{error}");
    let error = NetworkConfig::load(&[path("nowhere.json")]).unwrap_err();
    assert!(matches!(error, SnapshotError::Read { .. }));
    std::fs::create_dir(path("empty")).unwrap();
    assert!(matches!(NetworkConfig::load(&[path("empty")]), Err(SnapshotError::NoKnownKey { .. })));
}
