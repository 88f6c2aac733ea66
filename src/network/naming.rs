//! What an interface is called, from what AWS says about it.
//!
//! A description proves something only where a user cannot have written it: on requester-managed
//! interfaces, and where `InterfaceType` says the same. Everything else goes by its Name tag or its
//! instance.
//! Source of the patterns: EC2 User Guide, "Requester-managed network interfaces", and saved descriptions.

use super::model::{Interface, NatGateway};

/// The name of an interface, if anything is known that names it. `nat_gateway` is the one that lists the
/// interface.
pub(super) fn label(interface: &Interface, nat_gateway: Option<&NatGateway>) -> Option<String> {
    if let Some(nat_gateway) = nat_gateway {
        let name = nat_gateway.name.as_ref().or(interface.name.as_ref());
        return Some(with_name(format!("{NAT_GATEWAY} {}", nat_gateway.nat_gateway_id), name));
    }
    let described = interface.description.as_deref().and_then(service);
    if let Some(kinds) = interface.interface_type.as_deref().and_then(kinds_of_type) {
        let label = described
            .filter(|(kind, _)| kinds.contains(kind))
            .map_or_else(|| kinds[0].to_owned(), |(_, label)| label);
        return Some(if kinds[0] == NAT_GATEWAY { with_name(label, interface.name.as_ref()) } else { label });
    }
    let own = || interface.name.clone().or_else(|| interface.instance_id.clone());
    if interface.requester_managed {
        return described.map(|(_, label)| label).or_else(own).or_else(|| interface.description.clone());
    }
    own()
}

/// Whether AWS says that the interface is a NAT gateway's.
pub(super) fn is_nat_gateway(interface: &Interface) -> bool {
    let by_type = interface.interface_type.as_deref().and_then(kinds_of_type);
    let by_description = || interface.description.as_deref().and_then(service);
    by_type.map_or_else(
        || interface.requester_managed && by_description().is_some_and(|(kind, _)| kind == NAT_GATEWAY),
        |kinds| kinds[0] == NAT_GATEWAY,
    )
}

/// Whether AWS says that the interface is a NAT gateway's, a load balancer's or a Lambda function's, which choose their
/// ports from 1024 on (VPC User Guide, "Custom network ACLs", ephemeral ports).
pub(super) fn is_managed_requester(interface: &Interface) -> bool {
    const KINDS: [&str; 7] = [NAT_GATEWAY, "Load balancer", "ALB", "NLB", "GWLB", "Classic ELB", "Lambda"];
    let by_type = interface.interface_type.as_deref().and_then(kinds_of_type);
    let by_description = || interface.description.as_deref().and_then(service);
    by_type.map_or_else(
        || interface.requester_managed && by_description().is_some_and(|(kind, _)| KINDS.contains(&kind)),
        |kinds| KINDS.contains(&kinds[0]),
    )
}

const NAT_GATEWAY: &str = "NAT gateway";

/// What an `InterfaceType` proves: the kinds it can be, the one to say without a better description first.
/// `interface` and types that any instance can have prove nothing. (EC2 returns `nat_gateway`; the SDK says
/// `natGateway`.)
fn kinds_of_type(interface_type: &str) -> Option<&'static [&'static str]> {
    Some(match interface_type {
        "nat_gateway" | "natGateway" | "regional_nat_gateway" => &[NAT_GATEWAY],
        "load_balancer" => &["Load balancer", "ALB", "Classic ELB"],
        "network_load_balancer" => &["NLB"],
        "gateway_load_balancer" => &["GWLB"],
        "vpc_endpoint" | "gateway_load_balancer_endpoint" => &["VPC endpoint"],
        "transit_gateway" => &["TGW attachment"],
        "lambda" => &["Lambda"],
        "efs" => &["EFS"],
        "quicksight" => &["QuickSight"],
        "global_accelerator_managed" => &["Global Accelerator"],
        "api_gateway_managed" => &["API Gateway"],
        "ec2_instance_connect_endpoint" => &["EC2 Instance Connect endpoint"],
        _ => return None,
    })
}

