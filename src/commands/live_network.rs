//! The network configuration of a run: from snapshots, or asked of EC2 once it is known what to ask for.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use super::live_history::{self, RegionAcls};
use crate::aws::{Action, Aws, AwsError};
use crate::config::{Diagnose, HistorySource};
use crate::correlate::{InterfaceRef, Interfaces};
use crate::net::Timestamp;
use crate::network::NetworkConfig;
use crate::network::history::{History, HistoryDocuments};

/// The configuration, and where it is from.
pub(super) struct Network {
    config: NetworkConfig,
    live: Option<Live>,
    origin: &'static str,
    /// From files.
    documents: HistoryDocuments,
    /// With what CloudTrail and AWS Config said, when they were asked.
    asked: Option<HistoryDocuments>,
    /// What they could not say.
    limitations: Vec<AwsError>,
    /// Put together from the documents and the configuration; none where none was given.
    history: Option<History>,
}

/// What was asked of EC2.
struct Live {
    aws: Aws,
    regions: Vec<String>,
    asked: Asked,
    documents: Vec<(PathBuf, Value)>,
    denied: Vec<AwsError>,
}

/// What messages call what EC2 says of a region.
fn document_name(region: &str) -> PathBuf {
    PathBuf::from(format!("EC2 {region}"))
}

/// The VPCs whose configuration is known.
enum Asked {
    Vpcs(BTreeSet<String>),
    All,
}

impl Network {
    /// From the snapshots given, or nothing.
    pub(super) fn of_snapshots(config: &Diagnose) -> anyhow::Result<Self> {
        let origin = if config.snapshots.is_empty() { "none" } else { "snapshot" };
        let config = NetworkConfig::load(&config.snapshots).context("cannot use the snapshot")?;
        Ok(Self {
            config,
            live: None,
            origin,
            documents: HistoryDocuments::default(),
            asked: None,
            limitations: Vec::new(),
            history: None,
        })
    }

    /// With the history that was given, from files.
    pub(super) fn with_history(mut self, config: &Diagnose) -> anyhow::Result<Self> {
        let path = |source: &HistorySource| match source {
            HistorySource::Path(path) => Some(path.clone()),
            HistorySource::Live => None,
        };
        let paths: Vec<PathBuf> = config.history.iter().filter_map(path).collect();
        self.documents = HistoryDocuments::load(&paths).context("cannot use the history")?;
        self.rebuild();
        Ok(self)
    }

    /// Puts the history together anew, after the configuration or the documents have changed.
    fn rebuild(&mut self) {
        let documents = self.asked.as_ref().unwrap_or(&self.documents);
        self.history = (!documents.is_empty()).then(|| documents.with(&self.config));
    }

    /// Asks CloudTrail and AWS Config for the past of the network ACLs that are known, back to `since`. Once it was asked,
    /// the past is asked for again only with the present.
    pub(super) fn ask_history(&mut self, aws: &Aws, since: Timestamp) -> anyhow::Result<()> {
        if self.asked.is_some() {
            return Ok(());
        }
        let asked_at = Timestamp(jiff::Timestamp::now().as_second());
        let past = live_history::ask(aws, &self.acls_by_region(aws), since, asked_at)?;
        let mut documents = self.documents.clone();
        let complete = past.complete.map(|complete| (complete.since, complete.until));
        documents.add(&past.documents, complete).context("cannot use what CloudTrail and AWS Config say")?;
        self.asked = Some(documents);
        self.limitations = past.limitations;
        self.rebuild();
        Ok(())
    }

    /// Where the network ACLs are: as EC2 said; of a snapshot nothing says it, so that every region is asked.
    fn acls_by_region(&self, aws: &Aws) -> Vec<RegionAcls> {
        let Some(live) = &self.live else {
            let network_acl_ids: Vec<String> =
                self.config.acls().map(|acl| acl.network_acl_id.clone()).collect();
            let of_region = |region: &String| RegionAcls {
                region: region.clone(),
                network_acl_ids: network_acl_ids.clone(),
            };
            return aws.regions().iter().map(of_region).collect();
        };
        let of_region = |region: &String| {
            let name = document_name(region);
            let described = live.documents.iter().filter(|(document, _)| *document == name);
            let mut network_acl_ids: Vec<String> = described
                .flat_map(|(_, document)| RegionAcls::described(region, document).network_acl_ids)
                .collect();
            network_acl_ids.sort();
            network_acl_ids.dedup();
            RegionAcls { region: region.clone(), network_acl_ids }
        };
        live.regions.iter().map(of_region).collect()
    }

    /// What of the past could not be learned: without which the run is incomplete, and how the account is.
    pub(super) fn history_limits(&self) -> (Vec<String>, Vec<String>) {
        let (shortfalls, others): (Vec<_>, Vec<_>) =
            self.limitations.iter().partition(|limitation| live_history::is_shortfall(limitation));
        let tell = |limits: Vec<&AwsError>| limits.into_iter().map(live_history::tell).collect();
        (tell(shortfalls), tell(others))
    }

