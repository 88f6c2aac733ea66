//! Owns the two ends of a conversation: TCP with its retries, UDP queries, ICMP echo. Refuses to know the network;
//! it only sees which of its packets arrive.

use crate::rng::Rng;
use crate::world::{ACK, FIN, PSH, Packet, Peer, RST, SYN, World};
use crate::{Millis, SECOND};

/// When an unanswered SYN or SYN-ACK is sent again, after the first.
const HANDSHAKE_RETRIES: [Millis; 5] = [1_000, 3_000, 7_000, 15_000, 31_000];
/// When unacknowledged data is sent again, after the first.
const DATA_RETRIES: [Millis; 8] = [210, 640, 1_500, 3_200, 6_700, 13_600, 27_400, 55_000];
const SEGMENT: u32 = 1448;
const HEADERS: u32 = 52;

/// How a TCP connection ends when nothing went wrong.
#[derive(Clone, Copy)]
pub enum Ending {
    Fin,
    /// The client resets; the server, unaware, sends a last packet with these flags after the delay.
    ResetThenLate(u8, Millis),
}

/// One TCP connection: `exchanges` requests of `up` bytes answered by `down` bytes, about `gap` apart.
#[derive(Clone, Copy)]
pub struct Tcp {
    pub client: Peer,
    pub server: Peer,
    pub rtt: Millis,
    pub exchanges: u32,
    pub up: u32,
    pub down: u32,
    pub gap: Millis,
    pub connect_timeout: Millis,
    pub read_timeout: Millis,
    pub ending: Ending,
}

/// What became of a connection, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Closed(Millis),
    TimedOut(Millis),
}

impl Tcp {
    fn up(&self, tcp_flags: u8, payload: u32) -> Packet {
        let (src, dst) = (self.client, self.server);
        Packet { protocol: 6, src, dst, tcp_flags, bytes: HEADERS + payload, reply: false }
    }

    fn down(&self, tcp_flags: u8, payload: u32) -> Packet {
        let (src, dst) = (self.server, self.client);
        Packet { protocol: 6, src, dst, tcp_flags, bytes: HEADERS + payload, reply: true }
    }

    /// Runs the whole connection.
    pub fn run(&self, world: &mut World, rng: &mut Rng, start: Millis) -> Outcome {
        let Some(mut now) = self.connect(world, start) else {
            return Outcome::TimedOut(start + self.connect_timeout);
        };
        for _ in 0..self.exchanges {
            now += rng.range(self.gap / 2, self.gap * 3 / 2);
            match self.exchange(world, now) {
                Some(answered) => now = answered,
                None => return Outcome::TimedOut(self.stall(world, now)),
            }
        }
        Outcome::Closed(self.close(world, now + 5))
    }

    /// The handshake; when it is done, unless it timed out.
    fn connect(&self, world: &mut World, start: Millis) -> Option<Millis> {
        let again = |first: Millis| HANDSHAKE_RETRIES.map(|after| first + after);
        // Moments at which someone sends: `true` is a SYN, `false` a SYN-ACK.
        let mut agenda: Vec<(Millis, bool)> = vec![(start, true)];
        agenda.extend(
            again(start).into_iter().filter(|&at| at < start + self.connect_timeout).map(|at| (at, true)),
        );
        let mut listening = false;
        while let Some(next) = agenda.iter().copied().min() {
            agenda.retain(|&other| other != next);
            let (at, syn) = next;
            if syn {
                if world.send(at, self.up(SYN, 8)) {
                    let heard = at + self.rtt / 2;
                    agenda.push((heard, false));
                    if !std::mem::replace(&mut listening, true) {
                        agenda.extend(again(heard).map(|later| (later, false)));
                    }
                }
            } else if world.send(at, self.down(SYN | ACK, 8)) && at < start + self.connect_timeout {
                let done = at + (self.rtt + 1) / 2;
                world.send(done, self.up(ACK, 0));
                return Some(done + 1);
            }
        }
        None
    }

    /// One request and its answer; when the answer was there, unless something of it was lost.
    fn exchange(&self, world: &mut World, now: Millis) -> Option<Millis> {
        for sent in segments(self.up) {
            if !world.send(now, self.up(ACK | PSH, sent)) {
                return None;
            }
        }
        let answer = now + self.rtt;
        let mut whole = true;
        for (nth, sent) in segments(self.down).into_iter().enumerate() {
            whole &= world.send(answer, self.down(ACK | PSH, sent));
            if whole && nth % 2 == 0 {
                world.send(answer + 1, self.up(ACK, 0));
            }
        }
        whole.then_some(answer + 1)
    }

    /// Both sides send again until the client's patience ends and it resets.
    fn stall(&self, world: &mut World, since: Millis) -> Millis {
        let gives_up = since + self.read_timeout;
        let mut agenda: Vec<(Millis, bool)> = Vec::new();
        for after in DATA_RETRIES {
            agenda.push((since + after, true));
            agenda.push((since + self.rtt + after + 20, false));
        }
        agenda.sort_unstable();
        for (at, client) in agenda.into_iter().filter(|&(at, _)| at < gives_up) {
            if client {
                world.send(at, self.up(ACK | PSH, self.up.min(SEGMENT)));
            } else {
                world.send(at, self.down(ACK | PSH, self.down.min(SEGMENT)));
            }
        }
        world.send(gives_up, self.up(RST | ACK, 0));
        gives_up
    }

    fn close(&self, world: &mut World, now: Millis) -> Millis {
        match self.ending {
            Ending::Fin => {
                world.send(now, self.up(FIN | ACK, 0));
                let answer = now + self.rtt;
                let retries = DATA_RETRIES.map(|after| answer + after);
                for at in std::iter::once(answer).chain(retries.into_iter().take(6)) {
                    if world.send(at, self.down(FIN | ACK, 0)) {
                        world.send(at + 1, self.up(ACK, 0));
                        break;
                    }
                }
                answer + 1
            }
            Ending::ResetThenLate(flags, delay) => {
                world.send(now, self.up(RST | ACK, 0));
                world.send(now + delay, self.down(flags, 0));
                now
            }
        }
    }
}

fn segments(bytes: u32) -> Vec<u32> {
    let mut left = bytes;
    let mut all = Vec::new();
    while left > 0 {
        let next = left.min(SEGMENT);
        all.push(next);
        left -= next;
    }
    all
}

/// One UDP question, asked a second time after 5 s without an answer. The answer comes after `delay`.
pub fn query(
    world: &mut World,
    at: Millis,
    (client, server): (Peer, Peer),
    sizes: (u32, u32),
    delay: Millis,
) {
    let ask = Packet { protocol: 17, src: client, dst: server, tcp_flags: 0, bytes: sizes.0, reply: false };
    let tell = Packet { protocol: 17, src: server, dst: client, tcp_flags: 0, bytes: sizes.1, reply: true };
    let patience = 5 * SECOND;
    let asked = world.send(at, ask);
    if asked && delay <= patience && world.send(at + delay, tell) {
        return;
    }
    let asked_again = world.send(at + patience, ask);
    if delay > patience {
        world.send(at + delay, tell);
    } else if asked_again {
        world.send(at + patience + delay, tell);
    }
}

/// One ICMP echo and its reply. Flow logs show port 0 on both sides.
pub fn ping(world: &mut World, at: Millis, client: Peer, target: Peer, rtt: Millis) {
    let echo = Packet { protocol: 1, src: client, dst: target, tcp_flags: 0, bytes: 84, reply: false };
    if world.send(at, echo) {
        world.send(at + rtt, Packet { src: target, dst: client, reply: true, ..echo });
    }
}