/// Which part of the text behind a pattern names the resource.
#[derive(Clone, Copy)]
enum Rest {
    /// None of it.
    Nothing,
    /// All of it.
    All,
    /// The first word, as an id is.
    Word,
    /// Up to the first `/`, as in `ELB app/<name>/<id>`.
    Path,
    /// A Lambda function's name, which a UUID follows.
    Function,
}

/// How descriptions begin (in any case), what that means, and where the name is. The first that fits counts.
const PATTERNS: &[(&str, &str, Rest)] = &[
    ("Interface for NAT Gateway ", NAT_GATEWAY, Rest::Word),
    ("ELB app/", "ALB", Rest::Path),
    ("ELB net/", "NLB", Rest::Path),
    ("ELB gwy/", "GWLB", Rest::Path),
    ("ELB ", "Classic ELB", Rest::All),
    ("VPC Endpoint Interface ", "VPC endpoint", Rest::Word),
    ("AWS Lambda VPC ENI", "Lambda", Rest::Function),
    ("Network Interface for Transit Gateway Attachment ", "TGW attachment", Rest::Word),
    ("RDSNetworkInterface", "RDS", Rest::Nothing),
    ("EFS mount target for ", "EFS", Rest::Word),
    ("Amazon EKS ", "EKS cluster", Rest::All),
    ("aws-K8S-", "EKS node", Rest::Word),
    ("ElastiCache", "ElastiCache", Rest::All),
    ("DMSNetworkInterface", "DMS", Rest::Nothing),
    ("Amazon Redshift", "Redshift", Rest::Nothing),
    ("RedshiftNetworkInterface", "Redshift", Rest::Nothing),
    ("AWS created network interface for directory ", "Directory Service", Rest::Word),
    ("CodeBuild", "CodeBuild", Rest::Nothing),
    ("DAX", "DAX", Rest::Nothing),
    ("Route 53 Resolver: ", "Route 53 Resolver", Rest::Word),
];

/// The kind and the label that a description stands for, if it is one that AWS services write.
fn service(description: &str) -> Option<(&'static str, String)> {
    if is_ecs_attachment(description) {
        return Some(("ECS task", "ECS task".to_owned()));
    }
    PATTERNS.iter().find_map(|&(pattern, kind, part)| {
        let name = name_in(strip_prefix_any_case(description, pattern)?, part);
        Some((kind, if name.is_empty() { kind.to_owned() } else { format!("{kind} {name}") }))
    })
}

/// `arn:aws:ecs:<region>:<account>:attachment/<uuid>`, in any partition.
fn is_ecs_attachment(description: &str) -> bool {
    let mut parts = description.split(':');
    parts.next() == Some("arn")
        && parts.nth(1) == Some("ecs")
        && parts.nth(2).is_some_and(|resource| resource.starts_with("attachment/"))
}

/// The part of `rest` that names the resource.
fn name_in(rest: &str, part: Rest) -> &str {
    let rest = rest.trim();
    let until = |end: fn(char) -> bool| rest.split(end).next().unwrap_or_default();
    match part {
        Rest::Nothing => "",
        Rest::All => rest,
        Rest::Word => until(|c| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '(' | ')')),
        Rest::Path => until(|c| c == '/'),
        Rest::Function => function_name(rest),
    }
}

/// `-<function>-<uuid>` → `<function>`; older interfaces have only `: <uuid>`.
fn function_name(rest: &str) -> &str {
    const UUID_LENGTH: usize = 36;
    let Some((function, uuid)) = rest.len().checked_sub(UUID_LENGTH).and_then(|at| rest.split_at_checked(at))
    else {
        return rest.trim_start_matches(['-', ':', ' ']);
    };
    if uuid.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
        function.trim_matches(['-', ':', ' '])
    } else {
        rest.trim_start_matches(['-', ':', ' '])
    }
}

