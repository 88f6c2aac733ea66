//! Owns the true answer of a sample, from what the simulator did and the sample holds. Refuses to look at rules again:
//! each record carries who dropped its packets.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use serde_json::{Value, json};

use crate::capture::{Denial, Flow, Key, Row};
use crate::nacl::DEFAULT_DENY;
use crate::topology::Topology;
use crate::trail;

/// Seconds that may lie between the record of a request and that of its rejected reply.
const MATCH_WINDOW: i64 = 300;
const COLUMNS: [&str; 11] = [
    "interface_id",
    "protocol",
    "srcaddr",
    "srcport",
    "dstaddr",
    "dstport",
    "first_rejected",
    "last_rejected",
    "rejected_packets",
    "rejected_bytes",
    "request_seen",
];

/// What a rejected reply fell to. Ordered, so that the file is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    denial: Denial,
    egress: bool,
    udp: bool,
}

/// One rejected conversation: the reply's tuple on one interface.
struct Rejected {
    key: Key,
    first: i64,
    last: i64,
    packets: u64,
    bytes: u64,
    /// Whether the log holds the accepted request; without it only a SYN-ACK shows that this is a reply.
    request_seen: bool,
}

/// The truth as JSON, one conversation a line; `with_flags` when the log has `tcp-flags`.
pub fn json(topology: &Topology, rows: &[Row], headers: usize, with_flags: bool) -> String {
    let flows: Vec<&Flow> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Flow(flow) => Some(flow),
            Row::Empty { .. } => None,
        })
        .collect();
    let requests = accepted_requests(&flows);
    let mut causes: BTreeMap<Cause, BTreeMap<Key, Rejected>> = BTreeMap::new();
    let mut others: Vec<&Flow> = Vec::new();
    for flow in &flows {
        let Some(denial) = flow.denial else { continue };
        let request_seen = answers(&requests, flow);
        let syn_ack = with_flags && flow.flags & 0b1_0010 == 0b1_0010;
        if flow.reply && (request_seen || syn_ack) {
            let cause = Cause { denial, egress: flow.key.egress, udp: udp_of_group(flow) };
            add(causes.entry(cause).or_default(), flow, request_seen);
        } else {
            others.push(flow);
        }
    }
    let mut text = String::from("{\n");
    let mut member = |name: &str, value: &Value| {
        writeln!(text, "\"{name}\": {value},").expect("writing to memory");
    };
    member(
        "about",
        &json!("the true answer, computed by the simulator; times are Unix seconds of the records"),
    );
    member("match_window_seconds", &json!(MATCH_WINDOW));
    member("input", &input(rows, &flows, headers));
    member("other_rejects", &other_rejects(topology, &others));
    member("row_columns", &json!(COLUMNS));
    text.push_str("\"rejected_replies\": [\n");
    let groups: Vec<String> = causes.iter().map(|(cause, found)| group(topology, cause, found)).collect();
    text.push_str(&groups.join(",\n"));
    text.push_str("\n]\n}\n");
    text
}

/// The flow, whenever it was.
fn timeless(key: &Key) -> Key {
    Key { window: 0, ..*key }
}

fn reversed(key: &Key) -> Key {
    Key { src: key.dst, dst: key.src, sport: key.dport, dport: key.sport, egress: !key.egress, ..*key }
}

fn accepted_requests(flows: &[&Flow]) -> HashMap<String, Vec<(i64, i64)>> {
    let mut requests: HashMap<String, Vec<(i64, i64)>> = HashMap::new();
    for flow in flows.iter().filter(|flow| flow.key.accepted && !flow.reply) {
        requests.entry(name(&timeless(&flow.key))).or_default().push((flow.start, flow.end));
    }
    requests
}

fn name(key: &Key) -> String {
    format!(
        "{} {} {} {} {} {} {}",
        key.interface, key.protocol, key.src, key.sport, key.dst, key.dport, key.egress
    )
}

/// Whether the interface let the request out (or in) near the time of this rejected reply.
fn answers(requests: &HashMap<String, Vec<(i64, i64)>>, reply: &Flow) -> bool {
    let near =
        |&(start, end): &(i64, i64)| start - MATCH_WINDOW <= reply.end && reply.start <= end + MATCH_WINDOW;
    requests.get(&name(&reversed(&timeless(&reply.key)))).is_some_and(|spans| spans.iter().any(near))
}

fn udp_of_group(flow: &Flow) -> bool {
    flow.key.protocol == 17 && matches!(flow.denial, Some(Denial::Group { .. }))
}

fn add(found: &mut BTreeMap<Key, Rejected>, flow: &Flow, request_seen: bool) {
    let key = timeless(&flow.key);
    let one = found.entry(key).or_insert(Rejected {
        key,
        first: flow.start,
        last: flow.end,
        packets: 0,
        bytes: 0,
        request_seen,
    });
    one.first = one.first.min(flow.start);
    one.last = one.last.max(flow.end);
    one.packets += flow.packets;
    one.bytes += flow.bytes;
    one.request_seen |= request_seen;
}