    pub(super) fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    /// To be asked of EC2 in these regions.
    pub(super) fn live(aws: Aws, regions: Vec<String>) -> Self {
        let asked = Asked::Vpcs(BTreeSet::new());
        let live = Live { aws, regions, asked, documents: Vec::new(), denied: Vec::new() };
        Self {
            config: NetworkConfig::default(),
            live: Some(live),
            origin: "live",
            documents: HistoryDocuments::default(),
            asked: None,
            limitations: Vec::new(),
            history: None,
        }
    }

    pub(super) fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// The interfaces of NAT gateways that are known by now.
    pub(super) fn nat_gateway_interfaces(&self) -> HashSet<Vec<u8>> {
        let is_gateway = |id: &&String| self.config.interface_is_nat_gateway(id);
        let ids = self.config.interfaces().map(|interface| &interface.interface_id);
        ids.filter(is_gateway).map(|id| id.clone().into_bytes()).collect()
    }

    /// `snapshot`, `live` or `none`.
    pub(super) fn origin(&self) -> &'static str {
        self.origin
    }

    /// Permissions that are missing without which rules stay undetermined, and those without which only names do.
    pub(super) fn denied(&self) -> (Vec<&AwsError>, Vec<&AwsError>) {
        let denied = self.live.iter().flat_map(|live| &live.denied);
        denied.partition(|error| {
            let (AwsError::Denied { action, .. } | AwsError::Failed { action, .. }) = error else {
                return true;
            };
            !matches!(action, Action::DescribeNatGateways | Action::DescribeVpcs)
        })
    }

    /// Sees to it that the places of these interfaces are known: by their VPCs where the records name them.
    pub(super) fn cover(&mut self, interfaces: &Interfaces) -> anyhow::Result<()> {
        if interfaces.is_empty() {
            return Ok(());
        }
        let vpc = |interface: InterfaceRef<'_>| String::from_utf8(interface.vpc_id?.to_vec()).ok();
        let vpcs: Option<BTreeSet<String>> = interfaces.iter().map(vpc).collect();
        match vpcs {
            Some(vpcs) => self.cover_vpcs(&vpcs),
            None => self.cover_all(),
        }
    }

    /// Sees to it that these VPCs are known.
    pub(super) fn cover_vpcs(&mut self, vpcs: &BTreeSet<String>) -> anyhow::Result<()> {
        let Some(Live { asked: Asked::Vpcs(known), .. }) = &self.live else { return Ok(()) };
        let missing: Vec<String> = vpcs.difference(known).cloned().collect();
        if missing.is_empty() || !self.ask(&missing)? {
            return Ok(());
        }
        if let Some(Live { asked: Asked::Vpcs(known), .. }) = &mut self.live {
            known.extend(missing);
        }
        Ok(())
    }

    /// Sees to it that everything in the regions is known.
    pub(super) fn cover_all(&mut self) -> anyhow::Result<()> {
        if !matches!(self.live, Some(Live { asked: Asked::Vpcs(_), .. })) || !self.ask(&[])? {
            return Ok(());
        }
        if let Some(live) = &mut self.live {
            live.asked = Asked::All;
        }
        Ok(())
    }

    /// The regions to ask in, where the inputs say which they are from.
    pub(super) fn set_regions(&mut self, regions: &BTreeSet<String>) {
        let regions: Vec<_> = regions.iter().cloned().collect();
        if let Some(live) = self.live.as_mut().filter(|live| !regions.is_empty() && live.regions != regions) {
            live.regions = regions;
            self.refresh();
        }
    }

    /// Forgets what EC2 said: the next question is asked anew.
    pub(super) fn refresh(&mut self) {
        if let Some(live) = &mut self.live {
            live.asked = Asked::Vpcs(BTreeSet::new());
            live.documents.clear();
            live.denied.clear();
        }
        (self.asked, self.limitations) = (None, Vec::new());
    }

    /// `false` when there was no whole answer, as the run is to end: then this counts as denied, and as not asked.
    fn ask(&mut self, vpc_ids: &[String]) -> anyhow::Result<bool> {
        let Some(live) = &mut self.live else { return Ok(false) };
        let mut documents = Vec::new();
        for region in &live.regions {
            // What is said of a moment must have been true then: the answers come later.
            let captured_at = Timestamp(jiff::Timestamp::now().as_second());
            let described = match live.aws.network_config(region, vpc_ids) {
                Ok(described) => described,
                Err(error @ AwsError::Interrupted { .. }) => {
                    if !live.denied.contains(&error) {
                        live.denied.push(error);
                    }
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            };
            let mut document = described.document;
            if let Some(members) = document.as_object_mut() {
                members.insert("flowcheck".to_owned(), json!({ "captured_at": captured_at.to_string() }));
            }
            documents.push((document_name(region), document));
            for error in described.missing {
                if !live.denied.contains(&error) {
                    live.denied.push(error);
                }
            }
        }
        if vpc_ids.is_empty() {
            live.documents.clear();
        }
        live.documents.append(&mut documents);
        self.config = NetworkConfig::from_documents(&live.documents).context("cannot use what EC2 says")?;
        self.rebuild();
        Ok(true)
    }
}
