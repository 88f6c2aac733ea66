//! Changes to a list of entries as commands: AWS CLI calls and Terraform resources.
//!
//! Owns the option and argument names, and that nothing from a file can run: what is put into a command is a number, an
//! address or a quoted id. Refuses to run anything.
//! Source: AWS CLI reference, `ec2 create-network-acl-entry`, `replace-network-acl-entry`, `delete-network-acl-entry`;
//! Terraform AWS provider, `aws_network_acl_rule`.

use std::fmt::Write as _;

use ipnet::IpNet;

use super::Change;
use crate::nacl::{AclProtocol, NetworkAclEntry, PortRange};
use crate::net::{Direction, Protocol};

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// `CreateNetworkAclEntry`.
    Create(&'a NetworkAclEntry),
    /// `ReplaceNetworkAclEntry`.
    Replace(&'a NetworkAclEntry),
    /// `DeleteNetworkAclEntry`.
    Delete(Direction, u16),
}

impl<'a> Command<'a> {
    /// What makes the change.
    #[must_use]
    pub fn of(change: &'a Change) -> Self {
        match change {
            Change::Create(entry) => Self::Create(entry),
            Change::Replace { after, .. } => Self::Replace(after),
        }
    }

    /// What takes the change back.
    #[must_use]
    pub fn undo_of(change: &'a Change) -> Self {
        match change {
            Change::Create(entry) => Self::Delete(entry.direction, entry.rule_number),
            Change::Replace { before, .. } => Self::Replace(before),
        }
    }

    /// The call as one line for a shell.
    #[must_use]
    pub fn aws_cli(&self, network_acl_id: &str) -> String {
        let (verb, direction, number, content) = match self {
            Self::Create(entry) => ("create", entry.direction, entry.rule_number, Some(*entry)),
            Self::Replace(entry) => ("replace", entry.direction, entry.rule_number, Some(*entry)),
            Self::Delete(direction, number) => ("delete", *direction, *number, None),
        };
        let mut line = format!(
            "aws ec2 {verb}-network-acl-entry --network-acl-id {} --{direction} --rule-number {number}",
            shell_word(network_acl_id)
        );
        if let Some(entry) = content {
            // Writing to a `String` cannot fail.
            let _ = write!(line, " --protocol {}", protocol(entry.protocol));
            if let Some(PortRange { from, to }) = ports(entry) {
                let _ = write!(line, " --port-range From={from},To={to}");
            }
            if let Some((icmp_type, code)) = icmp(entry) {
                let _ = write!(line, " --icmp-type-code Type={icmp_type},Code={code}");
            }
            let option = if is_ipv6(entry) { "ipv6-cidr-block" } else { "cidr-block" };
            let _ = write!(line, " --{option} {} --rule-action {}", entry.cidr, entry.action);
        }
        line
    }
}

/// Several deletions from one list as one line for a shell; `None` for anything else.
#[must_use]
pub fn delete_in_one_line(network_acl_id: &str, commands: &[Command<'_>]) -> Option<String> {
    let [Command::Delete(direction, _), _, ..] = commands else { return None };
    let mut numbers = String::new();
    for command in commands {
        let Command::Delete(_, number) = command else { return None };
        let _ = write!(numbers, " {number}");
    }
    Some(format!(
        "for n in{numbers}; do aws ec2 delete-network-acl-entry --network-acl-id {} --{direction} --rule-number $n; done",
        shell_word(network_acl_id)
    ))
}

/// The entries that the changes leave, as `aws_network_acl_rule` resources laid out as `terraform fmt` does.
#[must_use]
pub fn terraform(network_acl_id: &str, changes: &[Change]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let mut text = "# For an ACL whose rules are aws_network_acl_rule resources; rules written inside an aws_network_acl \
                    go there instead.\n"
        .to_owned();
    for (at, change) in changes.iter().enumerate() {
        let entry = change.entry();
        // A later change of the same number is the one that stays.
        if changes[at + 1..].iter().any(|later| later.entry().rule_number == entry.rule_number) {
            continue;
        }
        text.push('\n');
        let first = changes.iter().find(|first| first.entry().rule_number == entry.rule_number);
        if let Some(Change::Replace { before, .. }) = first {
            let _ = writeln!(text, "# in place of: {before}");
        }
        resource(&mut text, network_acl_id, entry);
    }
    text
}

fn resource(text: &mut String, network_acl_id: &str, entry: &NetworkAclEntry) {
    let quoted = |text: &str| format!("\"{}\"", terraform_string(text));
    let cidr = if is_ipv6(entry) { "ipv6_cidr_block" } else { "cidr_block" };
    let mut arguments = vec![
        ("network_acl_id", quoted(network_acl_id)),
        ("rule_number", entry.rule_number.to_string()),
        ("egress", (entry.direction == Direction::Egress).to_string()),
        ("protocol", quoted(&protocol(entry.protocol))),
        ("rule_action", quoted(entry.action.as_str())),
        (cidr, quoted(&entry.cidr.to_string())),
    ];
    if let Some(PortRange { from, to }) = ports(entry) {
        arguments.extend([("from_port", from.to_string()), ("to_port", to.to_string())]);
    }
    if let Some((icmp_type, code)) = icmp(entry) {
        arguments.extend([("icmp_type", icmp_type.to_string()), ("icmp_code", code.to_string())]);
    }
    let name = format!("flowcheck_{network_acl_id}_{}_{}", entry.direction, entry.rule_number);
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let width = arguments.iter().map(|(argument, _)| argument.len()).max().unwrap_or(0);
    let _ = writeln!(text, "resource \"aws_network_acl_rule\" \"{name}\" {{");
    for (argument, value) in arguments {
        let _ = writeln!(text, "  {argument:width$} = {value}");
    }
    text.push_str("}\n");
}

/// The three names that the CLI and Terraform take, else the number.
fn protocol(protocol: AclProtocol) -> String {
    match protocol {
        AclProtocol::All => "-1".to_owned(),
        AclProtocol::Number(Protocol::TCP) => "tcp".to_owned(),
        AclProtocol::Number(Protocol::UDP) => "udp".to_owned(),
        AclProtocol::Number(Protocol::ICMP) => "icmp".to_owned(),
        AclProtocol::Number(Protocol(number)) => number.to_string(),
    }
}

/// Required with TCP and UDP.
fn ports(entry: &NetworkAclEntry) -> Option<PortRange> {
    match entry.protocol {
        AclProtocol::Number(protocol) if protocol.has_ports() => {
            Some(entry.ports.unwrap_or(PortRange { from: 0, to: u16::MAX }))
        }
        _ => None,
    }
}

/// Type and code, -1 for any. Required with ICMP, and with `ICMPv6` and an IPv6 CIDR.
fn icmp(entry: &NetworkAclEntry) -> Option<(i16, i16)> {
    let tested = if is_ipv6(entry) { Protocol::ICMPV6 } else { Protocol::ICMP };
    let value = |value: Option<u8>| value.map_or(-1, i16::from);
    (entry.protocol == AclProtocol::Number(tested))
        .then(|| entry.icmp.map_or((-1, -1), |icmp| (value(icmp.icmp_type), value(icmp.code))))
}

fn is_ipv6(entry: &NetworkAclEntry) -> bool {
    matches!(entry.cidr, IpNet::V6(_))
}

/// The id as it is where no shell could see more in it, else in single quotes.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Without anything that would end the string or begin a template.
fn terraform_string(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('"', "\\\"");
    text.replace("${", "$${").replace("%{", "%%{")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nacl::{IcmpTypeCode, RuleAction};

    fn entry(number: u8, cidr: &str) -> NetworkAclEntry {
        NetworkAclEntry {
            rule_number: 90,
            direction: Direction::Ingress,
            cidr: cidr.parse().unwrap(),
            protocol: AclProtocol::Number(Protocol(number)),
            ports: Some(PortRange { from: 1024, to: 65535 }).filter(|_| number == 6 || number == 17),
            icmp: None,
            action: RuleAction::Allow,
        }
    }

    fn created(entry: &NetworkAclEntry) -> String {
        Command::Create(entry).aws_cli("acl-0a")
    }

    #[test]
    fn calls_name_what_the_cli_requires() {
        let begin = "aws ec2 create-network-acl-entry --network-acl-id acl-0a --ingress --rule-number 90";
        let table = [
            (entry(6, "0.0.0.0/0"), "--protocol tcp --port-range From=1024,To=65535 --cidr-block 0.0.0.0/0"),
            (
                entry(17, "2001:db8::/32"),
                "--protocol udp --port-range From=1024,To=65535 --ipv6-cidr-block 2001:db8::/32",
            ),
            (
                entry(1, "10.0.0.0/8"),
                "--protocol icmp --icmp-type-code Type=-1,Code=-1 --cidr-block 10.0.0.0/8",
            ),
            (entry(58, "::/0"), "--protocol 58 --icmp-type-code Type=-1,Code=-1 --ipv6-cidr-block ::/0"),
            (entry(58, "10.0.0.0/8"), "--protocol 58 --cidr-block 10.0.0.0/8"),
            (entry(47, "10.0.0.0/8"), "--protocol 47 --cidr-block 10.0.0.0/8"),
            (
                NetworkAclEntry { protocol: AclProtocol::All, ports: None, ..entry(6, "10.0.0.0/8") },
                "--protocol -1 --cidr-block 10.0.0.0/8",
            ),
            (
                NetworkAclEntry { ports: None, ..entry(6, "10.0.0.0/8") },
                "--protocol tcp --port-range From=0,To=65535 --cidr-block 10.0.0.0/8",
            ),
        ];
        for (entry, expected) in table {
            assert_eq!(created(&entry), format!("{begin} {expected} --rule-action allow"));
        }
        assert_eq!(
            Command::Delete(Direction::Egress, 7).aws_cli("acl-0a"),
            "aws ec2 delete-network-acl-entry --network-acl-id acl-0a --egress --rule-number 7"
        );
    }

    #[test]
    fn an_id_cannot_leave_its_place() {
        let hostile = "acl-0'; rm -rf ~ #${x}\"\\%{y}";
        assert!(
            Command::Delete(Direction::Ingress, 7)
                .aws_cli(hostile)
                .contains(r"--network-acl-id 'acl-0'\''; rm -rf ~ #${x}")
        );
        let text = terraform(hostile, &[Change::Create(entry(6, "10.0.0.0/8"))]);
        assert!(text.contains(r#"= "acl-0'; rm -rf ~ #$${x}\"\\%%{y}""#), "{text}");
        assert!(text.contains(r#""flowcheck_acl_0___rm__rf______x_____y__ingress_90" {"#), "{text}");
    }

    #[test]
    fn resources_hold_the_last_content_of_each_number() {
        let icmp = IcmpTypeCode { icmp_type: Some(8), code: None };
        let deny = NetworkAclEntry { action: RuleAction::Deny, icmp: Some(icmp), ..entry(1, "10.0.0.0/8") };
        let moved = NetworkAclEntry { rule_number: 91, ..deny.clone() };
        let after = entry(6, "::/0");
        let text = terraform("acl-0a", &[Change::Create(moved), Change::Replace { before: deny, after }]);
        assert_eq!(
            text,
            "# For an ACL whose rules are aws_network_acl_rule resources; rules written inside an aws_network_acl go there instead.\n\
             \nresource \"aws_network_acl_rule\" \"flowcheck_acl_0a_ingress_91\" {\n  network_acl_id = \"acl-0a\"\n  \
             rule_number    = 91\n  egress         = false\n  protocol       = \"icmp\"\n  rule_action    = \"deny\"\n  \
             cidr_block     = \"10.0.0.0/8\"\n  icmp_type      = 8\n  icmp_code      = -1\n}\n\
             \n# in place of: 90 ICMP 8/ALL 10.0.0.0/8 DENY\n\
             resource \"aws_network_acl_rule\" \"flowcheck_acl_0a_ingress_90\" {\n  network_acl_id  = \"acl-0a\"\n  \
             rule_number     = 90\n  egress          = false\n  protocol        = \"tcp\"\n  rule_action     = \"allow\"\n  \
             ipv6_cidr_block = \"::/0\"\n  from_port       = 1024\n  to_port         = 65535\n}\n"
        );
    }

    #[test]
    fn many_deletions_are_one_line() {
        let delete = |number| Command::Delete(Direction::Ingress, number);
        assert_eq!(delete_in_one_line("acl-0a", &[delete(1)]), None);
        assert_eq!(
            delete_in_one_line("acl-0a", &[delete(2), delete(1)]).as_deref(),
            Some(
                "for n in 2 1; do aws ec2 delete-network-acl-entry --network-acl-id acl-0a --ingress --rule-number $n; done"
            )
        );
        assert_eq!(delete_in_one_line("acl-0a", &[delete(2), Command::Replace(&entry(6, "::/0"))]), None);
    }
}
