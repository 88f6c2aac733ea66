//! Hashes of conversations: where their rows meet, in memory and outside.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use foldhash::fast::FixedState;

use crate::net::{FiveTuple, Protocol};

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

/// The partition of rows outside memory, by bits of the hash that neither the table nor its filter goes by.
#[inline]
pub(super) fn partition_of(hash: u64) -> usize {
    usize::from(hash.to_le_bytes()[5])
}

/// The same of both ends of an IPv4 conversation, address in the upper and port in the lower bits.
#[inline]
pub(super) fn hash_ends_v4(a: u64, b: u64, protocol: Protocol) -> u64 {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut hasher = FixedState::with_seed(4).build_hasher();
    hasher.write_u64(low);
    hasher.write_u64(high ^ u64::from(protocol.0) << 56);
    hasher.finish()
}
