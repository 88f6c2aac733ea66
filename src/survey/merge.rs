//! Puts stretches of time together: figures are added, what is listed is united, and what goes on counts once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use super::{Cell, Edge, HOUR, OtherFlows, SeenReplies, Sums, SumsKey, Survey, TALKERS_KEPT};
use crate::net::Timestamp;
use crate::report::view::{
    AffectedClient, CLIENTS_LISTED, Diagnosis, Finding, InputSummary, NO_REPLY_GROUPS, NoReply, NoReplyGroup,
    ONGOING_SECONDS, OtherRejects, Service, SkipInterval, Summary, TIMELINE_SLICES, Talker, Talkers,
    Timeline, Window,
};

/// Kinds of other rejects that are kept to be held against fixes.
const OTHERS_KEPT: usize = 1_000_000;

/// Malformed lines shown.
const MALFORMED_SHOWN: usize = 10;

/// What two stretches of time came to together, `later` following `earlier`. Conversations go on from one to the other
/// when no more than `match_window_seconds` lie between their rejected replies. `top` examples are kept for each finding,
/// 0 for all. Fixes are not: they have to be made anew.
#[must_use]
pub fn merge(mut earlier: Survey, mut later: Survey, match_window_seconds: i64, top: usize) -> Survey {
    let going_on = going_on(&earlier.sums, &later.sums, match_window_seconds);
    let continued: Vec<Talker> = going_on.values().cloned().collect();
    let mut findings: Vec<(Finding, Sums)> = pairs(&mut earlier).collect();
    for (mut finding, mut sums) in pairs(&mut later) {
        match findings.iter_mut().find(|(_, known)| known.key == sums.key) {
            Some((known, known_sums)) => {
                take_back(&mut finding, &mut sums, known_sums, &going_on);
                unite(known, finding, top);
                known_sums.add(sums);
            }
            None => findings.push((finding, sums)),
        }
    }
    let talkers = talkers(earlier.talkers, later.talkers, &continued);
    let mut diagnosis = diagnosis(earlier.diagnosis, later.diagnosis, continued.len() as u64);
    let last_record = diagnosis.window.last_record;
    for (finding, sums) in &mut findings {
        finding.fix = None;
        finding.timeline = timeline(sums, &diagnosis.window);
        finding.ongoing = finding.restored.is_none()
            && last_record.is_some_and(|last| last.seconds_since(finding.last_seen) <= ONGOING_SECONDS);
    }
    name(&mut findings);
    findings.sort_by_key(|(finding, _)| (class(finding.cause), Reverse(finding.conversations)));
    let (findings, sums): (Vec<_>, Vec<_>) = findings.into_iter().unzip();
    diagnosis.summary.findings = findings.len();
    diagnosis.summary.rejected_packets =
        findings.iter().map(|finding| finding.packets).fold(0, u64::saturating_add);
    diagnosis.findings = findings;
    let coverage = match (earlier.coverage, later.coverage) {
        (Some(mut known), Some(more)) => {
            for (interface_id, slices) in more {
                known.entry(interface_id).or_default().merge(&slices);
            }
            diagnosis.input.interfaces = diagnosis.input.interfaces.max(known.len());
            Some(known)
        }
        _ => None,
    };
    let others = others(earlier.others, later.others);
    let mut skip_data = earlier.skip_data;
    unite_lists(&mut skip_data, later.skip_data);
    for finding in &mut diagnosis.findings {
        lost_between(finding, &skip_data);
    }
    let mut changes = earlier.changes;
    changes.extend(later.changes);
    changes.sort_by(|a, b| (a.time, &a.event_id).cmp(&(b.time, &b.event_id)));
    changes.dedup();
    Survey {
        diagnosis,
        sums,
        talkers,
        coverage,
        coverage_unknown: earlier.coverage_unknown.or(later.coverage_unknown),
        skip_data,
        changes,
        others_cut: earlier.others_cut || later.others_cut || others.len() > OTHERS_KEPT,
        others: others.into_iter().take(OTHERS_KEPT).collect(),
    }
}

fn pairs(survey: &mut Survey) -> impl Iterator<Item = (Finding, Sums)> + use<> {
    std::mem::take(&mut survey.diagnosis.findings).into_iter().zip(std::mem::take(&mut survey.sums))
}

/// The order of causes in a report.
fn class(cause: &str) -> u8 {
    match cause {
        "nacl_rule" | "nacl_default" => 0,
        "vpc_block_public_access" => 1,
        "encryption_controls" => 2,
        "undetermined" => 3,
        _ => 4,
    }
}

