//! `flowcheck snapshot -o FILE`: the live network configuration and its past, saved for someone without credentials.
//!
//! Owns the one document that `--snapshot` and `--history` read back: what the AWS CLI prints for each kind, and when and
//! where it was true. Refuses to know what is in it.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use super::Outcome;
use super::file::write_file;
use super::live_history::{self, LiveHistory, RegionAcls};
use crate::aws::{Aws, AwsError, Description, NetworkDescription, Stop};
use crate::config::Snapshot;
use crate::net::Timestamp;
use crate::report::escape_for_terminal;

/// Ids of the resources that a flow log may be on, by kind: document, member, prefix.
const LOGGED: [(Description, &str, &str); 4] = [
    (Description::Vpcs, "VpcId", "vpc-"),
    (Description::Subnets, "SubnetId", "subnet-"),
    (Description::NetworkInterfaces, "NetworkInterfaceId", "eni-"),
    (Description::NatGateways, "NatGatewayId", "nat-"),
];

/// The keys of what happened before.
const HISTORY: [&str; 2] = ["Events", "configurationItems"];

/// Describes every region and writes the document.
pub fn run(config: &Snapshot) -> anyhow::Result<Outcome> {
    let aws = Aws::connect(&config.aws, &Stop::default())?;
    // Before the first call: whatever changes from now on may or may not be in the answers.
    let captured_at = Timestamp(jiff::Timestamp::now().as_second());
    let (regions, account_id) = describe(&aws, config)?;
    let mut document = Map::new();
    let mut missing = Vec::new();
    let mut described = Vec::new();
    for (name, region) in aws.regions().iter().zip(regions) {
        described.push(RegionAcls::described(name, &region.document));
        merge(&mut document, region.document);
        missing.extend(region.missing);
    }
    refuse_useless(&document, &missing, &config.vpc_ids)?;
    if !config.vpc_ids.is_empty() {
        keep_flow_logs_of_what_is_there(&mut document, &config.vpc_ids);
    }
    let mut own = json!({
        "captured_at": captured_at.to_string(),
        "region": aws.regions().join(","),
        "account_id": account_id.or_else(|| owner(&document)),
        "version": env!("CARGO_PKG_VERSION"),
    });
    let limitations = match config.history_seconds {
        Some(seconds) => add_history(&mut document, &mut own, &aws, &described, seconds)?,
        None => Vec::new(),
    };
    document.insert("flowcheck".to_owned(), own);
    write(&Value::Object(document), config)?;
    if !config.quiet {
        let missing = missing.iter().map(ToString::to_string);
        for warning in missing.chain(limitations.iter().map(live_history::tell)) {
            eprintln!("warning: {}", escape_for_terminal(&warning));
        }
    }
    let is_whole = missing.is_empty() && !limitations.iter().any(live_history::is_shortfall);
    Ok(if is_whole { Outcome::Done } else { Outcome::Incomplete })
}

/// Adds what happened in the last so many seconds, and says since when and until when nothing is missing.
fn add_history(
    document: &mut Map<String, Value>,
    own: &mut Value,
    aws: &Aws,
    described: &[RegionAcls],
    seconds: i64,
) -> Result<Vec<AwsError>, AwsError> {
    let asked_at = Timestamp(jiff::Timestamp::now().as_second());
    let LiveHistory { documents, complete, limitations } =
        live_history::ask(aws, described, asked_at.plus_seconds(-seconds), asked_at)?;
    for (_, region) in documents {
        merge(document, region);
    }
    own["history"] = json!({
        "complete_since": complete.map(|complete| complete.since.to_string()),
        "complete_until": complete.map(|complete| complete.until.to_string()),
    });
    Ok(limitations)
}

/// All regions at the same time, and whose account it is. Who asks unsigned is nobody.
fn describe(aws: &Aws, config: &Snapshot) -> anyhow::Result<(Vec<NetworkDescription>, Option<String>)> {
    std::thread::scope(|scope| {
        let account_id =
            scope.spawn(|| if config.aws.no_sign_request { None } else { aws.account_id().ok() });
        let describing: Vec<_> = aws
            .regions()
            .iter()
            .map(|region| scope.spawn(|| aws.describe_all(region, &Description::ALL, &config.vpc_ids)))
            .collect();
        let mut regions = Vec::new();
        for region in describing {
            match region.join() {
                Ok(described) => regions.push(described?),
                Err(_) => bail!("describing a region ended early"),
            }
        }
        Ok((regions, account_id.join().unwrap_or_default()))
    })
}

