//! Divides findings: by subnet, VPC, account, service, or the value of a tag.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Cell, Sums};
use crate::net::Protocol;
use crate::network::NetworkConfig;
use crate::report::view::{Diagnosis, Group, GroupFinding, Groups};

/// By what findings are divided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the option's values are")]
pub enum Division {
    Subnet,
    Vpc,
    Account,
    Service,
    Tag(String),
}

impl Division {
    /// As `--group-by` says it.
    fn name(&self) -> String {
        match self {
            Self::Subnet => "subnet".to_owned(),
            Self::Vpc => "vpc".to_owned(),
            Self::Account => "account".to_owned(),
            Self::Service => "service".to_owned(),
            Self::Tag(key) => format!("tag:{key}"),
        }
    }

    fn group_of(&self, cell: &Cell, config: &NetworkConfig) -> Option<String> {
        match self {
            Self::Subnet => cell.subnet_id.clone(),
            Self::Vpc => cell.vpc_id.clone(),
            Self::Account => cell.account_id.clone(),
            Self::Service => Some(service(cell)),
            Self::Tag(key) => {
                config.tag(&cell.interface_id, cell.subnet_id.as_deref(), key).map(str::to_owned)
            }
        }
    }
}

/// `443/tcp`, `icmp`.
fn service(cell: &Cell) -> String {
    let protocol = Protocol(cell.protocol);
    let word = protocol.keyword().map_or_else(|| format!("protocol {}", cell.protocol), str::to_owned);
    if protocol.has_ports() { format!("{}/{word}", cell.port) } else { word }
}

#[derive(Default)]
struct Sum<'a> {
    figures: [u64; 3],
    interfaces: BTreeSet<&'a str>,
    /// By place of the finding: conversations and packets.
    findings: BTreeMap<usize, [u64; 2]>,
}

/// The findings, divided; most conversations first.
pub(super) fn groups(
    division: &Division,
    diagnosis: &Diagnosis,
    sums: &[Sums],
    config: &NetworkConfig,
) -> Groups {
    let mut by_group: BTreeMap<Option<String>, Sum<'_>> = BTreeMap::new();
    for (at, sums) in sums.iter().enumerate() {
        for cell in &sums.cells {
            let sum = by_group.entry(division.group_of(cell, config)).or_default();
            sum.interfaces.insert(&cell.interface_id);
            let of_finding = sum.findings.entry(at).or_default();
            for (total, figure) in sum.figures.iter_mut().zip([cell.conversations, cell.packets, cell.bytes])
            {
                *total = total.saturating_add(figure);
            }
            for (total, figure) in of_finding.iter_mut().zip([cell.conversations, cell.packets]) {
                *total = total.saturating_add(figure);
            }
        }
    }
    let rows = by_group.into_iter().map(|(group, sum)| {
        let mut findings: Vec<_> = sum
            .findings
            .into_iter()
            .filter_map(|(at, [conversations, packets])| {
                let finding_id = diagnosis.findings.get(at)?.id.clone();
                Some(GroupFinding { finding_id, conversations, packets })
            })
            .collect();
        findings.sort_by_key(|finding| Reverse(finding.conversations));
        let [conversations, packets, bytes] = sum.figures;
        let interfaces = sum.interfaces.len() as u64;
        Group { group, conversations, packets, bytes, interfaces, findings }
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| Reverse(row.conversations));
    Groups { by: division.name(), rows }
}
