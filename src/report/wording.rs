//! How a finding is said in words, the same in text and Markdown.
//!
//! Owns sentences; refuses to know about colour, width or markup. Values come out raw: escaping is up to the format.

use crate::net::{Protocol, TcpFlags};

use super::phrase::{
    Calendar, counted, counted_len, duration, endpoint, grouped, port_span, protocol, tcp_flags,
};
use super::view::{
    AffectedClient, Blocked, Change, Diagnosis, Finding, Fix, FlowSummary, NearMiss, NoReply, OtherReject,
    Step,
};

/// What is rejected so soon after the records begin may have been rejected before: two ordinary capture windows.
const FIRST_SECONDS: i64 = 120;

/// Says things about one diagnosis.
#[derive(Debug, Clone, Copy)]
pub struct Wording<'a> {
    /// What is talked about.
    pub diagnosis: &'a Diagnosis,
    /// How times are said.
    pub calendar: Calendar,
}

/// Who drops: `acl-… (name) ingress *  (default deny)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The network ACL.
    pub network_acl_id: Option<&'a str>,
    /// `ingress` or `egress`.
    pub direction: Option<&'static str>,
    /// The deciding rule, or what stands in its place.
    pub rule: String,
    /// What the rule is, where it does not say so itself.
    pub note: Option<&'static str>,
}

/// One row of the table of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRow<'a> {
    /// The entry as the console shows it.
    pub rule: &'a str,
    /// What did not match; `None` for the entry that decided.
    pub mismatch: Option<&'a str>,
}

/// One line about a flow, in columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowWords {
    /// Where it comes from.
    pub source: String,
    /// Where it goes.
    pub destination: String,
    /// `REJECT ingress`.
    pub verdict: String,
    /// `SYN-ACK ×8`, `udp ×1`.
    pub packets: String,
}

/// `41 requests (120 packets) went out and nothing came back, neither accepted nor rejected`.
#[must_use]
pub fn silent_total(silent: &NoReply) -> String {
    let (conversations, packets) =
        (counted(silent.conversations, "request"), counted(silent.packets, "packet"));
    format!("{conversations} ({packets}) went out and nothing came back, neither accepted nor rejected")
}

impl<'a> Wording<'a> {
    /// For one report.
    #[must_use]
    pub fn new(diagnosis: &'a Diagnosis) -> Self {
        Self { diagnosis, calendar: Calendar::new(&diagnosis.window) }
    }

    /// The private clients behind the NAT gateways of a finding: `10.0.1.5 (web-1), perhaps`.
    #[must_use]
    pub fn clients(&self, finding: &Finding) -> Vec<String> {
        let one = |client: &AffectedClient| {
            let name = client.interface_id.as_deref().and_then(|id| self.name(id));
            let name = name.or(client.interface_id.as_deref());
            let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
            let doubt = if client.confidence == "possible" { ", perhaps" } else { "" };
            format!("{}{name}{doubt}", client.address)
        };
        let mut clients: Vec<String> = finding.affected_clients.iter().map(one).collect();
        if finding.affected_clients_left_out > 0 {
            clients.push(format!("{} more", grouped(finding.affected_clients_left_out)));
        }
        clients
    }

