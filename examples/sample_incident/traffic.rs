//! Owns the story: who calls whom, how often, and what they do when it stops working. Refuses to know rules and logs.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::conversation::{Ending, Outcome, Tcp, ping, query};
use crate::rng::Rng;
use crate::topology::{Kind, Topology};
use crate::world::{ACK, FIN, Packet, Peer, RST, SYN, World};
use crate::{BEGIN, CHANGE, END, MINUTE, Millis, SECOND};

/// Traffic begins before the log does, so that the log opens in the middle of it.
const WARM_UP: Millis = BEGIN - 10 * MINUTE;
/// The port of the connection that the story is told with.
const TOLD_PORT: u16 = 64_214;

/// `DynamoDB` and S3 in eu-west-1, and addresses set aside for documentation.
const HTTPS_HOSTS: [[u8; 4]; 4] = [[52, 94, 5, 1], [52, 94, 5, 1], [52, 218, 96, 20], [203, 0, 113, 40]];
const ORDERS_DB: [u8; 4] = [10, 8, 10, 11];
const REDIS: [u8; 4] = [10, 8, 10, 27];

/// Plays every actor's part.
pub fn play(topology: &Topology) -> World<'_> {
    let mut story = Story { world: World::new(topology), ports: HashMap::new() };
    story.told();
    story.https();
    story.databases();
    story.pools();
    story.load_balancer();
    story.same_subnet();
    story.scrapes();
    story.datagrams();
    story.ipv6();
    story.late_packets();
    story.bastion();
    story.scans();
    story.world
}

struct Story<'t> {
    world: World<'t>,
    /// What each interface draws its ports from, and those that it has used.
    ports: HashMap<usize, (Rng, HashSet<u16>)>,
}

fn v4(address: [u8; 4], port: u16) -> Peer {
    Peer { addr: IpAddr::from(address), port }
}

/// Moments from `from` to the end of the log, about `mean` apart.
fn moments(rng: &mut Rng, from: Millis, mean: Millis) -> Vec<Millis> {
    let mut all = Vec::new();
    let mut at = from + rng.range(0, mean);
    while at < END {
        all.push(at);
        at += rng.range(mean / 4, mean * 7 / 4);
    }
    all
}

/// A short HTTPS-like connection.
fn call(rng: &mut Rng, client: Peer, server: Peer, rtt: Millis) -> Tcp {
    let exchanges = u32::try_from(rng.range(2, 3)).expect("small");
    let size = |rng: &mut Rng, low, high| u32::try_from(rng.range(low, high)).expect("small");
    Tcp {
        client,
        server,
        rtt,
        exchanges,
        up: size(rng, 280, 900),
        down: size(rng, 600, 9_000),
        gap: 40,
        connect_timeout: 10 * SECOND,
        read_timeout: 20 * SECOND,
        ending: Ending::Fin,
    }
}

