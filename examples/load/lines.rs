//! Owns the record lines of one 5-minute bucket: connections on 200 interfaces, seen in 60-second windows. Refuses to
//! know files.

use std::io::Write;

use crate::rng::Rng;

/// Interfaces; the first `BROKEN` are in the subnet whose NACL loses its allow-all entry at half time.
pub const INTERFACES: usize = 200;
pub const BROKEN: usize = 20;
const WINDOW: i64 = 60;

/// Which fields the lines have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    V2,
    V5,
}

impl Format {
    /// The header line.
    pub fn header(self) -> &'static str {
        match self {
            Self::V2 => {
                "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
                 action log-status\n"
            }
            Self::V5 => {
                "version region az-id sublocation-type sublocation-id vpc-id subnet-id instance-id interface-id \
                 account-id type flow-direction traffic-path srcaddr srcport dstaddr dstport pkt-srcaddr pkt-dstaddr \
                 pkt-src-aws-service pkt-dst-aws-service protocol tcp-flags bytes packets start end log-status action\n"
            }
        }
    }
}

/// What kind of traffic it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Hours of connections, some of them broken.
    Usual,
    /// A scan: every record a rejected flow of its own.
    Flood,
    /// Accepted records within one minute.
    Minute,
}

impl Shape {
    /// By its name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "usual" => Some(Self::Usual),
            "flood" => Some(Self::Flood),
            "minute" => Some(Self::Minute),
            _ => None,
        }
    }
}

/// One bucket's part of the records.
pub struct Bucket {
    pub nth: usize,
    /// The bucket from which on the subnet is broken.
    pub half: usize,
    /// Unix seconds.
    pub begin: i64,
    /// Records to make, exactly.
    pub quota: usize,
    /// Rejected records in a million.
    pub rejects: usize,
    pub format: Format,
    pub shape: Shape,
}

/// One connection of an interface with another address.
struct Connection {
    interface: usize,
    remote: [u8; 4],
    local_port: u16,
    remote_port: u16,
    protocol: u8,
}

/// One direction of a connection in one window.
struct Half {
    egress: bool,
    accepted: bool,
    packets: i64,
    bytes: i64,
    start: i64,
    end: i64,
    flags: u8,
}

/// Identifier of an interface.
pub fn interface_id(interface: usize) -> String {
    format!("eni-0{:016x}", Rng::named(&format!("interface {interface}")).next())
}

/// Identifier of the subnet that holds an interface, twenty in each.
pub fn subnet_id(interface: usize) -> String {
    format!("subnet-0{:016x}", Rng::named(&format!("subnet {}", interface / 20)).next())
}

/// Private address of an interface.
pub fn address(interface: usize) -> [u8; 4] {
    let octet = |number: usize| u8::try_from(number).expect("200 interfaces");
    [10, 1, octet(interface / 20), octet(10 + interface % 20 * 7)]
}

/// Lines on their way into a bucket's objects.
struct Writer<'b> {
    bucket: &'b Bucket,
    /// Identifier, subnet and address of each interface, as text.
    owners: Vec<(String, String, String)>,
    texts: Vec<Vec<u8>>,
    written: usize,
    rng: Rng,
}

impl Bucket {
    /// The lines of each of `count` objects, without header.
    pub fn objects(&self, count: usize) -> Vec<Vec<u8>> {
        let mut writer = Writer {
            bucket: self,
            owners: (0..INTERFACES).map(|i| (interface_id(i), subnet_id(i), dotted(address(i)))).collect(),
            texts: vec![Vec::with_capacity(self.quota / count * 120); count],
            written: 0,
            rng: Rng::named(&format!("bucket {}", self.nth)),
        };
        match self.shape {
            Shape::Usual => {}
            Shape::Flood => {
                writer.scan();
                return writer.texts;
            }
            Shape::Minute => {
                writer.minute();
                return writer.texts;
            }
        }
        let rejects = self.quota * self.rejects / 1_000_000;
        // Most rejects are replies after half time, so that the share holds over all the hours.
        let (replies, noise) = if self.nth < self.half {
            (0, rejects / 4)
        } else {
            (rejects * 7 / 4 - rejects / 8, rejects / 8)
        };
        writer.dropped_replies(replies);
        writer.noise(noise);
        writer.long_lived();
        while writer.written < self.quota {
            writer.short_lived();
        }
        writer.texts
    }
}