/// Adds the resources of one region's document to those of the others.
fn merge(document: &mut Map<String, Value>, region: Value) {
    let Value::Object(region) = region else { return };
    for (key, resources) in region {
        match (document.get_mut(&key), resources) {
            (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
            (_, resources) => {
                document.insert(key, resources);
            }
        }
    }
}

/// Without the network ACLs of what was asked for, the rest is worth nothing.
fn refuse_useless(
    document: &Map<String, Value>,
    missing: &[AwsError],
    vpc_ids: &[String],
) -> anyhow::Result<()> {
    let key = Description::NetworkAcls.key();
    let Some(network_acls) = document.get(key).and_then(Value::as_array) else {
        let is_why = |error: &&AwsError| error.action() == Some(Description::NetworkAcls.action());
        let reason = missing.iter().find(is_why);
        let hint = match reason {
            Some(reason) if reason.is_denied() => "\nhint: docs/iam-policy.json lists the permissions",
            _ => "",
        };
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        bail!("no network ACLs can be read, and nothing is saved{reason}{hint}");
    };
    let known: BTreeSet<_> = network_acls.iter().filter_map(|acl| acl.get("VpcId")?.as_str()).collect();
    // A VPC that cannot be seen may be in a region that failed.
    let complete = missing.is_empty();
    let unknown: Vec<_> =
        vpc_ids.iter().filter(|vpc_id| complete && !known.contains(vpc_id.as_str())).cloned().collect();
    if !unknown.is_empty() {
        bail!("no network ACL of {} was found\nhint: see --region and --profile", unknown.join(", "));
    }
    Ok(())
}

/// EC2 cannot choose flow logs by VPC. Those on a kind of resource that could not be described are kept.
fn keep_flow_logs_of_what_is_there(document: &mut Map<String, Value>, vpc_ids: &[String]) {
    let mut ids: BTreeSet<String> = vpc_ids.iter().cloned().collect();
    let mut unknown_prefixes = Vec::new();
    for (description, member, prefix) in LOGGED {
        match document.get(description.key()).and_then(Value::as_array) {
            Some(resources) => {
                let found = resources.iter().filter_map(|resource| resource.get(member)?.as_str());
                ids.extend(found.map(ToOwned::to_owned));
            }
            None => unknown_prefixes.push(prefix),
        }
    }
    if let Some(Value::Array(flow_logs)) = document.get_mut(Description::FlowLogs.key()) {
        flow_logs.retain(|flow_log| {
            let on = flow_log.get("ResourceId").and_then(Value::as_str).unwrap_or_default();
            ids.contains(on) || unknown_prefixes.iter().any(|prefix| on.starts_with(prefix))
        });
    }
}

/// The account that all network ACLs belong to, where it could not be asked for. In a shared VPC that is the owner's.
fn owner(document: &Map<String, Value>) -> Option<String> {
    let network_acls = document.get(Description::NetworkAcls.key())?.as_array()?;
    let owners: BTreeSet<_> = network_acls.iter().map(|acl| acl.get("OwnerId")?.as_str()).collect();
    match owners.into_iter().collect::<Vec<_>>()[..] {
        [Some(owner)] => Some(owner.to_owned()),
        _ => None,
    }
}

fn write(document: &Value, config: &Snapshot) -> anyhow::Result<()> {
    let put = |out: &mut dyn Write| {
        serde_json::to_writer_pretty(&mut *out, document)?;
        writeln!(out)
    };
    if let Some(path) = &config.file {
        write_file(path, put)?;
    } else {
        let mut out = BufWriter::new(io::stdout().lock());
        match put(&mut out).and_then(|()| out.flush()) {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            result => result.context("cannot write to standard output")?,
        }
    }
    if config.verbose {
        let keys = Description::ALL.iter().map(|kind| kind.key()).chain(HISTORY);
        let counts = keys.filter_map(|key| {
            let count = document.get(key)?.as_array()?.len();
            Some(format!("{key} {count}"))
        });
        eprintln!("saved: {}", counts.collect::<Vec<_>>().join(", "));
    }
    Ok(())
}
