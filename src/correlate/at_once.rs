//! Rows of ordinary records that say nothing new about their interfaces: sixteen at once, for processors with AVX-512.
//!
//! Gives what [`Gatherer`](super::Gatherer) makes of one such record after the other; a property test holds the two equal.
//!
//! The unsafe code: the call into functions compiled for instructions that a processor may lack, behind the test for them,
//! and loads and stores through pointers made from references to values of checked size.

#![expect(unsafe_code, reason = "without these instructions making a row costs as much as reading its line")]

#[cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "thirty names, all beginning with _mm or __m")
)]
use std::arch::x86_64::*;
use std::mem::offset_of;

use super::accepted::{Body, EGRESS, HAS_FLAGS, Head, INGRESS, MAX_COMPACT_INTERFACE, MAX_COMPACT_SECONDS};
use super::familiar::Familiar;
use super::hash::{FACTOR, Identity};
use crate::net::{Protocol, TcpFlags};
use crate::record::columns::{ADDRESSES_AT, Column, Columns, NUMBERS_AT, RECORDS};
use crate::record::{self, PlainRecords};

/// Records at once, at most.
const MOST: usize = 64;

/// Heads that are written behind the last one.
const SLACK: usize = 8;

/// Which records count, in Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Between {
    /// The least `end`, or `start`.
    since: u32,
    by_start: bool,
    /// The latest `start`.
    last: u32,
}

impl Between {
    /// `None` where no ordinary record is.
    pub(super) fn new((since, until): (i64, i64), by_start: bool) -> Option<Self> {
        let since = u32::try_from(since.max(0)).ok()?;
        let last = u32::try_from(until.checked_sub(1)?.min(u32::MAX.into())).ok()?;
        Some(Self { since, by_start, last })
    }
}

/// When rows were, in Unix seconds; of no rows the earliest is after the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) earliest_start: u32,
    pub(super) latest_start: u32,
    pub(super) latest_end: u32,
}

/// What became of some records. Room that is used again.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct AtOnce {
    heads: [Head; MOST + SLACK],
    bodies: [Body; MOST + 1],
    identities: [u64; MOST],
    /// Of each record's interface: the hash of its name, its own address, its number.
    names: [u64; MOST],
    own: [u32; MOST],
    interfaces: [u32; MOST],
    /// Where it is expected.
    expected: [usize; MOST],
    /// Of each record, as its row has it.
    interface_seconds_meta: [u32; MOST],
}

/// Which records became rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// One bit for each record. The rows are in their order.
    pub(super) records: u64,
    /// Those of them that are SYNs alone, as far as flags and protocol say, and not of ingress.
    pub(super) syns: u64,
    pub(super) times: Times,
}