    /// What the snapshot calls `id`, unless that says no more than the id.
    #[must_use]
    pub fn name(&self, id: &str) -> Option<&'a str> {
        self.diagnosis.names.get(id).map(String::as_str).filter(|name| !name.is_empty() && *name != id)
    }

    /// Findings that something is to be done about, then those that are not the network ACL.
    #[must_use]
    pub fn findings(&self) -> (Vec<&'a Finding>, Vec<&'a Finding>) {
        self.diagnosis.findings.iter().partition(|finding| finding.cause != "not_nacl")
    }

    /// `since 14:24:02, still going`, `since the records begin (14:00:21), still going`,
    /// `14:24:02–14:50:10 (26 min 8 s)`.
    #[must_use]
    pub fn when(&self, finding: &Finding) -> String {
        let (first, last) = (finding.first_seen, finding.last_seen);
        if finding.ongoing {
            // Rejects from the first moment on may have begun long before: that is no onset.
            let begin = self.diagnosis.window.first_record;
            let moment = self.calendar.moment(first);
            return if begin.is_some_and(|begin| first.seconds_since(begin) < FIRST_SECONDS) {
                format!("since the records begin ({moment}), still going")
            } else {
                format!("since {moment}, still going")
            };
        }
        let length = last.seconds_since(first);
        if length < 60 {
            return self.calendar.span(first, last);
        }
        format!("{} ({})", self.calendar.span(first, last), duration(length))
    }

    /// `last reply accepted 14:23:41, first rejected 14:24:02 (21 s later)`; nothing without an accepted reply.
    #[must_use]
    pub fn onset(&self, finding: &Finding) -> Option<String> {
        let onset = &finding.onset;
        let last_accepted = onset.last_accepted_reply?;
        let gap = onset.first_rejected_reply.seconds_since(last_accepted);
        let later = if gap > 0 { format!(" ({} later)", duration(gap)) } else { String::new() };
        Some(format!(
            "last reply accepted {}, first rejected {}{later}",
            self.calendar.moment(last_accepted),
            self.calendar.moment(onset.first_rejected_reply),
        ))
    }

    /// `changed 14:24:00Z DeleteNetworkAclEntry 32000 (ALL 0.0.0.0/0 ALLOW) by NetworkAdmin/change-4711 from 198.51.100.7`,
    /// and by which call it ended; that there is none where a history was given and proves none.
    #[must_use]
    pub fn changes(&self, finding: &Finding) -> Vec<String> {
        if self.diagnosis.network_config.history == "none" || !finding.cause.starts_with("nacl_") {
            return Vec::new();
        }
        let began = finding.change.as_ref().map(|change| format!("changed {}", self.change(finding, change)));
        let ended =
            finding.restored.as_ref().map(|change| format!("restored {}", self.change(finding, change)));
        let began = began.unwrap_or_else(|| "no change seen in the history given".to_owned());
        std::iter::once(began).chain(ended).collect()
    }

    fn change(&self, finding: &Finding, change: &Change) -> String {
        // On another day than the replies the clock alone would mislead.
        let same_day = change.time.strftime("%F") == finding.first_seen.strftime("%F");
        let time = if same_day { self.calendar.moment(change.time) } else { change.time.strftime("%F %T") };
        let mut words = format!("{time}Z {}", change.event);
        if let Some(number) = change.rule_number {
            words = format!("{words} {number}");
        }
        words = format!("{words}{}", change_content(change));
        if let Some(actor) = &change.actor {
            words = format!("{words} by {actor}");
        }
        if let Some(source) = &change.source_ip {
            words = format!("{words} from {source}");
        }
        words
    }

    /// One line: who drops, what, and how much of it: `acl-… (app-private) ingress * drops replies to ports
    /// 1024–65535/tcp: 212 connections timed out`.
    #[must_use]
    pub fn brief(&self, finding: &Finding) -> String {
        if finding.cause == "not_nacl" {
            let conversations = counted(finding.conversations, "conversation");
            return format!("not the network ACL: {conversations}");
        }
        let subject = subject(finding);
        let acl = subject.network_acl_id.map(|id| match self.name(id) {
            Some(name) => format!("{id} ({name})"),
            None => id.to_owned(),
        });
        let who = [acl.as_deref(), subject.direction, Some(&subject.rule)].into_iter().flatten();
        format!("{} {}: {}", who.collect::<Vec<_>>().join(" "), effect(finding), impact(finding))
    }

    /// `1 204 requests to AWS, 3 of them repeated, 1 object continued after it broke off`; nothing where none was made.
    #[must_use]
    pub fn requests(&self) -> Option<String> {
        let requests = self.diagnosis.input.requests;
        if requests.sent == 0 {
            return None;
        }
        let mut text = format!("{} to AWS", counted(requests.sent, "request"));
        if requests.repeated > 0 {
            text = format!("{text}, {} of them repeated", grouped(requests.repeated));
        }
        if requests.resumed > 0 {
            text = format!("{text}, {} continued where they broke off", counted(requests.resumed, "object"));
        }
        Some(text)
    }

    /// What was looked at and that nothing was found, then what that does and does not mean.
    #[must_use]
    pub fn nothing_found(&self) -> (String, Vec<String>) {
        let input = &self.diagnosis.input;
        let mut limits = self.limits();
        let advice = if input.rejected == 0 && input.rejects_unrecorded {
            Some("A flow log of traffic type ALL, or a second one of type REJECT, would show them.")
        } else if input.losses_unread {
            Some("AWS lost traffic in this time (SKIPDATA), rejected replies perhaps too.")
        } else if input.records == 0 && !input.accepted_unread {
            Some("Check the paths, the window (--since, --until) and the filters.")
        } else if limits.is_empty() {
            Some(
                "If something still times out here, look at where its request goes: security groups, routes, or an interface without a flow log.",
            )
        } else {
            None
        };
        limits.extend(advice.map(str::to_owned));
        (self.verdict(), limits)
    }

    /// That nothing was found, in what.
    fn verdict(&self) -> String {
        let input = &self.diagnosis.input;
        if input.rejected == 0 && input.rejects_unrecorded {
            "Nothing to judge: a flow log here records ACCEPT only, so its rejects cannot be seen.".to_owned()
        } else if input.records == 0 && input.filtered == 0 && input.malformed > 0 {
            "Nothing to judge: no line of the input can be read as an ACCEPT or REJECT record.".to_owned()
        } else if input.records == 0 && input.accepted_unread {
            // What was read and left out are rejected records and those around them: the rest was not looked at.
            let which = if input.filtered > 0 { " that matches the filters asked for" } else { "" };
            format!("No rejected return traffic found: there is no REJECT record in this time{which}.")
        } else if input.records == 0 && input.filtered > 0 {
            "Nothing to judge: no record lies in the time and matches the filters asked for.".to_owned()
        } else if input.records == 0 {
            "Nothing to judge: the input holds no ACCEPT or REJECT record.".to_owned()
        } else if input.rejected == 0 {
            let records = counted(input.records, "record");
            format!("No rejected return traffic found: none of the {records} was rejected.")
        } else {
            format!(
                "No rejected return traffic found: of {}, {} rejected, none in reply to a request seen here.",
                counted(input.records, "record"),
                grouped(input.rejected),
            )
        }
    }

    /// What makes an absence of findings mean less.
    fn limits(&self) -> Vec<String> {
        let Diagnosis { input, network_config, summary, .. } = self.diagnosis;
        let mut limits = Vec::new();
        if input.records > 0 && input.accepted == 0 && !input.accepted_unread {
            limits.push(
                "There is no ACCEPT record, so replies can be told from requests only by their TCP flags."
                    .to_owned(),
            );
        }
        if !summary.complete {
            limits
                .push("The input was not read whole: what is missing may hold rejected replies.".to_owned());
        }
        if input.skip_data > 0 {
            limits.push(format!(
                "{}: AWS lost traffic there, rejected replies perhaps too.",
                counted(input.skip_data, "SKIPDATA record")
            ));
        }
        if input.filtered > 0 {
            limits.push(format!("{} left out by the window or a filter.", counted(input.filtered, "record")));
        }
        if network_config.network_acls == 0 && input.records > 0 {
            limits.push("No network ACL is known (--snapshot), so no rule was checked either.".to_owned());
        }
        if input.rejected > 0 && input.rejects_unrecorded {
            limits.push("A flow log here records ACCEPT only: its rejects cannot be seen.".to_owned());
        }
        limits
    }

    /// Whether an absence of findings means something: the input was whole and held both sides of conversations.
    #[must_use]
    pub fn can_be_clear(&self) -> bool {
        let input = &self.diagnosis.input;
        self.diagnosis.summary.complete
            && !input.rejects_unrecorded
            && !input.losses_unread
            && (input.accepted > 0 || input.accepted_unread)
    }

    /// `52 SKIPDATA, 0 malformed`, and whatever else was set apart.
    #[must_use]
    pub fn set_apart(&self) -> String {
        let input = &self.diagnosis.input;
        let mut parts = vec![
            format!("{} SKIPDATA", grouped(input.skip_data)),
            format!("{} malformed", grouped(input.malformed)),
        ];
        for (number, what) in [
            (input.filtered, "filtered out"),
            (input.duplicates, "delivered twice"),
            (input.transit_gateway, "transit gateway"),
        ] {
            if number > 0 {
                parts.push(format!("{} {what}", grouped(number)));
            }
        }
        parts.join(", ")
    }
}

