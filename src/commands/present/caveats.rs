//! What is beside the findings: rejects that are no replies, inputs cut short, warnings.

use super::Material;
use crate::attribute::{Cause, OtherKey};
use crate::correlate::{MalformedLine, UnpairedKind};
use crate::pipeline::Reading;
use crate::record::{PACKET_ADDRESSES, Problem};
use crate::report::view;

/// How the warning begins that there is nothing to go by but rejects.
pub(in crate::commands) const NO_ACCEPT: &str = "the input holds no ACCEPT records";

/// Interfaces named in a warning.
const NAMED: usize = 3;

impl Material<'_> {
    pub(super) fn incomplete(&self) -> Vec<view::Incomplete> {
        let inputs = self.found.discovery.unreadable.iter().chain(&self.reading.incomplete);
        let mut incomplete: Vec<_> = inputs
            .map(|(source, error)| view::Incomplete { source: source.clone(), error: error.clone() })
            .collect();
        for error in self.network.denied().0 {
            let error =
                view::Incomplete { source: "network configuration".to_owned(), error: error.to_string() };
            incomplete.push(error);
        }
        let past = self.network.history_limits().0.into_iter();
        incomplete.extend(
            past.map(|error| view::Incomplete { source: "history of network ACLs".to_owned(), error }),
        );
        let ambiguous = self.reading.correlated.counts.ambiguous;
        if ambiguous > 0 {
            let is_one = |(_, line): &&(String, _)| is_ambiguous(line);
            let example = self.reading.malformed.iter().find(is_one);
            let source = example.map_or_else(|| "log formats".to_owned(), |(source, _)| source.clone());
            let lines =
                if ambiguous == 1 { "one line".to_owned() } else { format!("each of {ambiguous} lines") };
            let error = format!(
                "{lines} fits two log formats of as many fields, which read it differently, and is counted as malformed; \
                 give the source alone with the --log-format that it is in"
            );
            incomplete.push(view::Incomplete { source, error });
        }
        for one in &mut incomplete {
            one.error = one.error.replace("\nhint: ", "; ");
        }
        incomplete.extend(
            self.not_kept().map(|error| view::Incomplete { source: "memory limit".to_owned(), error }),
        );
        incomplete
    }

    /// What there was no room for.
    fn not_kept(&self) -> impl Iterator<Item = String> {
        let correlated = &self.reading.correlated;
        let limit = self.config.memory_limit_bytes >> 20;
        let advice = "give a larger --memory-limit or a shorter --since";
        let cut = (correlated.cut_conversations > 0).then(|| {
            format!(
                "{} conversations with rejected replies are left out, because all of them take more than {limit} MiB; {advice}",
                correlated.cut_conversations
            )
        });
        let cut_spans = correlated
            .cut_skip_data
            .then(|| format!("some SKIPDATA intervals are not shown beside their findings; {advice}"));
        let cut_silent = (correlated.cut_silent > 0).then(|| {
            format!(
                "{} requests without an answer are left out, because all of them take more than their part of {limit} MiB; \
                 {advice}",
                correlated.cut_silent
            )
        });
        let no_room = correlated.not_kept_because.as_ref().map(|reason| {
            format!(
                "{} records were counted but not paired, and copies were not looked for among {}, because there was no \
                 room in {limit} MiB of memory and the temporary folder (TMPDIR): {reason}; {advice}",
                correlated.dropped_accepted + correlated.dropped_rejected,
                correlated.unchecked
            )
        });
        cut.into_iter().chain(cut_silent).chain(cut_spans).chain(no_room)
    }

    pub(super) fn other_rejects(&self) -> view::OtherRejects {
        let mut by_cause: Vec<_> = self
            .others
            .iter()
            .map(|(key, rule, total)| view::OtherReject {
                cause: key.cause.as_str(),
                network_acl_id: key.network_acl_id.map(str::to_owned),
                direction: key.direction,
                rule_number: key.rule_number,
                rule: rule.map(ToString::to_string),
                kind: other_kind(key.kind),
                reason: other_reason(key),
                detail: Some(other_detail(key)),
                records: total.records,
                packets: total.packets,
            })
            .collect();
        let correlated = &self.reading.correlated;
        let counts = &correlated.counts;
        for (records, packets, detail) in [
            (
                counts.unpairable_rejected,
                counts.unpairable_rejected_packets,
                "a field is absent without which requests and replies cannot be paired",
            ),
            (
                correlated.dropped_rejected,
                correlated.dropped_rejected_packets,
                "not kept: the memory limit was reached",
            ),
        ] {
            if records > 0 {
                by_cause.push(view::OtherReject {
                    cause: Cause::Undetermined.as_str(),
                    network_acl_id: None,
                    direction: None,
                    rule_number: None,
                    rule: None,
                    kind: "unpaired",
                    reason: Some(detail.to_owned()),
                    detail: Some(detail.to_owned()),
                    records,
                    packets,
                });
            }
        }
        view::OtherRejects {
            records: by_cause.iter().map(|row| row.records).sum(),
            packets: by_cause.iter().map(|row| row.packets).fold(0, u64::saturating_add),
            by_cause,
        }
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let Reading { correlated, missing, foreign, .. } = self.reading;
        let mut warnings = self.found.warnings.clone();
        for (field, first, inputs) in missing {
            if *field == PACKET_ADDRESSES {
                warnings.extend(self.address_collisions(first));
                continue;
            }
            let others = if *inputs > 1 { format!(" and {} more", inputs - 1) } else { String::new() };
            warnings.push(format!("no {} field in {first}{others}: {}", field.name, field.consequence));
        }
        for (name, key) in foreign {
            warnings.push(format!("{name} holds {}, not flow logs: it was not read", describe_foreign(key)));
        }
        if correlated.counts.headers == 0
            && correlated.accepted + correlated.rejected == 0
            && let Some((source, found)) = self.reading.malformed.iter().find_map(|(source, line)| {
                let Problem::FieldCount { found, .. } = line.malformed.problem else { return None };
                Some((source, found))
            })
        {
            warnings.push(format!(
                "lines of {source} have {found} fields and no header that names them: give --log-format with the \
                 LogFormat that `aws ec2 describe-flow-logs` prints"
            ));
        }
        if correlated.counts.transit_gateway > 0 {
            warnings.push(format!(
                "transit gateway records were counted apart ({}): they have no action, so they cannot show a reject",
                correlated.counts.transit_gateway
            ));
        }
        for error in self.network.denied().1 {
            warnings.push(format!("{error}: names may be missing"));
        }
        warnings.extend(self.network.history_limits().1);
        self.warn_of_missing_halves(&mut warnings);
        warnings.extend(self.network.config().warnings().iter().cloned());
        warnings.extend(
            self.network.history().into_iter().flat_map(|history| history.warnings().iter().cloned()),
        );
        warnings
    }

    /// What the input or the configuration does not hold at all.
    fn warn_of_missing_halves(&self, warnings: &mut Vec<String>) {
        let correlated = &self.reading.correlated;
        let accepted = correlated.accepted > 0 || self.found.accepted_unread || self.found.accepted_elsewhere;
        if !accepted && correlated.rejected > 0 && correlated.counts.filtered_accepted == 0 {
            warnings.push(format!(
                "{NO_ACCEPT} (a flow log that records only rejects?): requests cannot be seen, so only replies that show \
                 themselves by a SYN-ACK or by their shape are reported; a flow log of traffic type ALL with the \
                 tcp-flags field would settle it"
            ));
        }
        if self.network.origin() == "none" && self.network.history().is_none() && correlated.rejected > 0 {
            warnings.push(
                "no network configuration: the rules behind the rejects are not known; give --snapshot with the \
                 output of `flowcheck snapshot` (or `aws ec2 describe-network-acls` and `describe-network-interfaces`), \
                 or --region to ask AWS"
                    .to_owned(),
            );
        }
        let all_read = !self.found.accepted_unread;
        if correlated.accepted + correlated.rejected == 0 && correlated.counts.filtered > 0 && all_read {
            warnings.push(format!(
                "no record lies in the time and matches the filters asked for; {} were read and left out",
                correlated.counts.filtered
            ));
        }
        if let Some((first, more)) = self.found.discovery.passed_over.split_first() {
            let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            warnings.push(format!(
                "{first}{more} in a directory was not read, as its name ends in none of .log .txt .gz .parquet: name it to read it"
            ));
        }
        for id in &self.config.filters.network_acl_ids {
            if self.network.config().acl(id).is_none() {
                warnings
                    .push(format!("{id} is not in the network configuration: --nacl {id} matches nothing"));
            }
        }
    }

    /// What a format without packet-level addresses means for interfaces that have several.
    fn address_collisions(&self, input: &str) -> Option<String> {
        let met = self.reading.correlated.interfaces.iter();
        let several: Vec<_> = met
            .filter_map(|met| self.network.config().interface(std::str::from_utf8(met.interface_id).ok()?))
            .filter(|known| {
                let private = known.addresses.iter().filter(|address| address.is_ipv4()).count();
                private > 1 || !known.prefixes.is_empty()
            })
            .map(|known| known.interface_id.as_str())
            .collect();
        let (first, more) = several.split_at(several.len().min(NAMED));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        (!several.is_empty()).then(|| {
            format!(
                "no {} fields in {input}: {} (several at {}{more}), so their conversations may be taken for one",
                PACKET_ADDRESSES.name,
                PACKET_ADDRESSES.consequence,
                first.join(", ")
            )
        })
    }
}