/// Conversations that are in both stretches, each with its pair: of all their rejects, whatever the causes, no more than
/// the match window lies between the last of the one and the first of the other.
fn going_on(earlier: &[Sums], later: &[Sums], match_window_seconds: i64) -> BTreeMap<u64, Talker> {
    let mut ends: HashMap<u64, Timestamp> = HashMap::new();
    for edge in earlier.iter().flat_map(|sums| &sums.last) {
        let end = ends.entry(edge.conversation).or_insert(edge.at);
        *end = edge.at.max(*end);
    }
    let mut begins: BTreeMap<u64, (Timestamp, Talker)> = BTreeMap::new();
    for (edge, cells) in later.iter().flat_map(|sums| sums.first.iter().map(|edge| (edge, &sums.cells))) {
        let begin = begins.entry(edge.conversation).or_insert_with(|| (edge.at, talker_of(edge, cells)));
        begin.0 = edge.at.min(begin.0);
    }
    let going_on = begins.into_iter().filter(|(conversation, (begin, _))| {
        ends.get(conversation).is_some_and(|end| begin.seconds_since(*end) <= match_window_seconds)
    });
    going_on.map(|(conversation, (_, talker))| (conversation, talker)).collect()
}

/// Conversations of this finding that were counted before do not count again; their packets do.
fn take_back(finding: &mut Finding, sums: &mut Sums, earlier: &Sums, going_on: &BTreeMap<u64, Talker>) {
    let before: HashSet<u64> = earlier.last.iter().map(|edge| edge.conversation).collect();
    let mut met: HashSet<u64> = HashSet::new();
    let is_twice = |edge: &&Edge| {
        let conversation = edge.conversation;
        going_on.contains_key(&conversation) && before.contains(&conversation) && met.insert(conversation)
    };
    let twice: Vec<Edge> = sums.first.iter().filter(is_twice).cloned().collect();
    finding.conversations = finding.conversations.saturating_sub(twice.len() as u64);
    for edge in &twice {
        if let Some([conversations, _]) = sums.hours.get_mut(&edge.hour) {
            *conversations = conversations.saturating_sub(1);
        }
        let Some(cell) = sums.cells.get_mut(edge.cell) else { continue };
        take_back_reply(&mut sums.replies, edge, cell.protocol);
        cell.conversations = cell.conversations.saturating_sub(1);
        let is_its = |service: &&mut Service| (service.protocol, service.port) == (cell.protocol, cell.port);
        if let Some(service) = finding.services.iter_mut().find(is_its) {
            service.conversations = service.conversations.saturating_sub(1);
        }
    }
}

/// What a fix must let through is counted in conversations too.
fn take_back_reply(replies: &mut [SeenReplies], edge: &Edge, protocol: u8) {
    let Some((remote, dstport)) = edge.packet else { return };
    for seen in replies.iter_mut().filter(|seen| (seen.remote, seen.protocol) == (remote, protocol)) {
        let conversations = match dstport {
            None => Some(&mut seen.without_port),
            Some(port) => {
                let known = seen.ports.iter_mut().find(|(known, _)| *known == port);
                known.map(|(_, conversations)| conversations)
            }
        };
        if let Some(conversations) = conversations.filter(|conversations| **conversations > 0) {
            *conversations -= 1;
            return;
        }
    }
}

/// The pair of a conversation, with one conversation.
fn talker_of(edge: &Edge, cells: &[Cell]) -> Talker {
    let (protocol, port) = cells.get(edge.cell).map_or((0, 0), |cell| (cell.protocol, cell.port));
    Talker {
        requester: edge.requester.to_string(),
        responder: edge.responder.to_string(),
        protocol,
        port,
        conversations: 1,
        packets: 0,
        bytes: 0,
    }
}

