//! Requests without an answer as the reports print them, and why nothing can be said of them where that is so.

use super::Material;
use crate::attribute::{Cause, Followed, Silence};
use crate::correlate::SightingKind;
use crate::report::view::{self, NO_REPLY_GROUPS};

impl Material<'_> {
    /// What is known of requests without an answer, or why nothing is.
    pub(super) fn no_reply(&self) -> Result<view::NoReply, &'static str> {
        self.silence_is_known()?;
        let known = &self.no_reply;
        let groups = &known.groups;
        Ok(view::NoReply {
            conversations: groups.iter().map(|group| group.conversations).sum(),
            packets: groups.iter().map(|group| group.packets).fold(0, u64::saturating_add),
            groups: groups.iter().take(NO_REPLY_GROUPS).map(|group| self.silence(group)).collect(),
            groups_left_out: groups.len().saturating_sub(NO_REPLY_GROUPS) as u64,
            not_known_yet: known.not_known_yet,
            records_lost: known.records_lost,
            direction_unknown: known.direction_unknown,
            not_kept: self.reading.correlated.cut_silent,
        })
    }

    /// Silence can only be told where every record is there that could break it.
    fn silence_is_known(&self) -> Result<(), &'static str> {
        let correlated = &self.reading.correlated;
        let dropped = correlated.dropped_accepted + correlated.dropped_rejected + correlated.dropped_requests;
        let unreadable = !self.found.discovery.unreadable.is_empty()
            || !self.reading.incomplete.is_empty()
            || correlated.counts.ambiguous > 0;
        if self.found.accepted_unread {
            Err(
                "requests without an answer are not known: only the accepted records around rejects were read",
            )
        } else if self.found.losses_unread {
            Err(
                "requests without an answer are not known: AWS lost records (SKIPDATA) in this time, which were not read",
            )
        } else if self.found.rejects_unrecorded {
            Err(
                "requests without an answer are not known: a flow log records ACCEPT only, so that its rejects \
                 cannot be told from silence",
            )
        } else if unreadable {
            Err("requests without an answer are not known: an input could not be read to its end")
        } else if dropped > 0 || correlated.cut_skip_data {
            Err("requests without an answer are not known: memory had no room for all records")
        } else if correlated.accepted + correlated.counts.filtered_accepted == 0
            && !self.found.accepted_elsewhere
        {
            Err("requests without an answer are not known: the input holds no ACCEPT records")
        } else if !correlated.has_tcp_flags {
            Err("requests without an answer are not known: that needs tcp-flags in the log format")
        } else {
            Ok(())
        }
    }

    fn silence(&self, group: &Silence<'_>) -> view::NoReplyGroup {
        let name = |index| self.places.of(index).interface_id.to_string();
        let followed = group.followed.as_ref().map(|one| view::Followed {
            interface_id: name(one.interface),
            outcome: if one.kind == SightingKind::Rejected { "rejected" } else { "accepted" },
            answered: one.kind == SightingKind::Answered,
            is_destination: one.is_destination,
            direction: one.direction,
            cause: one.cause.map(Cause::as_str),
            network_acl_id: one.network_acl.map(|acl| acl.network_acl_id.clone()),
            rule_number: one.rule.map(|entry| entry.rule_number),
            rule: one.rule.map(ToString::to_string),
        });
        view::NoReplyGroup {
            interface_id: name(group.interface),
            service: view::NoReplyService { protocol: group.protocol.0, port: group.dstport },
            dstaddr: group.dstaddr.to_string(),
            conversations: group.conversations,
            packets: group.packets,
            first_seen: group.span.start,
            last_seen: group.span.end,
            detail: group
                .followed
                .as_ref()
                .map_or_else(|| self.nothing_further(), |one| detail(one, &name(one.interface))),
            followed,
        }
    }

    fn nothing_further(&self) -> String {
        let mut text =
            "no other interface here recorded them: left are a route, the peer or its security group, a \
                        network ACL of another account, an appliance, or an interface without a flow log"
                .to_owned();
        let filters = &self.config.filters;
        let places =
            [&filters.interface_ids, &filters.subnet_ids, &filters.vpc_ids, &filters.network_acl_ids];
        if places.iter().any(|place| !place.is_empty()) {
            text.push_str("; the filters asked for leave other interfaces out, and what they recorded");
        }
        if self.reading.correlated.rejected == 0 {
            text.push_str(
                "; there is no REJECT record at all: a flow log of ACCEPT only would hide a rejected reply",
            );
        }
        text
    }
}

fn detail(one: &Followed<'_>, interface: &str) -> String {
    match one.kind {
        SightingKind::Rejected => format!("{interface} dropped them: {}", why(one)),
        SightingKind::Answered => format!(
            "{interface} accepted them and let an answer out, which did not arrive where they came from: left are a \
             route or an appliance on the way back"
        ),
        SightingKind::Accepted if one.is_destination => format!(
            "they arrived at {interface}: the host did not answer, or its answer left by a way without a flow log"
        ),
        SightingKind::Accepted => {
            format!("{interface} let them pass; no record shows what became of them further on")
        }
    }
}

fn why(one: &Followed<'_>) -> String {
    let direction = one.direction.map_or("", |direction| direction.as_str());
    match (one.network_acl, one.rule, &one.detail, one.cause) {
        (Some(acl), Some(rule), _, Some(Cause::NaclRule | Cause::NaclDefault)) => {
            format!("{} {direction} {rule}", acl.network_acl_id)
        }
        (.., Some(Cause::VpcBlockPublicAccess)) => "VPC Block Public Access".to_owned(),
        (.., Some(Cause::EncryptionControls)) => "VPC Encryption Controls".to_owned(),
        (_, _, Some(detail), _) => detail.to_string(),
        (Some(acl), ..) => {
            format!("its network ACL {} allows them, which leaves its security group", acl.network_acl_id)
        }
        _ => "its network ACL is not known".to_owned(),
    }
}
