//! Owns the shape in which AWS delivers flow logs to S3: record lines, header, 5-minute objects, names, gzip members.
//! Refuses to know why a record says what it says.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};

use crate::capture::{Flow, Row};
use crate::rng::Rng;
use crate::topology::{ACCOUNT, Kind, REGION, Topology, VPC};
use crate::{BEGIN, SECOND};

const DEFAULT_FIELDS: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes \
                              start end action log-status";
/// All 29 fields up to version 5, in an order of the customer's own.
const CUSTOM_FIELDS: &str = "version region az-id sublocation-type sublocation-id vpc-id subnet-id instance-id \
                             interface-id account-id type flow-direction traffic-path srcaddr srcport dstaddr dstport \
                             pkt-srcaddr pkt-dstaddr pkt-src-aws-service pkt-dst-aws-service protocol tcp-flags bytes \
                             packets start end log-status action";
const BUCKET: i64 = 300;

/// Which fields a flow log has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Default,
    Custom,
}

/// One flow log.
#[derive(Clone, Copy)]
pub struct FlowLog {
    pub id: &'static str,
    pub format: Format,
}

impl FlowLog {
    fn fields(self) -> &'static str {
        match self.format {
            Format::Default => DEFAULT_FIELDS,
            Format::Custom => CUSTOM_FIELDS,
        }
    }

    fn line(self, topology: &Topology, row: &Row) -> String {
        let mut line = String::new();
        for (nth, field) in self.fields().split_ascii_whitespace().enumerate() {
            if nth > 0 {
                line.push(' ');
            }
            line.push_str(&self.value(topology, row, field));
        }
        line.push('\n');
        line
    }

    fn value(self, topology: &Topology, row: &Row, field: &str) -> String {
        let (interface, flow) = match row {
            Row::Flow(flow) => (flow.key.interface, Some(flow)),
            Row::Empty { interface, .. } => (*interface, None),
        };
        let owner = &topology.interfaces[interface];
        let subnet = &topology.subnets[owner.subnet];
        match field {
            "version" => if self.format == Format::Default { "2" } else { "5" }.to_owned(),
            "account-id" => ACCOUNT.to_owned(),
            "interface-id" => owner.id.to_owned(),
            "vpc-id" => VPC.to_owned(),
            "subnet-id" => subnet.id.to_owned(),
            "region" => REGION.to_owned(),
            "az-id" => zone_id(subnet.zone),
            "sublocation-type" | "sublocation-id" => "-".to_owned(),
            "instance-id" => match owner.kind {
                Kind::Instance(id) => id.to_owned(),
                _ => "-".to_owned(),
            },
            "start" => row.start().to_string(),
            "end" => row.end().to_string(),
            "log-status" => match row {
                Row::Flow(_) => "OK",
                Row::Empty { skipped: false, .. } => "NODATA",
                Row::Empty { skipped: true, .. } => "SKIPDATA",
            }
            .to_owned(),
            _ => flow.map_or_else(|| "-".to_owned(), |flow| flow_value(topology, flow, field)),
        }
    }
}

fn flow_value(topology: &Topology, flow: &Flow, field: &str) -> String {
    let key = &flow.key;
    match field {
        "srcaddr" => key.src.to_string(),
        "dstaddr" => key.dst.to_string(),
        "srcport" => key.sport.to_string(),
        "dstport" => key.dport.to_string(),
        "pkt-srcaddr" => flow.pkt_src.to_string(),
        "pkt-dstaddr" => flow.pkt_dst.to_string(),
        "pkt-src-aws-service" => aws_service(&flow.pkt_src.to_string()).to_owned(),
        "pkt-dst-aws-service" => aws_service(&flow.pkt_dst.to_string()).to_owned(),
        "protocol" => key.protocol.to_string(),
        "packets" => flow.packets.to_string(),
        "bytes" => flow.bytes.to_string(),
        "action" => if key.accepted { "ACCEPT" } else { "REJECT" }.to_owned(),
        "tcp-flags" => flow.flags.to_string(),
        "type" => if key.src.is_ipv4() { "IPv4" } else { "IPv6" }.to_owned(),
        "flow-direction" => if key.egress { "egress" } else { "ingress" }.to_owned(),
        "traffic-path" => traffic_path(topology, flow).to_owned(),
        other => unreachable!("{other} is in no format"),
    }
}