impl Sums {
    /// Adds those of the time after.
    fn add(&mut self, later: Self) {
        for (hour, [conversations, packets]) in later.hours {
            let sum = self.hours.entry(hour).or_default();
            sum[0] = sum[0].saturating_add(conversations);
            sum[1] = sum[1].saturating_add(packets);
        }
        let mut places: HashMap<_, usize> =
            self.cells.iter().enumerate().map(|(at, cell)| (cell.key(), at)).collect();
        let mut moved = Vec::with_capacity(later.cells.len());
        for cell in later.cells {
            let at = *places.entry(cell.key()).or_insert_with(|| {
                let empty = Cell { conversations: 0, packets: 0, bytes: 0, ..cell.clone() };
                self.cells.push(empty);
                self.cells.len() - 1
            });
            let known = &mut self.cells[at];
            known.conversations = known.conversations.saturating_add(cell.conversations);
            known.packets = known.packets.saturating_add(cell.packets);
            known.bytes = known.bytes.saturating_add(cell.bytes);
            moved.push(at);
        }
        self.last = later.last;
        for edge in &mut self.last {
            edge.cell = moved.get(edge.cell).copied().unwrap_or(usize::MAX);
        }
        let replies = self.replies.iter().chain(&later.replies);
        self.replies = SeenReplies::sum(replies.flat_map(SeenReplies::conversations));
    }
}

impl Cell {
    /// What it is the figures of.
    fn key(&self) -> (String, u8, u16) {
        (self.interface_id.clone(), self.protocol, self.port)
    }
}

fn others(known: Vec<OtherFlows>, more: Vec<OtherFlows>) -> Vec<OtherFlows> {
    let key = |one: &OtherFlows| {
        let OtherFlows { network_acl_id, direction, rule_number, remote, protocol, dstport, .. } = one;
        (network_acl_id.clone(), *direction, *rule_number, *remote, *protocol, *dstport)
    };
    sum_by(known.into_iter().chain(more), key, |sum, one| {
        sum.flows = sum.flows.saturating_add(one.flows);
        sum.packets = sum.packets.saturating_add(one.packets);
    })
}

/// Adds up what has the same key, in the order of first appearance.
fn sum_by<T, K: Eq + Hash>(
    all: impl Iterator<Item = T>,
    key: impl Fn(&T) -> K,
    add: impl Fn(&mut T, T),
) -> Vec<T> {
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut sums: Vec<T> = Vec::new();
    for one in all {
        if let Some(at) = places.get(&key(&one)) {
            add(&mut sums[*at], one);
        } else {
            places.insert(key(&one), sums.len());
            sums.push(one);
        }
    }
    sums
}

fn talkers(known: Talkers, more: Talkers, continued: &[Talker]) -> Talkers {
    let key = |one: &Talker| (one.requester.clone(), one.responder.clone(), one.protocol, one.port);
    let mut rows = sum_by(known.rows.into_iter().chain(more.rows), key, |sum, one| {
        sum.conversations = sum.conversations.saturating_add(one.conversations);
        sum.packets = sum.packets.saturating_add(one.packets);
        sum.bytes = sum.bytes.saturating_add(one.bytes);
    });
    let places: HashMap<_, usize> = rows.iter().enumerate().map(|(at, row)| (key(row), at)).collect();
    for one in continued {
        if let Some(at) = places.get(&key(one)) {
            rows[*at].conversations = rows[*at].conversations.saturating_sub(1);
        }
    }
    let mut talkers = Talkers {
        rows,
        left_out: known.left_out + more.left_out,
        left_out_conversations: known.left_out_conversations + more.left_out_conversations,
    };
    talkers.cut(TALKERS_KEPT);
    talkers
}

/// Adds what a finding came to later.
fn unite(known: &mut Finding, later: Finding, top: usize) {
    if rank(later.confidence) > rank(known.confidence) {
        (known.confidence, known.confidence_reason) = (later.confidence, later.confidence_reason);
    } else if later.confidence == known.confidence && later.confidence != "proven" {
        known.confidence_reason = both(known.confidence_reason.take(), later.confidence_reason);
    }
    if later.conversations > known.conversations && !later.near_misses.is_empty() {
        known.near_misses = later.near_misses;
    }
    known.detail = both(known.detail.take(), later.detail);
    known.vpc_id = known.vpc_id.take().filter(|id| later.vpc_id.as_ref() == Some(id));
    unite_lists(&mut known.subnet_ids, later.subnet_ids);
    unite_lists(&mut known.interface_ids, later.interface_ids);
    unite_lists(&mut known.candidates, later.candidates);
    unite_lists(&mut known.skip_data, later.skip_data);
    known.conversations = known.conversations.saturating_add(later.conversations);
    known.packets = known.packets.saturating_add(later.packets);
    known.bytes = known.bytes.saturating_add(later.bytes);
    if later.first_seen < known.first_seen {
        known.onset = later.onset;
    }
    if later.last_seen >= known.last_seen {
        known.restored = later.restored;
    }
    known.first_seen = known.first_seen.min(later.first_seen);
    known.last_seen = known.last_seen.max(later.last_seen);
    let services = std::mem::take(&mut known.services).into_iter().chain(later.services);
    known.services = sum_by(
        services,
        |one| (one.protocol, one.port),
        |sum, one| {
            sum.conversations = sum.conversations.saturating_add(one.conversations);
        },
    );
    known.services.sort_by_key(|service| Reverse(service.conversations));
    let (a, b) = (known.requester_ports, later.requester_ports);
    known.requester_ports = match ((a.min, a.max), (b.min, b.max)) {
        ((0, 0), _) => b,
        (_, (0, 0)) => a,
        _ => crate::report::view::PortSpan { min: a.min.min(b.min), max: a.max.max(b.max) },
    };
    let clients = std::mem::take(&mut known.affected_clients).into_iter().chain(later.affected_clients);
    known.affected_clients = clients_of(clients);
    known.affected_clients_left_out += later.affected_clients_left_out;
    known.affected_clients_left_out += known.affected_clients.len().saturating_sub(CLIENTS_LISTED) as u64;
    known.affected_clients.truncate(CLIENTS_LISTED);
    known.examples.extend(later.examples);
    examples(known, top);
}

