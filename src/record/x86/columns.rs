//! Ordinary records, sixteen at a time, column by column.
//!
//! The unsafe code: loads through pointers made from references to values of checked size.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_load_si128, _mm256_loadu2_m128i, _mm512_castsi128_si512,
    _mm512_inserti32x4, _mm512_load_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use std::mem::offset_of;

use crate::record::Token;
use crate::record::plain::{MOST_LINES, PlainLine, PlainRecords, sixteen, sixteen_before};

/// One field of each of sixteen records, a number of 32 bits.
pub(crate) type Column = __m512i;

/// Records of a group.
pub(crate) const RECORDS: usize = 16;

/// The columns of sixteen records in a row.
pub(crate) struct Columns {
    pub(crate) srcport: Column,
    pub(crate) dstport: Column,
    pub(crate) protocol: Column,
    /// Any number where the format has no `tcp-flags`.
    pub(crate) tcp_flags: Column,
    pub(crate) start: Column,
    pub(crate) end: Column,
    pub(crate) srcaddr: Column,
    pub(crate) dstaddr: Column,
    pub(crate) pkt_srcaddr: Column,
    pub(crate) pkt_dstaddr: Column,
    /// [`REJECTED`](crate::record::REJECTED) and [`INGRESS`](crate::record::INGRESS) among other bits.
    pub(crate) marks: Column,
}

/// Where a record's fields stand among the 64 bytes of its line, in bytes.
pub(crate) const NUMBERS_AT: usize = offset_of!(PlainLine, numbers);
/// Source and destination, then those of the packet.
pub(crate) const ADDRESSES_AT: usize = offset_of!(PlainLine, addresses);

const _: () = assert!(size_of::<PlainLine>() == 64 && MOST_LINES.is_multiple_of(RECORDS));

impl PlainRecords<'_> {
    /// The columns of a group of sixteen, which may end in lines that are no records.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn columns(&self, group: usize) -> Columns {
        let (groups, _) = self.lines.as_chunks::<RECORDS>();
        let lines = &groups[group];
        let [srcport, dstport, protocol, tcp_flags] = four_columns(lines, NUMBERS_AT);
        let [_, _, start, end] = four_columns(lines, NUMBERS_AT + 16);
        let [srcaddr, dstaddr, pkt_srcaddr, pkt_dstaddr] = four_columns(lines, ADDRESSES_AT);
        let [_, _, _, marks] = four_columns(lines, offset_of!(PlainLine, marks) - 12);
        Columns {
            srcport,
            dstport,
            protocol,
            tcp_flags,
            start,
            end,
            srcaddr,
            dstaddr,
            pkt_srcaddr,
            pkt_dstaddr,
            marks,
        }
    }

    /// The 64 bytes of one line: numbers and addresses as [`NUMBERS_AT`] and [`ADDRESSES_AT`] say.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn line(&self, place: usize) -> __m512i {
        let line: *const PlainLine = &raw const self.lines[place % MOST_LINES];
        // SAFETY: a line is 64 bytes at a multiple of 64, all of them set.
        unsafe { _mm512_load_si512(line.cast()) }
    }
}

/// Four columns whose fields stand beside each other, `at` bytes into a line.
#[inline]
#[target_feature(enable = "avx512f")]
fn four_columns(lines: &[PlainLine; RECORDS], at: usize) -> [Column; 4] {
    assert!(at.is_multiple_of(16) && at < 64);
    let four = |line: usize| {
        let line = (&raw const lines[line]).cast::<__m128i>();
        // SAFETY: sixteen bytes of a line, which is 64.
        unsafe { _mm_load_si128(line.byte_add(at)) }
    };
    // Every fourth line: what stands together afterwards is of one line each.
    let every_fourth = |first: usize| {
        let lines = _mm512_castsi128_si512(four(first));
        let lines = _mm512_inserti32x4::<1>(lines, four(first + 4));
        let lines = _mm512_inserti32x4::<2>(lines, four(first + 8));
        _mm512_inserti32x4::<3>(lines, four(first + 12))
    };
    let (a, b, c, d) = (every_fourth(0), every_fourth(1), every_fourth(2), every_fourth(3));
    let (ab_low, cd_low) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
    let (ab_high, cd_high) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab_low, cd_low),
        _mm512_unpackhi_epi64(ab_low, cd_low),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}

impl Token<'_> {
    /// [`Token::both_ends`] in one register.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn ends_at_once(self) -> __m256i {
        let (first, last) = (sixteen(self.view, self.at), sixteen_before(self.view, self.end()));
        // SAFETY: sixteen bytes each.
        unsafe { _mm256_loadu2_m128i(last.as_ptr().cast(), first.as_ptr().cast()) }
    }
}