fn input(rows: &[Row], flows: &[&Flow], headers: usize) -> Value {
    let accepted = flows.iter().filter(|flow| flow.key.accepted).count();
    let skipped = rows.iter().filter(|row| matches!(row, Row::Empty { skipped: true, .. })).count();
    json!({
        "lines": rows.len() + headers,
        "headers": headers,
        "records": flows.len(),
        "accepted": accepted,
        "rejected": flows.len() - accepted,
        "no_data": rows.len() - flows.len() - skipped,
        "skip_data": skipped,
        "malformed": 0,
        "interfaces": rows.iter().map(interface_of).collect::<std::collections::BTreeSet<_>>().len(),
        "first_record": flows.iter().map(|flow| flow.start).min(),
        "last_record": flows.iter().map(|flow| flow.end).max(),
    })
}

fn interface_of(row: &Row) -> usize {
    match row {
        Row::Flow(flow) => flow.key.interface,
        Row::Empty { interface, .. } => *interface,
    }
}

/// Cause, NACL, rule number and detail as flowcheck names them.
fn words(
    topology: &Topology,
    cause: &Cause,
) -> (&'static str, Option<&'static str>, Option<u16>, Option<&'static str>) {
    match cause.denial {
        Denial::Nacl { acl, rule, .. } => {
            let kind = if rule >= DEFAULT_DENY { "nacl_default" } else { "nacl_rule" };
            (kind, Some(topology.acls[acl].id), Some(rule), None)
        }
        Denial::Group { same_subnet: true } => ("not_nacl", None, None, Some("same subnet")),
        Denial::Group { .. } if cause.udp => ("not_nacl", None, None, Some("connection tracking expired")),
        Denial::Group { .. } => ("not_nacl", None, None, Some("late packet after close")),
    }
}

fn other_rejects(topology: &Topology, others: &[&Flow]) -> Value {
    let mut by_cause: BTreeMap<(Denial, bool), (u64, u64)> = BTreeMap::new();
    for flow in others {
        let denial = flow.denial.expect("only rejects come here");
        let sums = by_cause.entry((denial, flow.key.egress)).or_default();
        *sums = (sums.0 + 1, sums.1 + flow.packets);
    }
    let listed: Vec<Value> = by_cause
        .iter()
        .map(|(&(denial, egress), &(records, packets))| {
            let (cause, acl, rule, _) = words(topology, &Cause { denial, egress, udp: false });
            let detail = match denial {
                Denial::Nacl { .. } => None,
                Denial::Group { same_subnet: true } => Some("security group, same subnet"),
                Denial::Group { same_subnet: false } => Some("security group"),
            };
            json!({
                "cause": cause,
                "network_acl_id": acl,
                "direction": direction(egress),
                "rule_number": rule,
                "detail": detail,
                "records": records,
                "packets": packets,
            })
        })
        .collect();
    json!({
        "records": others.len(),
        "packets": others.iter().map(|flow| flow.packets).sum::<u64>(),
        "by_cause": listed,
    })
}

fn direction(egress: bool) -> &'static str {
    if egress { "egress" } else { "ingress" }
}

fn group(topology: &Topology, cause: &Cause, found: &BTreeMap<Key, Rejected>) -> String {
    let (kind, acl, rule, detail) = words(topology, cause);
    let total = |count: fn(&Rejected) -> u64| found.values().map(count).sum::<u64>();
    let head = json!({
        "cause": kind,
        "network_acl_id": acl,
        "direction": direction(cause.egress),
        "rule_number": rule,
        "detail": detail,
        "conversations": found.len(),
        "packets": total(|one| one.packets),
        "bytes": total(|one| one.bytes),
        "first_rejected": found.values().map(|one| one.first).min(),
        "last_rejected": found.values().map(|one| one.last).max(),
        "change": match cause.denial {
            Denial::Nacl { acl, egress, missed: Some(rule), .. } => trail::deletion(topology, acl, egress, rule),
            _ => Value::Null,
        },
    });
    let rows: Vec<String> = found
        .values()
        .map(|one| {
            let Key { interface, protocol, src, dst, sport, dport, .. } = one.key;
            let id = topology.interfaces[interface].id;
            json!([
                id,
                protocol,
                src,
                sport,
                dst,
                dport,
                one.first,
                one.last,
                one.packets,
                one.bytes,
                one.request_seen
            ])
            .to_string()
        })
        .collect();
    let head = head.to_string();
    let open = head.strip_suffix('}').expect("an object ends so");
    format!("{open},\"rows\":[\n{}\n]}}", rows.join(",\n"))
}