/// ` (ALL 0.0.0.0/0 ALLOW)`: what the call took away or put there; both where it replaced one by the other.
fn change_content(change: &Change) -> String {
    let content = |rule: &String| match (change.rule_number, rule.split_once(' ')) {
        // Without its number, and without the ports where there are none to name.
        (Some(_), Some((_, content))) => content.replacen("ALL ALL ", "ALL ", 1),
        _ => rule.clone(),
    };
    match (change.before.as_ref().map(content), change.after.as_ref().map(content)) {
        (Some(before), Some(after)) => format!(" ({before} → {after})"),
        (None, after) if change.before_is_unknown => {
            let after = after.map(|after| format!(" → {after}")).unwrap_or_default();
            format!(" (content unknown{after})")
        }
        (Some(one), None) | (None, Some(one)) => format!(" ({one})"),
        (None, None) => String::new(),
    }
}

/// Entries that came close and the entry that decided, in rule order; with `steps`, all that were looked at.
#[must_use]
pub fn rules(finding: &Finding, steps: bool) -> Vec<RuleRow<'_>> {
    if steps && let Some(example) = finding.examples.first().filter(|example| !example.steps.is_empty()) {
        return example.steps.iter().map(RuleRow::from).collect();
    }
    let Some(rule) = &finding.rule else {
        return finding.near_misses.iter().map(RuleRow::from).collect();
    };
    let number = finding.rule_number.unwrap_or(u16::MAX);
    let before = finding.near_misses.partition_point(|miss| miss.rule_number < number);
    let mut rows: Vec<_> = finding.near_misses.iter().map(RuleRow::from).collect();
    rows.insert(before, RuleRow { rule, mismatch: None });
    rows
}