/// Where AWS lost records of the finding's interfaces between the days on which it rejected.
fn lost_between(finding: &mut Finding, skip_data: &[SkipInterval]) {
    let overlaps = |lost: &&SkipInterval| {
        lost.start <= finding.last_seen
            && finding.first_seen <= lost.end
            && finding.interface_ids.binary_search(&lost.interface_id).is_ok()
    };
    let lost = skip_data.iter().filter(overlaps).cloned().collect();
    unite_lists(&mut finding.skip_data, lost);
}

fn rank(confidence: &str) -> u8 {
    match confidence {
        "proven" => 2,
        "likely" => 1,
        _ => 0,
    }
}

/// What is to be said of both, each thing once: of two that differ in their moments only, the time from the one to the other
/// is said, and counts of the same thing (`2 of 55 conversations …`) are added up.
fn both(known: Option<String>, more: Option<String>) -> Option<String> {
    let (Some(known), Some(more)) = (known.as_deref(), more.as_deref()) else { return known.or(more) };
    let mut parts: Vec<String> = known.split("; ").map(str::to_owned).collect();
    for part in more.split("; ") {
        let same = |known: &String| added(known, part).or_else(|| widened(known, part));
        match parts.iter().enumerate().find_map(|(at, known)| Some((at, same(known)?))) {
            Some((at, said)) => parts[at] = said,
            None => parts.push(part.to_owned()),
        }
    }
    Some(parts.join("; "))
}

/// `2 of 55 …` and `1 of 27 …` are `3 of 82 …`, where the rest is the same.
fn added(known: &str, more: &str) -> Option<String> {
    let counts = |text: &str| -> Option<(u64, u64, String)> {
        let (some, rest) = text.split_once(" of ")?;
        let (all, rest) = rest.split_once(' ')?;
        Some((some.parse().ok()?, all.parse().ok()?, rest.to_owned()))
    };
    let ((some, all, rest), (more_some, more_all, more_rest)) = (counts(known)?, counts(more)?);
    (rest == more_rest)
        .then(|| format!("{} of {} {rest}", some.saturating_add(more_some), all.saturating_add(more_all)))
}

/// `captured at 02:30` and `captured at 03:30` are `captured at 02:30–03:30` (in RFC 3339), where all other words are the
/// same.
fn widened(known: &str, more: &str) -> Option<String> {
    let (known, more): (Vec<_>, Vec<_>) = (known.split(' ').collect(), more.split(' ').collect());
    let word = |(known, more): (&&str, &&str)| {
        if known == more {
            return Some((*known).to_owned());
        }
        let ((a, b, mark), (c, d, other_mark)) = (moments(known)?, moments(more)?);
        (mark == other_mark).then(|| format!("{}–{}{mark}", a.min(c), b.max(d)))
    };
    let words = known.iter().zip(&more).map(word).collect::<Option<Vec<_>>>()?;
    (known.len() == more.len()).then(|| words.join(" "))
}

/// The moment, or the first and the last one, that a word is, and the mark behind it.
fn moments(word: &str) -> Option<(Timestamp, Timestamp, &str)> {
    let bare = word.trim_end_matches([',', ':', '.']);
    let (first, last) = bare.split_once('–').unwrap_or((bare, bare));
    Some((first.parse().ok()?, last.parse().ok()?, &word[bare.len()..]))
}

