//! Owns what flow logs make of packets: one record for an interface, 5-tuple, direction and action in each 60-second
//! window. Refuses to know why a packet was dropped; it only carries the simulator's word along for the truth.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::topology::Topology;
use crate::{BEGIN, END, Millis, SECOND};

const WINDOW: Millis = 60 * SECOND;

/// Who dropped a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Denial {
    /// The NACL at this position in `Topology::acls`, by this rule, for want of an entry that was deleted.
    Nacl { acl: usize, egress: bool, rule: u16, missed: Option<u16> },
    /// The security group: nothing tracked and no rule.
    Group { same_subnet: bool },
}

/// What one interface saw of a flow. The order of the fields is the order of the aggregated records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub interface: usize,
    pub window: Millis,
    pub protocol: u8,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub sport: u16,
    pub dport: u16,
    pub egress: bool,
    pub accepted: bool,
}

/// One aggregated flow. Times are Unix seconds.
#[derive(Clone)]
pub struct Flow {
    pub key: Key,
    pub pkt_src: IpAddr,
    pub pkt_dst: IpAddr,
    pub packets: u64,
    pub bytes: u64,
    pub flags: u8,
    pub start: i64,
    pub end: i64,
    /// Truth, not logged: sent by the side that did not open the conversation.
    pub reply: bool,
    /// Truth, not logged.
    pub denial: Option<Denial>,
}

/// One line of a flow log.
#[derive(Clone)]
pub enum Row {
    Flow(Flow),
    /// `NODATA` (or `SKIPDATA`, when `skipped`) over a window. Times are Unix seconds.
    Empty {
        interface: usize,
        start: i64,
        end: i64,
        skipped: bool,
    },
}

impl Row {
    /// Unix second that decides which object holds the row.
    pub fn end(&self) -> i64 {
        match self {
            Self::Flow(flow) => flow.end,
            Self::Empty { end, .. } => *end,
        }
    }

    /// Unix second at which the row begins.
    pub fn start(&self) -> i64 {
        match self {
            Self::Flow(flow) => flow.start,
            Self::Empty { start, .. } => *start,
        }
    }
}

/// One packet as one interface saw it.
pub struct Sighting {
    pub at: Millis,
    pub interface: usize,
    pub egress: bool,
    pub protocol: u8,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub pkt_src: IpAddr,
    pub pkt_dst: IpAddr,
    pub sport: u16,
    pub dport: u16,
    pub bytes: u32,
    /// As in the TCP header.
    pub tcp_flags: u8,
    pub reply: bool,
    pub denial: Option<Denial>,
}

/// The flow log being written.
#[derive(Default)]
pub struct Capture {
    flows: BTreeMap<Key, Flow>,
}

impl Capture {
    /// Counts one packet.
    pub fn see(&mut self, topology: &Topology, packet: &Sighting) {
        let phase = topology.interfaces[packet.interface].phase;
        let key = Key {
            interface: packet.interface,
            window: (packet.at - phase).div_euclid(WINDOW) * WINDOW + phase,
            protocol: packet.protocol,
            src: packet.src,
            dst: packet.dst,
            sport: packet.sport,
            dport: packet.dport,
            egress: packet.egress,
            accepted: packet.denial.is_none(),
        };
        let start = packet.at.div_euclid(SECOND);
        let end = (packet.at + SECOND - 1).div_euclid(SECOND);
        let flow = self.flows.entry(key).or_insert_with(|| Flow {
            key,
            pkt_src: packet.pkt_src,
            pkt_dst: packet.pkt_dst,
            packets: 0,
            bytes: 0,
            flags: 0,
            start,
            end,
            reply: packet.reply,
            denial: packet.denial,
        });
        assert_eq!((flow.reply, flow.denial), (packet.reply, packet.denial), "one record has one truth");
        flow.packets += 1;
        flow.bytes += u64::from(packet.bytes);
        flow.flags |= logged_flags(packet.tcp_flags);
        flow.start = flow.start.min(start);
        flow.end = flow.end.max(end);
    }

    /// Every line of the log between `BEGIN` and `END`; in the windows of `skipped` (interface, a moment in the
    /// window) the flows are lost and `SKIPDATA` stands for them.
    pub fn rows(self, topology: &Topology, skipped: &[(usize, Millis)]) -> Vec<Row> {
        let mut windows: BTreeMap<(usize, Millis), Vec<Flow>> = BTreeMap::new();
        for flow in self.flows.into_values() {
            windows.entry((flow.key.interface, flow.key.window)).or_default().push(flow);
        }
        let mut rows = Vec::new();
        for (interface, phase) in topology.interfaces.iter().map(|one| one.phase).enumerate() {
            let mut window = BEGIN + phase - WINDOW;
            while window < END {
                let skip = skipped
                    .iter()
                    .any(|&(on, at)| on == interface && (window..window + WINDOW).contains(&at));
                let flows = windows.remove(&(interface, window)).unwrap_or_default();
                if skip || flows.is_empty() {
                    let start = window / SECOND;
                    rows.push(Row::Empty { interface, start, end: start + 59, skipped: skip });
                } else {
                    rows.extend(flows.into_iter().map(Row::Flow));
                }
                window += WINDOW;
            }
        }
        rows.retain(|row| row.start() >= BEGIN / SECOND && row.end() < END / SECOND);
        rows
    }
}

/// Flow logs know FIN, SYN, RST and SYN-ACK only; ACK counts only beside SYN.
fn logged_flags(header: u8) -> u8 {
    let known = header & 0b111;
    if header & 0b1_0010 == 0b1_0010 { known | 0b1_0000 } else { known }
}