impl<'a> From<&'a NearMiss> for RuleRow<'a> {
    fn from(miss: &'a NearMiss) -> Self {
        Self { rule: &miss.rule, mismatch: Some(&miss.mismatch) }
    }
}

impl<'a> From<&'a Step> for RuleRow<'a> {
    fn from(step: &'a Step) -> Self {
        Self { rule: &step.rule, mismatch: (step.outcome != "matched").then_some(step.outcome.as_str()) }
    }
}

/// Who drops the replies of `finding`.
#[must_use]
pub fn subject(finding: &Finding) -> Subject<'_> {
    let acl = finding.network_acl_id.as_deref();
    let numbered =
        || finding.rule_number.map_or_else(|| "a rule".to_owned(), |number| format!("rule {number}"));
    let (network_acl_id, rule, note) = match finding.cause {
        "nacl_default" if finding.rule_number == Some(32768) => {
            (acl, "*".to_owned(), Some("(default deny, IPv6)"))
        }
        "nacl_default" => (acl, "*".to_owned(), Some("(default deny)")),
        "nacl_rule" => (acl, finding.rule.clone().unwrap_or_else(numbered), None),
        "vpc_block_public_access" => (None, "VPC Block Public Access".to_owned(), None),
        "encryption_controls" => (None, "VPC encryption controls".to_owned(), None),
        _ => (acl, "rule undetermined".to_owned(), None),
    };
    Subject { network_acl_id, direction: finding.direction.map(crate::net::Direction::as_str), rule, note }
}