fn unite_lists<T: Ord>(known: &mut Vec<T>, more: Vec<T>) {
    let all: BTreeSet<T> = std::mem::take(known).into_iter().chain(more).collect();
    known.extend(all);
}

fn clients_of(clients: impl Iterator<Item = AffectedClient>) -> Vec<AffectedClient> {
    let key = |one: &AffectedClient| (one.address.clone(), one.interface_id.clone());
    let mut clients = sum_by(clients, key, |sum, one| {
        sum.conversations = sum.conversations.saturating_add(one.conversations);
        if rank(one.confidence) > rank(sum.confidence) {
            sum.confidence = one.confidence;
        }
    });
    clients.sort_by_key(|client| Reverse(client.conversations));
    clients
}

/// The conversations with most packets, one of each service before a second of any.
fn examples(finding: &mut Finding, top: usize) {
    let mut turns: HashMap<(u8, u16), u64> = HashMap::new();
    finding.examples.sort_by_key(|example| Reverse(example.reply.packets));
    let mut ranked: Vec<_> = std::mem::take(&mut finding.examples)
        .into_iter()
        .map(|example| {
            let service = (example.reply.protocol, example.reply.srcport);
            let turn = turns.entry(service).or_default();
            *turn += 1;
            let known = finding.services.iter().find(|one| (one.protocol, one.port) == service);
            (*turn, Reverse(known.map_or(0, |service| service.conversations)), example)
        })
        .collect();
    ranked.sort_by_key(|(turn, conversations, _)| (*turn, *conversations));
    let most = if top == 0 { ranked.len() } else { top };
    finding.examples = ranked.into_iter().take(most).map(|(.., example)| example).collect();
}

/// Packets in slices of whole hours, few enough to be drawn.
fn timeline(sums: &Sums, window: &Window) -> Timeline {
    let ends = [window.first_record, window.last_record].map(|at| at.map(|at| at.0.div_euclid(HOUR)));
    let hours = || sums.hours.keys().copied().chain(ends.into_iter().flatten());
    let (Some(first), Some(last)) = (hours().min(), hours().max()) else { return Timeline::default() };
    let each = (last - first) / TIMELINE_SLICES + 1;
    let slices = usize::try_from((last - first) / each + 1).unwrap_or(0);
    let mut packets = vec![0_u64; slices];
    for (hour, [_, sum]) in &sums.hours {
        if let Some(slice) = usize::try_from((hour - first) / each).ok().and_then(|at| packets.get_mut(at)) {
            *slice = slice.saturating_add(*sum);
        }
    }
    Timeline {
        start: Timestamp(first * HOUR),
        slice_seconds: u32::try_from(each * HOUR).unwrap_or(u32::MAX),
        packets,
    }
}