impl Story<'_> {
    /// A client end on the interface called `name`, with a port that it has not used before.
    fn client(&mut self, name: &str) -> Peer {
        let interface = self.world.topology.named(name);
        let owner = &self.world.topology.interfaces[interface];
        // Lambda and load balancers use 1024–65535, Linux 32768–60999.
        let (low, high) = match owner.kind {
            Kind::Lambda(_) | Kind::LoadBalancer => (1024, 65_535),
            _ => (32_768, 60_999),
        };
        let (rng, used) = self
            .ports
            .entry(interface)
            .or_insert_with(|| (Rng::named(&format!("ports {name}")), HashSet::from([TOLD_PORT])));
        let mut port = TOLD_PORT;
        while !used.insert(port) {
            port = u16::try_from(rng.range(low, high)).expect("below 65536");
        }
        Peer { addr: owner.ipv4.into(), port }
    }

    fn server(&self, name: &str, port: u16) -> Peer {
        let topology = self.world.topology;
        Peer { addr: topology.interfaces[topology.named(name)].ipv4.into(), port }
    }

    /// The connection in every retelling: the first Lambda call after the change.
    fn told(&mut self) {
        let mut rng = Rng::named("told");
        let client = Peer { port: TOLD_PORT, ..self.client("checkout-a") };
        let tcp = call(&mut rng, client, v4(HTTPS_HOSTS[0], 443), 9);
        let outcome = tcp.run(&mut self.world, &mut rng, CHANGE + 2_140);
        assert!(matches!(outcome, Outcome::TimedOut(_)), "the incident happens");
    }

    fn https(&mut self) {
        let callers = [
            ("checkout-a", 26),
            ("checkout-b", 28),
            ("orders-b", 34),
            ("reports-c", 60),
            ("web-1", 45),
            ("web-2", 48),
            ("worker-3", 55),
            ("batch-1", 30),
            ("nightly", 36),
        ];
        for (name, mean) in callers {
            let mut rng = Rng::named(&format!("https {name}"));
            for at in moments(&mut rng, WARM_UP, mean * SECOND) {
                let server = v4(*rng.pick(&HTTPS_HOSTS), 443);
                let rtt = if server.addr == IpAddr::from(HTTPS_HOSTS[3]) { 34 } else { 7 };
                let client = self.client(name);
                call(&mut rng, client, server, rtt).run(&mut self.world, &mut rng, at);
            }
        }
    }

    /// Short connections to the databases. Those of app-private-c never get an answer: the data NACL denies it.
    fn databases(&mut self) {
        let callers = [
            ("checkout-a", ORDERS_DB, 5432, 48),
            ("orders-b", ORDERS_DB, 5432, 42),
            ("orders-b", REDIS, 6379, 75),
            ("checkout-b", REDIS, 6379, 70),
            ("reports-c", ORDERS_DB, 5432, 75),
            ("nightly", ORDERS_DB, 5432, 60),
        ];
        for (name, server, port, mean) in callers {
            let mut rng = Rng::named(&format!("database {name} {port}"));
            for at in moments(&mut rng, WARM_UP, mean * SECOND) {
                let client = self.client(name);
                call(&mut rng, client, v4(server, port), 2).run(&mut self.world, &mut rng, at);
            }
        }
    }

    /// Long-lived connections, opened again some seconds after they break.
    fn pools(&mut self) {
        let pools = [
            ("web-1", ORDERS_DB, 5432, 2),
            ("web-2", ORDERS_DB, 5432, 2),
            ("web-1", REDIS, 6379, 1),
            ("batch-1", ORDERS_DB, 5432, 2),
        ];
        for (name, server, port, size) in pools {
            for nth in 0..size {
                let mut rng = Rng::named(&format!("pool {name} {port} {nth}"));
                let mut at = WARM_UP + rng.range(0, 30 * SECOND);
                while at < END {
                    let client = self.client(name);
                    let short = call(&mut rng, client, v4(server, port), 2);
                    let tcp = Tcp { exchanges: 2_000, down: 420, gap: 6 * SECOND, ..short };
                    let (Outcome::Closed(over) | Outcome::TimedOut(over)) =
                        tcp.run(&mut self.world, &mut rng, at);
                    at = over + rng.range(30 * SECOND, 80 * SECOND);
                }
            }
        }
    }

    /// Health checks of both nodes to both targets, each minute, and a client's calls through the nodes.
    fn load_balancer(&mut self) {
        for (offset, (node, target)) in
            (0..).zip([("alb-a", "web-1"), ("alb-a", "web-2"), ("alb-b", "web-1"), ("alb-b", "web-2")])
        {
            let mut rng = Rng::named(&format!("health {node} {target}"));
            for minute in 0..130 {
                let at = WARM_UP + minute * MINUTE + offset * 7_300 + 11_450;
                let (client, server) = (self.client(node), self.server(target, 80));
                let check = Tcp {
                    exchanges: 1,
                    up: 130,
                    down: 240,
                    connect_timeout: 5 * SECOND,
                    ..call(&mut rng, client, server, 1)
                };
                check.run(&mut self.world, &mut rng, at);
            }
        }
        for node in ["alb-a", "alb-b"] {
            let mut rng = Rng::named(&format!("through {node}"));
            for at in moments(&mut rng, WARM_UP, 100 * SECOND) {
                let (client, server) = (self.client("batch-1"), self.server(node, 443));
                call(&mut rng, client, server, 2).run(&mut self.world, &mut rng, at);
            }
        }
    }

    /// Neighbours in one subnet: no NACL between them, before and after. A few late packets, and a port that the
    /// security group does not open.
    fn same_subnet(&mut self) {
        let mut rng = Rng::named("same subnet");
        for (nth, at) in moments(&mut rng, WARM_UP, 40 * SECOND).into_iter().enumerate() {
            let (client, server) = (self.client("web-1"), self.server("search-1", 9200));
            let mut tcp = call(&mut rng, client, server, 1);
            if nth % 19 == 5 {
                tcp.ending = Ending::ResetThenLate(FIN | ACK, rng.range(3 * SECOND, 20 * SECOND));
            }
            tcp.run(&mut self.world, &mut rng, at);
        }
        for at in moments(&mut rng, BEGIN + 40 * MINUTE, 9 * MINUTE) {
            let (client, server) = (self.client("web-1"), self.server("search-1", 9300));
            let blocked = Tcp { connect_timeout: 5 * SECOND, ..call(&mut rng, client, server, 1) };
            blocked.run(&mut self.world, &mut rng, at);
        }
    }

    /// Requests *into* the app subnets on a port that only the removed entry had allowed: rejected, but no replies.
    fn scrapes(&mut self) {
        for (offset, target) in (0..).zip(["web-1", "web-2", "worker-3"]) {
            let mut rng = Rng::named(&format!("scrape {target}"));
            for minute in 0..130 {
                let at = WARM_UP + minute * MINUTE + 21_000 + offset * 4_000;
                let (client, server) = (self.client("prometheus"), self.server(target, 9100));
                let scrape = Tcp {
                    exchanges: 1,
                    down: 12_000,
                    connect_timeout: 5 * SECOND,
                    ..call(&mut rng, client, server, 1)
                };
                scrape.run(&mut self.world, &mut rng, at);
            }
        }
    }

    /// DNS to an outside resolver, NTP from port 123 to port 123, and ICMP echo.
    fn datagrams(&mut self) {
        for (name, mean) in [("web-2", 50), ("worker-3", 80), ("batch-1", 60)] {
            let mut rng = Rng::named(&format!("dns {name}"));
            for at in moments(&mut rng, WARM_UP, mean * SECOND) {
                let ends = (self.client(name), v4([9, 9, 9, 9], 53));
                let sizes = (u32::try_from(rng.range(58, 80)).expect("small"), 140);
                query(&mut self.world, at, ends, sizes, rng.range(4, 30));
            }
        }
        let mut rng = Rng::named("late dns");
        for at in moments(&mut rng, BEGIN, 16 * MINUTE) {
            let ends = (self.client("batch-1"), v4([9, 9, 9, 9], 53));
            query(&mut self.world, at, ends, (66, 140), rng.range(38 * SECOND, 55 * SECOND));
        }
        let clock = (self.server("worker-3", 123), v4([162, 159, 200, 1], 123));
        for at in (0..).map(|nth| WARM_UP + nth * 64 * SECOND).take_while(|&at| at < END) {
            query(&mut self.world, at, clock, (76, 76), 12);
        }
        for (name, target, every) in [("web-1", [192, 0, 2, 10], 15), ("batch-1", [192, 0, 2, 10], 20)] {
            let client = self.server(name, 0);
            for at in (0..).map(|nth| WARM_UP + 1_300 + nth * every * SECOND).take_while(|&at| at < END) {
                ping(&mut self.world, at, client, v4(target, 0), 28);
            }
        }
    }

    /// HTTPS over IPv6, which needs no NAT gateway.
    fn ipv6(&mut self) {
        let host = "2001:db8:cafe::443".parse().expect("a literal address");
        for (name, mean) in [("web-1", 70), ("web-2", 80), ("batch-1", 90)] {
            let mut rng = Rng::named(&format!("ipv6 {name}"));
            for at in moments(&mut rng, WARM_UP, mean * SECOND) {
                let topology = self.world.topology;
                let own = topology.interfaces[topology.named(name)].ipv6.expect("a dual-stack interface");
                let client = Peer { addr: own.into(), ..self.client(name) };
                let server = Peer { addr: host, port: 443 };
                call(&mut rng, client, server, 11).run(&mut self.world, &mut rng, at);
            }
        }
    }

    /// On healthy interfaces: the client resets, and a last packet comes when the connection is forgotten.
    fn late_packets(&mut self) {
        for (name, mean) in [("batch-1", 4), ("nightly", 5)] {
            let mut rng = Rng::named(&format!("late {name}"));
            for at in moments(&mut rng, BEGIN, mean * MINUTE) {
                let flags = *rng.pick(&[FIN | ACK, RST | ACK, ACK]);
                let ending = Ending::ResetThenLate(flags, rng.range(2 * SECOND, 45 * SECOND));
                let client = self.client(name);
                let tcp = Tcp { ending, ..call(&mut rng, client, v4(HTTPS_HOSTS[3], 443), 34) };
                tcp.run(&mut self.world, &mut rng, at);
            }
        }
    }

    /// An administrator's session, the bastion's own calls, and packets that equal a reply to one of them three
    /// quarters of an hour late: no reply at all.
    fn bastion(&mut self) {
        let mut rng = Rng::named("bastion");
        let server = self.server("bastion", 22);
        let session = call(&mut rng, v4([192, 0, 2, 66], 51_877), server, 41);
        let session = Tcp { exchanges: 90, down: 300, up: 60, gap: 17 * SECOND, ..session };
        session.run(&mut self.world, &mut rng, BEGIN + 17 * MINUTE);
        for (nth, at) in moments(&mut rng, BEGIN, 7 * MINUTE).into_iter().enumerate() {
            let client = self.client("bastion");
            let tcp = call(&mut rng, client, v4(HTTPS_HOSTS[3], 443), 34);
            tcp.run(&mut self.world, &mut rng, at);
            if nth % 4 == 1 {
                let stray = Packet {
                    protocol: 6,
                    src: tcp.server,
                    dst: tcp.client,
                    tcp_flags: RST | ACK,
                    bytes: 40,
                    reply: true,
                };
                self.world.send(at + 45 * MINUTE, stray);
            }
        }
    }

    /// The internet knocking. 198.51.100.0/24 is denied by a numbered entry, others meet the security group or, on
    /// the NAT gateway, nothing but the gateway itself. Some come from port 443 to look like answers.
    fn scans(&mut self) {
        let mut rng = Rng::named("scans");
        let targets = [self.server("bastion", 0), self.server("nat", 0)];
        for at in moments(&mut rng, WARM_UP, 12 * SECOND) {
            let host = u8::try_from(rng.range(1, 250)).expect("one octet");
            let source =
                if rng.range(0, 2) == 0 { [198, 51, 100, host] } else { [192, 0, 2, host / 10 + 200] };
            let sport = if rng.range(0, 5) == 0 {
                443
            } else {
                u16::try_from(rng.range(1024, 65_535)).expect("port")
            };
            let port = *rng.pick(&[22, 23, 80, 445, 3389, 5432, 6379, 8080, 8443, 33_412, 49_160]);
            let syn = Packet {
                protocol: 6,
                src: v4(source, sport),
                dst: Peer { port, ..*rng.pick(&targets) },
                tcp_flags: SYN,
                bytes: 44,
                reply: false,
            };
            self.world.send(at, syn);
        }
    }
}