/// Availability zones have an id that is not their name.
pub fn zone_id(zone: char) -> String {
    let number = match zone {
        'a' => 2,
        'b' => 3,
        _ => 1,
    };
    format!("euw1-az{number}")
}

fn aws_service(address: &str) -> &'static str {
    if address.starts_with("52.94.5.") {
        "DYNAMODB"
    } else if address.starts_with("52.218.") {
        "S3"
    } else {
        "-"
    }
}

/// Outbound only: 1 stays in the VPC (the NAT gateway included), 8 leaves through an internet gateway.
fn traffic_path(topology: &Topology, flow: &Flow) -> &'static str {
    let through_nat = flow.key.src.is_ipv4() && topology.interfaces[flow.key.interface].public.is_none();
    match (flow.key.egress, topology.owner(flow.key.dst)) {
        (false, _) => "-",
        (true, None) if !through_nat => "8",
        (true, _) => "1",
    }
}

/// Writes every object of the flow log below `folder`; the number of header lines in them.
pub fn write(folder: &Path, topology: &Topology, log: FlowLog, rows: &[Row]) -> io::Result<usize> {
    let day = folder.join(format!("AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/11/20"));
    if day.exists() {
        fs::remove_dir_all(&day)?;
    }
    fs::create_dir_all(&day)?;
    let mut rng = Rng::named(log.id);
    let mut headers = 0;
    for ((bucket, _part), blocks) in plan(&mut rng, rows) {
        let lines: Vec<String> = blocks.into_iter().map(|row| log.line(topology, row)).collect();
        let offset = bucket - BEGIN / SECOND;
        let (hour, minute) = (14 + offset / 3600, offset % 3600 / 60);
        let hash = rng.next() >> 32;
        let name = format!(
            "{ACCOUNT}_vpcflowlogs_{REGION}_{}_20261120T{hour:02}{minute:02}Z_{hash:08x}.log.gz",
            log.id
        );
        let header = format!("{}\n", log.fields().split_ascii_whitespace().collect::<Vec<_>>().join(" "));
        // Some objects are two gzip members; the second repeats the header, or does not.
        let repeated = match offset / BUCKET {
            4 => "",
            9 => header.as_str(),
            _ => {
                headers += 1;
                fs::write(day.join(name), member(&[header.as_str(), &lines.concat()])?)?;
                continue;
            }
        };
        headers += if repeated.is_empty() { 1 } else { 2 };
        let (first, second) = lines.split_at(lines.len() / 2);
        let mut object = member(&[header.as_str(), &first.concat()])?;
        object.extend(member(&[repeated, &second.concat()])?);
        fs::write(day.join(name), object)?;
    }
    Ok(headers)
}

/// Rows for each object: by the 5-minute bucket of their end, in some buckets over two objects. An interface's window
/// stays together; the windows come in no strict order.
fn plan<'r>(rng: &mut Rng, rows: &'r [Row]) -> BTreeMap<(i64, usize), Vec<&'r Row>> {
    let mut order: BTreeMap<(i64, usize), Vec<(i64, &Row)>> = BTreeMap::new();
    let mut block = (usize::MAX, 0);
    let mut late = 0;
    for row in rows {
        let (interface, window) = match row {
            Row::Flow(flow) => (flow.key.interface, flow.key.window),
            Row::Empty { interface, start, .. } => (*interface, *start),
        };
        if block != (interface, window) {
            block = (interface, window);
            late = rng.range(0, 70) * SECOND;
        }
        let bucket = row.end().div_euclid(BUCKET) * BUCKET;
        let part = if bucket / BUCKET % 3 == 1 { interface % 2 } else { 0 };
        let at = if matches!(row, Row::Flow(_)) { window } else { window * SECOND };
        order.entry((bucket, part)).or_default().push((at + late, row));
    }
    order
        .into_iter()
        .map(|(object, mut rows)| {
            rows.sort_by_key(|&(at, _)| at);
            (object, rows.into_iter().map(|(_, row)| row).collect())
        })
        .collect()
}

/// One gzip member without a time of its own.
pub fn member(parts: &[&str]) -> io::Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(9));
    for part in parts {
        gzip.write_all(part.as_bytes())?;
    }
    gzip.finish()
}