impl AtOnce {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            heads: [Head::NONE; MOST + SLACK],
            bodies: [Body::NONE; MOST + 1],
            identities: [0; MOST],
            names: [0; MOST],
            own: [0; MOST],
            interfaces: [0; MOST],
            expected: [0; MOST],
            interface_seconds_meta: [0; MOST],
        })
    }

    /// The rows made of so many records, and their identities.
    pub(super) fn rows(&self, count: usize) -> (&[Head], &[Body], &[u64]) {
        (&self.heads[..count], &self.bodies[..count], &self.identities[..count])
    }

    /// Makes rows of the accepted records that count and say nothing new about their interfaces.
    pub(super) fn take(&mut self, records: PlainRecords<'_>, familiar: &Familiar, between: Between) -> Taken {
        assert!(record::permutes(), "asked for without the instructions");
        // SAFETY: the processor has the instructions that the function is compiled for.
        unsafe { self.take_at_once(records, familiar, between) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn take_at_once(&mut self, records: PlainRecords<'_>, familiar: &Familiar, between: Between) -> Taken {
        let noted = self.look_up(&records, familiar);
        let (mut taken, mut taken_syns, mut count) = (0, 0, 0);
        let mut spans = Spans::none();
        for group in 0..records.count().div_ceil(RECORDS) {
            let (rows, syns) = self.group(
                &records,
                group,
                (of_group(noted.known, group), of_group(noted.certain, group)),
                between,
                (&mut count, &mut spans),
            );
            taken |= u64::from(rows) << (group * RECORDS);
            taken_syns |= u64::from(syns) << (group * RECORDS);
        }
        self.finish(&records, taken);
        Taken { records: taken, syns: taken_syns, times: spans.times() }
    }

    /// Notes what is known of each record's interface.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx2")]
    fn look_up(&mut self, records: &PlainRecords<'_>, familiar: &Familiar) -> Noted {
        let count = records.count().min(MOST);
        let have_places = records.have_places();
        for (nth, expected) in self.expected[..count].iter_mut().enumerate() {
            *expected = familiar.expect(records.interface_id(nth), have_places);
        }
        let mut noted = Noted { known: 0, certain: 0 };
        for nth in 0..count {
            let expected = self.expected[nth];
            if let Some((place, is_certain)) = familiar.noted(expected, (records, nth), have_places) {
                self.names[nth] = place.name_hash;
                self.own[nth] = place.own;
                self.interfaces[nth] = place.index.0;
                noted.known |= 1 << nth;
                if is_certain {
                    noted.certain |= 1 << nth;
                }
            }
        }
        noted
    }

    /// Which records of a group become rows, and which of these are SYNs; puts the heads of those behind `count` others.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt")]
    fn group(
        &mut self,
        records: &PlainRecords<'_>,
        group: usize,
        (known, certain): (u16, u16),
        between: Between,
        (count, spans): (&mut usize, &mut Spans),
    ) -> (u16, u16) {
        let columns = records.columns(group);
        let Columns { start, end, marks, protocol, tcp_flags, .. } = columns;
        let number = |number: u32| _mm512_set1_epi32(number.cast_signed());
        let from = if between.by_start { start } else { end };
        let seconds = _mm512_sub_epi32(end, start);
        let interface = load(&self.interfaces, group);
        let mut rows = known
            & _mm512_testn_epi32_mask(marks, number(record::REJECTED))
            & _mm512_cmple_epu32_mask(number(between.since), from)
            & _mm512_cmple_epu32_mask(start, number(between.last))
            & _mm512_cmple_epu32_mask(seconds, number(MAX_COMPACT_SECONDS))
            & _mm512_cmple_epu32_mask(interface, number(MAX_COMPACT_INTERFACE));
        let own = load(&self.own, group);
        let is_ingress = _mm512_test_epi32_mask(marks, number(record::INGRESS));
        let says_nothing_new = if records.have_flow_direction() {
            let own_end = _mm512_mask_mov_epi32(columns.srcaddr, is_ingress, columns.dstaddr);
            _mm512_cmpeq_epi32_mask(own, own_end)
        } else {
            _mm512_cmpeq_epi32_mask(own, columns.srcaddr) | _mm512_cmpeq_epi32_mask(own, columns.dstaddr)
        };
        rows &= certain | says_nothing_new;

        let mut meta = _mm512_or_si512(_mm512_slli_epi32::<16>(interface), _mm512_slli_epi32::<4>(seconds));
        let mut syns = 0;
        let mut flags = _mm512_setzero_si512();
        if records.have_flow_direction() {
            let direction = _mm512_mask_mov_epi32(number(EGRESS), is_ingress, number(INGRESS));
            meta = _mm512_or_si512(meta, direction);
        }
        if records.have_tcp_flags() {
            flags = _mm512_slli_epi32::<24>(tcp_flags);
            meta = _mm512_or_si512(meta, number(HAS_FLAGS));
            syns = rows
                & _mm512_cmpeq_epi32_mask(tcp_flags, number(TcpFlags::SYN_ALONE.0.into()))
                & _mm512_cmpeq_epi32_mask(protocol, number(Protocol::TCP.0.into()));
            if records.have_flow_direction() {
                syns &= !is_ingress;
            }
        }
        store(&mut self.interface_seconds_meta, group, meta);

        let names = self.origins_of_names(group);
        let protocol = _mm512_and_si512(protocol, number(0xff));
        let (low, high) = heads(&columns, names, protocol, flags);
        *count += self.keep(rows, [low, high], *count);
        spans.add(rows, start, end);
        (rows, syns)
    }

    /// Puts the heads of these rows behind `count` others; gives how many they are.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,popcnt")]
    fn keep(&mut self, rows: u16, heads: [__m512i; 2], count: usize) -> usize {
        let [low, high] = rows.to_le_bytes();
        let behind_low = count + low.count_ones() as usize;
        for (at, rows, heads) in [(count, low, heads[0]), (behind_low, high, heads[1])] {
            let kept = _mm512_maskz_compress_epi64(rows, heads);
            let room: &mut [Head; 8] = self.heads[at..].first_chunk_mut().unwrap_or_else(|| unreachable!());
            // SAFETY: eight heads of eight bytes, in which any bits are a head's.
            unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), kept) };
        }
        rows.count_ones() as usize
    }

    /// The upper sixteen bits of the names' hashes of a group.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn origins_of_names(&self, group: usize) -> Column {
        let (halves, _) = self.names.as_chunks::<8>();
        let upper = |half: &[u64; 8]| {
            // SAFETY: eight numbers of 64 bits.
            let names = unsafe { _mm512_loadu_si512(half.as_ptr().cast()) };
            _mm512_cvtepi64_epi32(_mm512_srli_epi64::<48>(names))
        };
        let low = _mm512_castsi256_si512(upper(&halves[group * 2]));
        _mm512_inserti64x4::<1>(low, upper(&halves[group * 2 + 1]))
    }

    /// The bodies and identities of the records that become rows.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx512vbmi,bmi1")]
    fn finish(&mut self, records: &PlainRecords<'_>, mut rows: u64) {
        // SAFETY: 64 bytes.
        let moves = unsafe { _mm512_loadu_si512(BODY_MOVES.as_ptr().cast()) };
        let mut count = 0;
        while rows != 0 {
            let nth = rows.trailing_zeros() as usize;
            rows &= rows - 1;
            let body = _mm512_castsi512_si256(_mm512_permutexvar_epi8(moves, records.line(nth)));
            let meta = self.interface_seconds_meta[nth].cast_signed();
            let body = _mm256_mask_set1_epi32(body, 1 << META_WORD, meta);
            let room: &mut [Body; 2] =
                self.bodies[count..].first_chunk_mut().unwrap_or_else(|| unreachable!());
            // SAFETY: 32 of 48 bytes, in which any bits are a body's.
            unsafe { _mm256_storeu_si256(room.as_mut_ptr().cast(), body) };

            self.identities[count] = Identity::of_plain(&records.at(nth), self.names[nth]).hash();
            count += 1;
        }
    }
}