/// `drops replies to ports 1024–65535/tcp`, `drops icmp replies`.
#[must_use]
pub fn effect(finding: &Finding) -> String {
    let mut with_ports: Vec<String> = Vec::new();
    let mut without: Vec<String> = Vec::new();
    for service in &finding.services {
        let list = if Protocol(service.protocol).is_icmp()
            || (service.port == 0 && !Protocol(service.protocol).has_ports())
        {
            &mut without
        } else {
            &mut with_ports
        };
        let word = protocol(service.protocol);
        if !list.contains(&word) {
            list.push(word);
        }
    }
    let drops = if finding.cause == "undetermined" { "something drops" } else { "drops" };
    if with_ports.is_empty() && !without.is_empty() {
        return format!("{drops} {} replies", without.join(" and "));
    }
    let ports = if finding.requester_ports.min == finding.requester_ports.max { "port" } else { "ports" };
    let mut shown = format!("{drops} replies to {ports} {}", port_span(finding.requester_ports));
    if !with_ports.is_empty() {
        shown.push('/');
        shown.push_str(&with_ports.join("+"));
    }
    if without.is_empty() { shown } else { format!("{shown} and {} replies", without.join(" and ")) }
}

/// `4 812 connections timed out`; other protocols than TCP have no connection to time out.
#[must_use]
pub fn impact(finding: &Finding) -> String {
    if finding.services.iter().all(|service| Protocol(service.protocol) == Protocol::TCP) {
        format!("{} timed out", counted(finding.conversations, "connection"))
    } else {
        format!("{} got no answer", counted(finding.conversations, "conversation"))
    }
}

/// `17 interfaces in 3 subnets`.
#[must_use]
pub fn scope(finding: &Finding) -> String {
    let interfaces = counted_len(finding.interface_ids.len(), "interface");
    if finding.subnet_ids.is_empty() {
        return interfaces;
    }
    format!("{interfaces} in {}", counted_len(finding.subnet_ids.len(), "subnet"))
}

/// The columns of a line about `flow`.
#[must_use]
pub fn flow(flow: &FlowSummary) -> FlowWords {
    let direction = flow.direction.map_or_else(String::new, |direction| format!(" {direction}"));
    let kind = match flow.tcp_flags {
        Some(flags) if Protocol(flow.protocol) == Protocol::TCP => tcp_flags(TcpFlags(flags)),
        _ => protocol(flow.protocol),
    };
    FlowWords {
        source: endpoint(&flow.srcaddr, flow.srcport, flow.protocol),
        destination: endpoint(&flow.dstaddr, flow.dstport, flow.protocol),
        verdict: format!("{}{direction}", flow.action),
        packets: format!("{kind} ×{}", grouped(flow.packets)),
    }
}

/// Why the finding is not proven; nothing when it is.
#[must_use]
pub fn doubt(finding: &Finding) -> Option<String> {
    // The detail of an undetermined finding names the missing fact already.
    if finding.confidence == "proven" || finding.cause == "undetermined" && finding.detail.is_some() {
        return None;
    }
    let reason =
        finding.confidence_reason.as_deref().unwrap_or("the request or the rule in force is inferred");
    Some(format!("{}: {reason}", finding.confidence))
}

/// `restores 2 295 of 2 295`.
#[must_use]
pub fn outcome(fix: &Fix) -> String {
    format!("restores {} of {}", grouped(fix.restores), grouped(fix.of))
}