fn is_ambiguous(line: &MalformedLine) -> bool {
    line.malformed.problem == Problem::Ambiguous
}

fn other_kind(kind: Option<UnpairedKind>) -> &'static str {
    match kind {
        Some(UnpairedKind::Request) => "new_request",
        Some(UnpairedKind::RequestSide) => "request_side",
        Some(UnpairedKind::Unsolicited) => "unsolicited",
        None => "unpaired",
    }
}

fn other_detail(key: &OtherKey<'_>) -> String {
    let kind = match key.kind {
        Some(UnpairedKind::Request) => "new request (SYN)",
        Some(UnpairedKind::RequestSide) => "request side of a connection that was open before",
        Some(UnpairedKind::Unsolicited) | None => "no accepted request within the match window",
    };
    match (other_reason(key), key.cause) {
        (Some(reason), _) => format!("{kind}; {reason}"),
        (None, Cause::NotNacl) => format!("{kind}; the network ACL allows it: a security group"),
        (None, _) => kind.to_owned(),
    }
}

fn other_reason(key: &OtherKey<'_>) -> Option<String> {
    let reason = match (key.cause, key.slug?) {
        (Cause::NotNacl, "same_subnet") => {
            "inside one subnet, where no network ACL applies: a security group"
        }
        (Cause::NotNacl, "link_local") => "link-local, which no network ACL filters",
        (Cause::Undetermined, "no_network_acl") => "no network ACL known for the interface",
        (Cause::Undetermined, "direction_unknown") => "direction unknown",
        (Cause::Undetermined, "change_in_window") => {
            "a change of the network ACL lies within a minute of them"
        }
        (Cause::Undetermined, "unseen_change") => {
            "the network ACL changed at a moment that the history does not hold"
        }
        (Cause::Undetermined, "entry_unknown") => {
            "the history does not say what a rule held that existed then"
        }
        (Cause::Undetermined, "icmp_type_unknown") => {
            "a rule tests the ICMP type, which flow logs do not carry"
        }
        (Cause::Undetermined, "unknown_reject_reason") => {
            "rejected for a reason that this version does not know"
        }
        (Cause::Undetermined, _) => "a fact is missing",
        _ => return None,
    };
    Some(reason.to_owned())
}

fn describe_foreign(key: &str) -> &'static str {
    match key {
        "Records" | "Events" => "CloudTrail events",
        "configurationItems" => "AWS Config items",
        "generator" => "a flowcheck result",
        _ => "a network configuration (give it to --snapshot)",
    }
}
