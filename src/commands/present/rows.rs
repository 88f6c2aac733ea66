//! One row per rejected conversation and cause.

use std::collections::HashMap;

use super::{Material, Rejected};
use crate::attribute::{FindingKey, Judged};
use crate::report::view;

impl Material<'_> {
    pub(super) fn rows(&self) -> Vec<view::Row> {
        let ids: HashMap<&FindingKey, &str> =
            self.findings.iter().map(|finding| (&finding.key, finding.id.as_str())).collect();
        let mut rows: Vec<_> = self.judged.iter().filter_map(|one| self.row(one, &ids)).collect();
        rows.sort_by(|a, b| {
            let key = |row: &view::Row| {
                (row.first_rejected, row.protocol, row.srcport, row.dstport, row.last_rejected, row.cause)
            };
            key(a)
                .cmp(&key(b))
                .then_with(|| a.interface_id.cmp(&b.interface_id))
                .then_with(|| (&a.srcaddr, &a.dstaddr).cmp(&(&b.srcaddr, &b.dstaddr)))
        });
        rows
    }

    fn row(&self, judged: &Judged<'_>, ids: &HashMap<&FindingKey, &str>) -> Option<view::Row> {
        let key = FindingKey::of(judged);
        let conversation = &self.conversations[judged.index];
        let place = self.places.of(conversation.interface);
        let sum = Rejected::of(&judged.rejected);
        let span = sum.span?;
        let request = conversation.request;
        Some(view::Row {
            cause: judged.cause.as_str(),
            confidence: judged.confidence.as_str(),
            network_acl_id: judged.network_acl.map(|acl| acl.network_acl_id.clone()),
            direction: judged.direction,
            rule_number: judged.rule.map(|entry| entry.rule_number),
            interface_id: Some(place.interface_id.to_string()),
            subnet_id: place.subnet_id.as_deref().map(str::to_owned),
            vpc_id: place.vpc_id.as_deref().map(str::to_owned),
            protocol: conversation.reply.protocol.0,
            srcaddr: conversation.reply.srcaddr.to_string(),
            srcport: conversation.reply.srcport,
            dstaddr: conversation.reply.dstaddr.to_string(),
            dstport: conversation.reply.dstport,
            first_rejected: span.start,
            last_rejected: span.end,
            rejected_packets: sum.packets,
            rejected_bytes: sum.bytes,
            request_first: request.map(|request| request.span.start),
            request_last: request.map(|request| request.span.end),
            request_packets: request.and_then(|request| request.packets),
            request_bytes: request.and_then(|request| request.bytes),
            detail: judged.detail.as_ref().map(ToString::to_string),
            finding_id: ids.get(&key).map_or_else(|| key.id(), |id| (*id).to_owned()),
        })
    }
}