/// What follows `prefix`, whatever the case of its letters.
fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// `label (name)`.
fn with_name(label: String, name: Option<&String>) -> String {
    match name {
        Some(name) => format!("{label} ({name})"),
        None => label,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(interface_type: &str, requester_managed: bool, description: &str) -> Interface {
        Interface {
            interface_id: "eni-1".to_owned(),
            interface_type: Some(interface_type.to_owned()),
            requester_managed,
            description: Some(description.to_owned()),
            ..Interface::default()
        }
    }

    #[test]
    fn services_are_named_by_their_descriptions() {
        let uuid = "4f1b7c9a-33aa-4c5e-9d0f-1f2e3d4c5b6a";
        let table = [
            ("nat_gateway", "Interface for NAT Gateway nat-0a1b", "NAT gateway nat-0a1b"),
            ("natGateway", "interface for nat gateway nat-0a1b", "NAT gateway nat-0a1b"),
            ("interface", "ELB app/web/50dc6c495c0c9188", "ALB web"),
            ("network_load_balancer", "ELB net/tcp-in/50dc6c495c0c9188", "NLB tcp-in"),
            ("gateway_load_balancer", "ELB gwy/fw/50dc6c495c0c9188", "GWLB fw"),
            ("interface", "ELB legacy", "Classic ELB legacy"),
            ("vpc_endpoint", "VPC Endpoint Interface vpce-0abc", "VPC endpoint vpce-0abc"),
            ("lambda", &format!("AWS Lambda VPC ENI-resize-image-{uuid}"), "Lambda resize-image"),
            ("lambda", &format!("AWS Lambda VPC ENI: {uuid}"), "Lambda"),
            (
                "transit_gateway",
                "Network Interface for Transit Gateway Attachment tgw-attach-07",
                "TGW attachment tgw-attach-07",
            ),
            ("interface", "RDSNetworkInterface", "RDS"),
            ("interface", "EFS mount target for fs-01 (fsmt-02)", "EFS fs-01"),
            ("interface", &format!("arn:aws-cn:ecs:cn-north-1:111122223333:attachment/{uuid}"), "ECS task"),
            ("interface", "Amazon EKS prod", "EKS cluster prod"),
            ("interface", "ElastiCache redis-001", "ElastiCache redis-001"),
            ("interface", "AWS created network interface for directory d-9067", "Directory Service d-9067"),
            ("interface", "Route 53 Resolver: rslvr-in-1:rni-2", "Route 53 Resolver rslvr-in-1"),
            ("interface", "Something new", "Something new"),
        ];
        for (interface_type, description, expected) in table {
            let label = label(&interface(interface_type, true, description), None);
            assert_eq!(label.as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_a_user_wrote_proves_nothing() {
        let mut claimed = interface("interface", false, "Interface for NAT Gateway nat-0a1b");
        assert_eq!(label(&claimed, None), None);
        assert!(!is_nat_gateway(&claimed));
        claimed.instance_id = Some("i-0123".to_owned());
        assert_eq!(label(&claimed, None).as_deref(), Some("i-0123"));
        claimed.name = Some("web-1".to_owned());
        assert_eq!(label(&claimed, None).as_deref(), Some("web-1"));
        // The type proves the NAT gateway, and only a NAT gateway.
        assert!(!is_managed_requester(&claimed));
        assert!(is_managed_requester(&interface("interface", true, "ELB app/web/50dc")));
        assert!(!is_managed_requester(&interface("interface", true, "RDSNetworkInterface")));
        assert!(is_managed_requester(&interface("lambda", true, "anything")));
        let typed = interface("nat_gateway", false, "ELB app/web/50dc");
        assert_eq!(label(&typed, None).as_deref(), Some("NAT gateway"));
        assert!(is_nat_gateway(&typed));
    }

    #[test]
    fn a_listed_nat_gateway_brings_its_name() {
        let nat_gateway = NatGateway {
            nat_gateway_id: "nat-0a1b".to_owned(),
            name: Some("prod-a".to_owned()),
            ..NatGateway::default()
        };
        let label = label(&interface("interface", false, "ours"), Some(&nat_gateway));
        assert_eq!(label.as_deref(), Some("NAT gateway nat-0a1b (prod-a)"));
    }

    #[test]
    fn odd_descriptions_do_not_panic() {
        for text in [
            "",
            "ELB ",
            "ELB app/",
            "AWS Lambda VPC ENI-é",
            "AWS Lambda VPC ENI-ééééééééééééééééééééééé",
            "arn:",
        ] {
            let _ = label(&interface("lambda", true, text), None);
            let _ = label(&interface("interface", true, text), None);
        }
    }
}