impl Writer<'_> {
    /// Packets from all over the internet, each of another source and port.
    fn scan(&mut self) {
        while self.written < self.bucket.quota {
            // The buckets' numbers lie apart.
            let number = self.bucket.nth << 24 | self.written;
            let [.., a, b, c, d] = number.to_be_bytes();
            let connection = Connection {
                remote: [a + 40, b, c, d],
                local_port: *self.rng.pick(&[22, 23, 445, 3389, 8080]),
                remote_port: self.port(),
                ..self.outbound(0, INTERFACES)
            };
            let start = self.bucket.begin + self.rng.range(0, 200);
            self.line(&connection, &Half::new(false, false, 1, 44, (start, start + 1), 2));
        }
    }

    /// One direction of connections that never end.
    fn minute(&mut self) {
        while self.written < self.bucket.quota {
            let connection = self.outbound(0, INTERFACES);
            let packets = self.rng.range(2, 400);
            let times =
                (self.bucket.begin + self.rng.range(0, 9), self.bucket.begin + self.rng.range(40, 59));
            let size = self.rng.range(60, 1_400);
            self.line(&connection, &Half::new(true, true, packets, size, times, 0));
        }
    }

    /// Requests of the broken subnet and their rejected SYN-ACKs, sometimes over the edge of the bucket.
    fn dropped_replies(&mut self, count: usize) {
        for _ in 0..count {
            let connection = self.outbound(0, BROKEN);
            let start = self.bucket.begin + self.rng.range(0, 260);
            let request = Half::new(true, true, self.rng.range(2, 4), 60, (start, start + 7), 2);
            let reply = Half::new(false, false, self.rng.range(3, 6), 60, (start, start + 31), 18);
            self.line(&connection, &request);
            self.line(&connection, &reply);
        }
    }

    /// Scans that the security group drops, and packets after close.
    fn noise(&mut self, count: usize) {
        for nth in 0..count {
            let start = self.bucket.begin + self.rng.range(0, 250);
            if nth % 4 == 0 {
                let connection = self.outbound(BROKEN, INTERFACES);
                self.line(&connection, &Half::new(true, true, 9, 210, (start, start + 12), 7));
                self.line(&connection, &Half::new(false, false, 1, 52, (start + 20, start + 21), 1));
            } else {
                let ports = [22, 23, 445, 3389, 8080];
                let connection =
                    Connection { local_port: *self.rng.pick(&ports), ..self.outbound(BROKEN, INTERFACES) };
                let scan = Connection { remote_port: self.port(), remote: [198, 51, 100, 7], ..connection };
                self.line(&scan, &Half::new(false, false, 1, 44, (start, start + 1), 2));
            }
        }
    }

    /// Connections that live for all the hours; each is a function of its number. A sixth of the records.
    fn long_lived(&mut self) {
        let pairs = self.bucket.quota / 60;
        for nth in 0..pairs {
            let mut own = Rng::named(&format!("long {nth}"));
            std::mem::swap(&mut own, &mut self.rng);
            let connection = self.outbound(BROKEN, INTERFACES);
            std::mem::swap(&mut own, &mut self.rng);
            for window in 0..5 {
                if self.written + 1 < self.bucket.quota {
                    self.both(&connection, true, self.bucket.begin + window * WINDOW, 0);
                }
            }
        }
    }

    /// A connection of one to three windows within the bucket.
    fn short_lived(&mut self) {
        let inbound = self.rng.range(0, 9) < 3;
        let connection = if inbound {
            // Port 443 stays open in the broken subnet too.
            Connection { local_port: 443, remote_port: self.port(), ..self.outbound(0, INTERFACES) }
        } else {
            // After half time no reply comes back into the broken subnet.
            self.outbound(if self.bucket.nth < self.bucket.half { 0 } else { BROKEN }, INTERFACES)
        };
        let windows = self.rng.range(1, 3);
        let first = self.rng.range(0, 5 - windows);
        for window in 0..windows {
            let begin = self.bucket.begin + (first + window) * WINDOW;
            let flags = u8::from(window + 1 == windows) | if window == 0 { 2 } else { 0 };
            if self.written + 1 < self.bucket.quota {
                self.both(&connection, !inbound, begin, flags);
            } else if self.written < self.bucket.quota {
                self.line(&connection, &Half::new(!inbound, true, 3, 60, (begin, begin + 7), flags));
            }
        }
    }

    /// Request and reply records of one window.
    fn both(&mut self, connection: &Connection, opened: bool, begin: i64, flags: u8) {
        let packets = self.rng.range(2, 40);
        let (early, late) = (self.rng.range(0, 12), self.rng.range(40, 58));
        let times = (begin + early, begin + late);
        let packets = packets + self.rng.range(0, 9) * self.rng.range(0, 30);
        let size = self.rng.range(60, 400);
        self.line(connection, &Half::new(opened, true, packets, size, times, flags));
        let answer = if flags & 2 == 0 { flags } else { flags | 0b1_0010 };
        let size = self.rng.range(60, 1_400);
        self.line(connection, &Half::new(!opened, true, packets + packets / 3, size, times, answer));
    }

    fn port(&mut self) -> u16 {
        u16::try_from(self.rng.range(32_768, 60_999)).expect("a port")
    }

    /// A connection that an interface of `low..high` opens.
    fn outbound(&mut self, low: usize, high: usize) -> Connection {
        let bounds = (i64::try_from(low).expect("small"), i64::try_from(high).expect("small") - 1);
        let octet = |number: i64| u8::try_from(number).expect("an octet");
        let remote = match self.rng.range(0, 9) {
            0..=3 => [52, 94, octet(self.rng.range(1, 20)), octet(self.rng.range(1, 250))],
            4..=6 => [10, 8, octet(self.rng.range(0, 3)), octet(self.rng.range(10, 60))],
            _ => [203, 0, octet(self.rng.range(1, 250)), octet(self.rng.range(1, 250))],
        };
        let udp = remote[0] == 203 && remote[3] < 10;
        let remote_port = match (udp, remote[0]) {
            (true, _) => 53,
            (_, 10) => *self.rng.pick(&[5432, 5432, 6379]),
            _ => 443,
        };
        Connection {
            interface: usize::try_from(self.rng.range(bounds.0, bounds.1)).expect("not negative"),
            remote,
            local_port: self.port(),
            remote_port,
            protocol: if udp { 17 } else { 6 },
        }
    }

    fn line(&mut self, connection: &Connection, half: &Half) {
        let last = i64::try_from(self.texts.len()).expect("few objects") - 1;
        let object = usize::try_from(self.rng.range(0, last)).expect("not negative");
        let (id, subnet, local) = &self.owners[connection.interface];
        let remote = dotted(connection.remote);
        let (src, dst, sport, dport) = if half.egress {
            (local.as_str(), remote.as_str(), connection.local_port, connection.remote_port)
        } else {
            (remote.as_str(), local.as_str(), connection.remote_port, connection.local_port)
        };
        let Connection { protocol, .. } = connection;
        let Half { packets, bytes, start, end, .. } = half;
        let action = if half.accepted { "ACCEPT" } else { "REJECT" };
        let text = &mut self.texts[object];
        let written = match self.bucket.format {
            Format::V2 => writeln!(
                text,
                "2 111122223333 {id} {src} {dst} {sport} {dport} {protocol} {packets} {bytes} {start} {end} {action} OK"
            ),
            Format::V5 => {
                let (direction, path) = if half.egress { ("egress", "8") } else { ("ingress", "-") };
                let flags = if *protocol == 6 { half.flags } else { 0 };
                writeln!(
                    text,
                    "5 eu-west-1 euw1-az2 - - vpc-0d5a7e91c3b2f4860 {subnet} - {id} 111122223333 IPv4 {direction} \
                     {path} {src} {sport} {dst} {dport} {src} {dst} - - {protocol} {flags} {bytes} {packets} {start} \
                     {end} OK {action}"
                )
            }
        };
        written.expect("writing to memory");
        self.written += 1;
    }
}

impl Half {
    fn new(
        egress: bool,
        accepted: bool,
        packets: i64,
        size: i64,
        (start, end): (i64, i64),
        flags: u8,
    ) -> Self {
        Self { egress, accepted, packets, bytes: packets * size, start, end, flags }
    }
}

fn dotted([a, b, c, d]: [u8; 4]) -> String {
    format!("{a}.{b}.{c}.{d}")
}