/// `would also admit 12 other rejected flows`.
#[must_use]
pub fn admitted(fix: &Fix) -> String {
    match fix.also_admits.flows {
        0 => "admits none of the other rejects".to_owned(),
        flows => format!("would also admit {}", counted(flows, "other rejected flow")),
    }
}

/// `goes in front of 90 TCP 1024-65535 10.1.3.0/24 DENY, which also dropped 3 other flows here: was it put there on
/// purpose?`
#[must_use]
pub fn blocked(deny: &Blocked) -> String {
    let dropped = match deny.dropped.flows {
        0 => "which dropped nothing else here".to_owned(),
        flows => format!("which also dropped {} here", counted(flows, "other flow")),
    };
    if deny.cancelled {
        return format!("leaves nothing of {}, {dropped}: deleting that would do the same", deny.rule);
    }
    format!("goes in front of {}, {dropped}: was it put there on purpose?", deny.rule)
}

/// What stands behind rejects that are no replies, where no ACL rule is to be shown.
#[must_use]
pub fn other_cause(other: &OtherReject) -> &'static str {
    match other.cause {
        "nacl_rule" | "nacl_default" => "denied by the network ACL",
        "not_nacl" => "the network ACL allows them: a security group",
        "vpc_block_public_access" => "VPC Block Public Access",
        "encryption_controls" => "VPC encryption controls",
        _ => "undetermined",
    }
}

/// Why rejects are no replies, where that says more than that they are none.
#[must_use]
pub fn other_kind(other: &OtherReject) -> &'static str {
    match other.kind {
        "new_request" => "new requests",
        "request_side" => "requests of open connections",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::super::view::{PortSpan, Service};
    use super::*;

    #[test]
    fn effects_name_ports_and_protocols() {
        let mut finding = sample::default_deny();
        assert_eq!(effect(&finding), "drops replies to ports 1024–65535/tcp");
        finding.services = vec![Service { protocol: 17, port: 53, conversations: 1 }];
        finding.requester_ports = PortSpan { min: 5353, max: 5353 };
        assert_eq!(effect(&finding), "drops replies to port 5353/udp");
        assert_eq!(impact(&finding), "4 812 conversations got no answer");
        finding.services.push(Service { protocol: 1, port: 0, conversations: 1 });
        assert_eq!(effect(&finding), "drops replies to port 5353/udp and icmp replies");
        finding.services.remove(0);
        assert_eq!(effect(&finding), "drops icmp replies");
    }

    #[test]
    fn the_deciding_rule_stands_at_its_place() {
        let mut finding = sample::default_deny();
        finding.rule_number = Some(105);
        let at = rules(&finding, false).iter().position(|row| row.mismatch.is_none());
        assert_eq!(at, Some(1));
        assert_eq!(rules(&finding, true).len(), 4);
    }

    #[test]
    fn what_was_not_read_is_not_said_to_be_absent() {
        let mut diagnosis = sample::empty();
        diagnosis.input.filtered = 3;
        let verdict = |diagnosis: &Diagnosis| Wording::new(diagnosis).nothing_found().0;
        assert!(verdict(&diagnosis).contains("no record lies in the time"));
        // Of a log group only rejects and what is around them were read, and those lay outside.
        diagnosis.input.accepted_unread = true;
        assert!(verdict(&diagnosis).contains("no REJECT record in this time that matches the filters"));
        diagnosis.input.rejects_unrecorded = true;
        assert!(verdict(&diagnosis).starts_with("Nothing to judge"));
        assert!(!Wording::new(&diagnosis).can_be_clear());
    }

    #[test]
    fn doubt_is_said_unless_proven() {
        let mut finding = sample::default_deny();
        assert!(doubt(&finding).is_some_and(|doubt| doubt.starts_with("likely: the rules are those of")));
        finding.confidence = "proven";
        assert_eq!(doubt(&finding), None);
    }
}
