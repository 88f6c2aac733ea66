//! Hashes of conversations, where their rows meet in memory and outside, and of records, which tell copies.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use foldhash::fast::FixedState;

use crate::net::{FiveTuple, Protocol};
use crate::record::PlainRecord;

/// A hash that both directions of a conversation share.
pub(super) fn conversation_hash(tuple: &FiveTuple) -> u64 {
    let end = |address: IpAddr, port: u16| match address {
        IpAddr::V4(address) => u64::from(address.to_bits()) << 16 | u64::from(port),
        IpAddr::V6(address) => {
            let mut hasher = FixedState::with_seed(6).build_hasher();
            hasher.write_u128(address.to_bits());
            hasher.write_u16(port);
            hasher.finish()
        }
    };
    hash_ends_v4(end(tuple.srcaddr, tuple.srcport), end(tuple.dstaddr, tuple.dstport), tuple.protocol)
}

/// A number that both directions of a conversation share, as far as addresses and ports go: few conversations have the
/// same.
pub(super) fn conversation_tag(tuple: &FiveTuple) -> u32 {
    if let (IpAddr::V4(srcaddr), IpAddr::V4(dstaddr)) = (tuple.srcaddr, tuple.dstaddr) {
        return conversation_tag_v4((srcaddr.to_bits(), tuple.srcport), (dstaddr.to_bits(), tuple.dstport));
    }
    #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
    let tag = conversation_hash(tuple) as u32;
    tag
}

/// The same of two IPv4 ends: a sum of one number for each, so that with one end and the other one's port it tells the
/// other address.
#[inline]
pub(super) fn conversation_tag_v4(a: (u32, u16), b: (u32, u16)) -> u32 {
    end_tag(a).wrapping_add(end_tag(b))
}

/// The address at the other end of a conversation with this tag.
#[inline]
pub(super) fn other_address(tag: u32, end: (u32, u16), other_port: u16) -> u32 {
    // What a port adds to an address, it takes away again.
    end_tag((tag.wrapping_sub(end_tag(end)), other_port))
}

#[inline]
fn end_tag((address, port): (u32, u16)) -> u32 {
    address ^ u32::from(port).wrapping_mul(FACTOR)
}

/// Spreads what it is multiplied with over 32 bits: their golden section.
pub(super) const FACTOR: u32 = 0x9e37_79b1;

/// What replies come from, in 16 bits: the interface, by the hash of its name, and the source port of a protocol.
#[inline]
pub(super) fn origin(name: u64, srcport: u16, protocol: Protocol) -> u16 {
    let service = (u32::from(srcport) << 8 | u32::from(protocol.0)).wrapping_mul(FACTOR);
    (name >> 48) as u16 ^ (service >> 16) as u16
}

/// The hash of an interface's or another thing's name.
#[inline]
pub(super) fn name_hash(name: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(5).build_hasher();
    hasher.write(name);
    hasher.finish()
}

/// The partition of rows outside memory, by bits of the hash that neither the table nor its filter goes by.
#[inline]
pub(super) fn partition_of(hash: u64) -> usize {
    usize::from(hash.to_le_bytes()[5])
}

/// The hash of a conversation by both of its ends, as one number each: of IPv4 the address in the upper and the port in
/// the lower bits.
#[inline]
pub(super) fn hash_ends_v4(a: u64, b: u64, protocol: Protocol) -> u64 {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut hasher = FixedState::with_seed(4).build_hasher();
    hasher.write_u64(low);
    hasher.write_u64(high ^ u64::from(protocol.0) << 56);
    hasher.finish()
}

/// What a record's identity is made of; one hash for all formats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    /// Hash of the interface's name.
    pub(super) name: u64,
    /// Source and destination: two IPv4 addresses as they are, otherwise a hash of them.
    pub(super) addresses: u64,
    /// The same of the packet.
    pub(super) packet_addresses: u64,
    pub(super) srcport: u16,
    pub(super) dstport: u16,
    pub(super) protocol: u8,
    pub(super) rejected: bool,
    /// Unix seconds.
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// What is mixed into each part before it is multiplied. A factor of zero would make the other one not count, so the
/// first four are values that the parts never have: no source or destination is in 0.0.0.0/8 (RFC 6890), between protocol
/// and ports there are zeros, no record starts in 2106 yet, and no packets have fewer bytes than they are.
const SALT: [u64; 6] = [
    0x0013_198a_00a3_08d3,
    0x243f_6a88_85a3_08d3,
    0xfff0_4dd7_fff1_c9a7,
    0x0038_2229_ffff_ffa4,
    0x9f31_d008_2efa_98ec,
    0x4e6c_8945_2821_e639,
];

impl Identity {
    /// Of an accepted ordinary record; `name` is the hash of its interface's.
    #[expect(clippy::inline_always, reason = "as for hash")]
    #[inline(always)]
    pub(super) fn of_plain(record: &PlainRecord<'_>, name: u64) -> Self {
        let ((srcaddr, dstaddr), (source, destination)) = (record.addresses(), record.packet_addresses());
        Self {
            name,
            addresses: addresses_v4(srcaddr, dstaddr),
            packet_addresses: addresses_v4(source, destination),
            srcport: record.srcport(),
            dstport: record.dstport(),
            protocol: record.protocol().0,
            rejected: false,
            start: record.start().into(),
            end: record.end().into(),
            packets: record.packets().into(),
            bytes: record.bytes().into(),
        }
    }

    /// A 64-bit hash of all of it: products of 64 by 64 bits, upper and lower half together, as in wyhash.
    #[expect(clippy::inline_always, reason = "as a call, everything is copied to memory")]
    #[inline(always)]
    pub(super) fn hash(&self) -> u64 {
        // Ordinary records have pairs of these side by side, the first one lower.
        let ports = u64::from(self.srcport)
            | u64::from(self.dstport) << 32
            | u64::from(self.protocol) << 16
            | u64::from(self.rejected) << 24;
        let times = (self.start ^ self.end << 32).cast_unsigned();
        let is_usual = (self.packets | self.bytes) >> 32 == 0;
        let sizes = if is_usual {
            self.packets | self.bytes << 32
        } else {
            folded(self.packets ^ SALT[4], self.bytes ^ SALT[5])
        };
        let who = folded(self.addresses ^ SALT[0], ports ^ SALT[1]);
        let what = folded(times ^ SALT[2], sizes ^ SALT[3]);
        let hash = folded(who ^ self.name, what ^ SALT[4]);
        if self.packet_addresses == self.addresses {
            hash
        } else {
            folded(hash ^ SALT[5], self.packet_addresses ^ SALT[0])
        }
    }
}

/// Two addresses as one number.
#[inline]
fn addresses_v4(source: u32, destination: u32) -> u64 {
    u64::from(source) | u64::from(destination) << 32
}

/// The same of any family.
pub(super) fn addresses(source: IpAddr, destination: IpAddr) -> u64 {
    if let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, destination) {
        return addresses_v4(source.to_bits(), destination.to_bits());
    }
    let mut hasher = FixedState::with_seed(10).build_hasher();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => hasher.write_u128(u128::from(address.to_bits())),
            IpAddr::V6(address) => hasher.write_u128(address.to_bits()),
        }
    }
    hasher.finish()
}

#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    let low = product as u64;
    low ^ (product >> 64) as u64
}