/// What is known of the interfaces of some records, one bit for each.
struct Noted {
    /// It is noted, and whatever belongs to it is as the record says.
    known: u64,
    /// Its own address is of no interest.
    certain: u64,
}

/// The bits of a group.
#[expect(clippy::cast_possible_truncation, reason = "one of four groups")]
#[inline]
fn of_group(bits: u64, group: usize) -> u16 {
    (bits >> (group * RECORDS)) as u16
}

/// The times of every sixteenth record.
struct Spans {
    earliest_start: Column,
    latest_start: Column,
    latest_end: Column,
}

impl Spans {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn none() -> Self {
        let zero = _mm512_setzero_si512();
        Self { earliest_start: _mm512_set1_epi32(-1), latest_start: zero, latest_end: zero }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn add(&mut self, rows: u16, start: Column, end: Column) {
        let Self { earliest_start, latest_start, latest_end } = self;
        *earliest_start = _mm512_mask_min_epu32(*earliest_start, rows, *earliest_start, start);
        *latest_start = _mm512_mask_max_epu32(*latest_start, rows, *latest_start, start);
        *latest_end = _mm512_mask_max_epu32(*latest_end, rows, *latest_end, end);
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn times(&self) -> Times {
        Times {
            earliest_start: _mm512_reduce_min_epu32(self.earliest_start),
            latest_start: _mm512_reduce_max_epu32(self.latest_start),
            latest_end: _mm512_reduce_max_epu32(self.latest_end),
        }
    }
}

/// The heads of sixteen records, eight and eight; `flags` stand in the uppermost byte.
#[inline]
#[target_feature(enable = "avx512f")]
fn heads(columns: &Columns, names: Column, protocol: Column, flags: Column) -> (__m512i, __m512i) {
    let Columns { srcport, dstport, pkt_srcaddr, pkt_dstaddr, .. } = *columns;
    let factor = _mm512_set1_epi32(FACTOR.cast_signed());
    let end_tag = |address, port| _mm512_xor_si512(address, _mm512_mullo_epi32(port, factor));
    let conversation = _mm512_add_epi32(end_tag(pkt_srcaddr, srcport), end_tag(pkt_dstaddr, dstport));
    let service = _mm512_or_si512(_mm512_slli_epi32::<8>(srcport), protocol);
    let service = _mm512_srli_epi32::<16>(_mm512_mullo_epi32(service, factor));
    let origin = _mm512_xor_si512(names, service);
    let upper = _mm512_or_si512(_mm512_or_si512(origin, _mm512_slli_epi32::<16>(protocol)), flags);
    let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    (
        _mm512_permutex2var_epi32(conversation, low, upper),
        _mm512_permutex2var_epi32(conversation, high, upper),
    )
}

const _: () = assert!(
    size_of::<Head>() == 8
        && offset_of!(Head, conversation) == 0
        && offset_of!(Head, origin) == 4
        && offset_of!(Head, protocol) == 6
        && offset_of!(Head, tcp_flags) == 7
);

/// Which word of a body holds what its record's line does not.
const META_WORD: usize = offset_of!(Body, interface_seconds_meta) / 4;

/// Where the bytes of a body come from in a line.
const BODY_MOVES: [u8; 64] = {
    use record::numbers::{BYTES, DSTPORT, PACKETS, SRCPORT, START};
    assert!(size_of::<Body>() == 24);
    let moved = [
        (offset_of!(Body, srcaddr), ADDRESSES_AT + 8, 4),
        (offset_of!(Body, start), NUMBERS_AT + 4 * START, 4),
        (offset_of!(Body, packets), NUMBERS_AT + 4 * PACKETS, 4),
        (offset_of!(Body, bytes), NUMBERS_AT + 4 * BYTES, 4),
        (offset_of!(Body, srcport), NUMBERS_AT + 4 * SRCPORT, 2),
        (offset_of!(Body, dstport), NUMBERS_AT + 4 * DSTPORT, 2),
    ];
    let mut moves = [0; 64];
    let mut field = 0;
    while field < moved.len() {
        let (to, from, bytes) = moved[field];
        let mut byte = 0;
        while byte < bytes {
            #[expect(clippy::cast_possible_truncation, reason = "below 64")]
            {
                moves[to + byte] = (from + byte) as u8;
            }
            byte += 1;
        }
        field += 1;
    }
    moves
};

/// The numbers of a group.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(numbers: &[u32; MOST], group: usize) -> Column {
    let (groups, _) = numbers.as_chunks::<RECORDS>();
    // SAFETY: sixteen numbers of 32 bits.
    unsafe { _mm512_loadu_si512(groups[group].as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(numbers: &mut [u32; MOST], group: usize, column: Column) {
    let (groups, _) = numbers.as_chunks_mut::<RECORDS>();
    // SAFETY: sixteen numbers of 32 bits.
    unsafe { _mm512_storeu_si512(groups[group].as_mut_ptr().cast(), column) };
}