/// Gives each finding its id; those of one rule at several times are told apart by the time.
fn name(findings: &mut [(Finding, Sums)]) {
    let mut count: HashMap<String, usize> = HashMap::new();
    for (_, sums) in &*findings {
        *count.entry(sums.key.id.clone()).or_default() += 1;
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for (finding, Sums { key: SumsKey { id, since, change }, .. }) in findings {
        finding.id = match since.filter(|_| count[id] > 1) {
            Some(since) => format!("{id}@{since}"),
            None => id.clone(),
        };
        if !taken.insert(finding.id.clone()) {
            let time = finding.change.as_ref().map(|change| change.time.to_string()).unwrap_or_default();
            finding.id = format!("{}/{time}/{}", finding.id, change.as_deref().unwrap_or_default());
            taken.insert(finding.id.clone());
        }
    }
}

/// Everything but the findings.
fn diagnosis(earlier: Diagnosis, later: Diagnosis, continued: u64) -> Diagnosis {
    let mut names = earlier.names;
    names.extend(later.names);
    let input = input(earlier.input, later.input);
    let (no_reply, no_reply_unknown) = match (earlier.no_reply, later.no_reply) {
        (Some(a), Some(b)) => (Some(no_reply(a, b)), None),
        _ => (None, earlier.no_reply_unknown.or(later.no_reply_unknown)),
    };
    Diagnosis {
        window: Window {
            since: earlier.window.since,
            until: later.window.until,
            first_record: earliest(earlier.window.first_record, later.window.first_record),
            last_record: earlier.window.last_record.max(later.window.last_record),
        },
        summary: Summary {
            rejected_conversations: (earlier.summary.rejected_conversations
                + later.summary.rejected_conversations)
                .saturating_sub(continued),
            complete: input.incomplete.is_empty(),
            ..Summary::default()
        },
        findings: Vec::new(),
        other_rejects: other_rejects(earlier.other_rejects, later.other_rejects),
        no_reply,
        no_reply_unknown,
        warnings: each_once(earlier.warnings, later.warnings),
        notes: each_once(earlier.notes, later.notes),
        names,
        input,
        rows: Vec::new(),
        ..later
    }
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn each_once<T: PartialEq>(mut known: Vec<T>, more: Vec<T>) -> Vec<T> {
    for one in more {
        if !known.contains(&one) {
            known.push(one);
        }
    }
    known
}

fn input(a: InputSummary, b: InputSummary) -> InputSummary {
    let mut malformed_examples = each_once(a.malformed_examples, b.malformed_examples);
    malformed_examples.truncate(MALFORMED_SHOWN);
    InputSummary {
        objects: a.objects + b.objects,
        bytes_read: a.bytes_read + b.bytes_read,
        bytes_decoded: a.bytes_decoded + b.bytes_decoded,
        lines: a.lines + b.lines,
        records: a.records + b.records,
        accepted: a.accepted + b.accepted,
        rejected: a.rejected + b.rejected,
        no_data: a.no_data + b.no_data,
        skip_data: a.skip_data + b.skip_data,
        malformed: a.malformed + b.malformed,
        filtered: a.filtered + b.filtered,
        headers: a.headers + b.headers,
        transit_gateway: a.transit_gateway + b.transit_gateway,
        duplicates: a.duplicates + b.duplicates,
        interfaces: a.interfaces.max(b.interfaces),
        accepted_unread: a.accepted_unread || b.accepted_unread,
        rejects_unrecorded: a.rejects_unrecorded || b.rejects_unrecorded,
        losses_unread: a.losses_unread || b.losses_unread,
        requests: crate::report::view::Requests {
            sent: a.requests.sent.max(b.requests.sent),
            repeated: a.requests.repeated.max(b.requests.repeated),
            resumed: a.requests.resumed.max(b.requests.resumed),
        },
        incomplete: each_once(a.incomplete, b.incomplete),
        malformed_examples,
    }
}

fn other_rejects(known: OtherRejects, more: OtherRejects) -> OtherRejects {
    let key = |one: &crate::report::view::OtherReject| {
        let place = (one.network_acl_id.clone(), one.direction, one.rule_number, one.rule.clone());
        (one.cause, one.kind, one.detail.clone(), place)
    };
    let mut by_cause = sum_by(known.by_cause.into_iter().chain(more.by_cause), key, |sum, one| {
        sum.records = sum.records.saturating_add(one.records);
        sum.packets = sum.packets.saturating_add(one.packets);
    });
    by_cause.sort_by_key(|one| Reverse(one.records));
    OtherRejects {
        records: known.records + more.records,
        packets: known.packets.saturating_add(more.packets),
        by_cause,
    }
}

/// A request without an answer that is sent again on another day is another one: each stretch looks for answers up to its
/// end.
fn no_reply(a: NoReply, b: NoReply) -> NoReply {
    let key = |one: &NoReplyGroup| {
        let followed =
            one.followed.as_ref().map(|followed| (followed.interface_id.clone(), followed.outcome));
        let service = (one.service.protocol, one.service.port);
        (one.interface_id.clone(), service, one.dstaddr.clone(), followed, one.detail.clone())
    };
    let mut groups = sum_by(a.groups.into_iter().chain(b.groups), key, |sum, one| {
        sum.conversations = sum.conversations.saturating_add(one.conversations);
        sum.packets = sum.packets.saturating_add(one.packets);
        sum.first_seen = sum.first_seen.min(one.first_seen);
        sum.last_seen = sum.last_seen.max(one.last_seen);
    });
    groups.sort_by_key(|group| Reverse(group.conversations));
    let cut = groups.split_off(NO_REPLY_GROUPS.min(groups.len()));
    NoReply {
        conversations: a.conversations + b.conversations,
        packets: a.packets.saturating_add(b.packets),
        groups,
        groups_left_out: a.groups_left_out + b.groups_left_out + cut.len() as u64,
        not_known_yet: a.not_known_yet + b.not_known_yet,
        records_lost: a.records_lost + b.records_lost,
        direction_unknown: a.direction_unknown + b.direction_unknown,
        not_kept: a.not_kept + b.not_kept,
    }
}
