//! Records delivered twice: two flow logs on one interface, an object read twice.
//!
//! A record's identity is a 64-bit hash of everything that describes the flow and its window. Pairing makes copies one
//! by itself, so identities only have to be counted. They are kept as they come, by slices of `start`, and the distinct
//! ones of a slice are counted when no more can come into it, or, where memory has no room for them until then, by parts
//! that lie in a temporary file. Two different records are taken for one with a chance of
//! about 10⁻⁶ in a run of fifty million.

use std::sync::Arc;

use hashbrown::HashMap;

use super::distinct::DistinctCounter;
use super::overflow::{PARTITIONS, Partitioned, Quota};
use super::spare::Spare;

/// Seconds of `start` that share one slice. The records of most batches lie in one.
const SLICE_SECONDS: i64 = 1024;

/// A list shorter than this is copied: memory for many small objects is not to be that of as many large ones.
const WHOLE: usize = if cfg!(test) { 2 } else { 1024 };

/// What a record is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Accepted,
    Rejected,
    NoData,
    SkipData,
}

const CLASSES: [Class; 4] = [Class::Accepted, Class::Rejected, Class::NoData, Class::SkipData];

/// A number for each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PerClass([u64; 4]);

impl PerClass {
    pub(super) fn of(&self, class: Class) -> u64 {
        self.0[class as usize]
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(super) fn add(&mut self, class: Class, number: u64) {
        self.0[class as usize] += number;
    }

    fn add_all(&mut self, other: Self) {
        for class in CLASSES {
            self.add(class, other.of(class));
        }
    }
}

/// The identities of the records seen, by time.
#[derive(Debug)]
pub(super) struct Identities {
    /// Slice of time → its place.
    places: HashMap<i64, usize>,
    slices: Vec<Slice>,
    /// Places whose slice was counted.
    free: Vec<usize>,
    /// The slice used last; records come in runs.
    last: Option<(i64, usize)>,
    /// Records that wait to be counted.
    waiting: PerClass,
    /// Distinct records counted.
    distinct: PerClass,
    /// Copies among the records counted.
    copies: u64,
    counter: DistinctCounter,
    spare: Spare<Vec<u64>>,
    stored: Option<Stored>,
    /// Records that nothing is known of any more but that they were: copies among them were not found.
    unchecked: u64,
}

/// Identities outside memory.
#[derive(Debug)]
struct Stored {
    /// By class and hash.
    store: Partitioned,
    /// First and last slice that they are of. What else is of these slices has to be counted together with them.
    slices: (i64, i64),
    held: PerClass,
}

impl Stored {
    fn holds(&self, slice: i64) -> bool {
        (self.slices.0..=self.slices.1).contains(&slice)
    }
}

/// The partition of an identity outside memory: a quarter of them for each class.
fn partition_of(class: Class, identity: u64) -> usize {
    class as usize * (PARTITIONS / 4) + usize::from(identity.to_le_bytes()[0]) % (PARTITIONS / 4)
}

/// The identities of one slice of time.
#[derive(Debug, Default)]
struct Slice {
    /// Of accepted records, as batches brought them.
    whole: Vec<Vec<u64>>,
    /// Of each class, one by one.
    single: [Vec<u64>; 4],
}

impl Slice {
    fn of(time: i64) -> i64 {
        time.div_euclid(SLICE_SECONDS)
    }

    fn lists(&self, class: Class) -> Vec<&[u64]> {
        let single = [self.single[class as usize].as_slice()];
        let whole = self.whole.iter().map(Vec::as_slice).filter(|_| class == Class::Accepted);
        whole.chain(single).collect()
    }

    fn distinct(&self, counter: &mut DistinctCounter) -> PerClass {
        let mut distinct = PerClass::default();
        for class in CLASSES {
            distinct.add(class, counter.count(&self.lists(class)));
        }
        distinct
    }

    fn len(&self, class: Class) -> u64 {
        self.lists(class).iter().map(|list| list.len() as u64).sum()
    }
}

impl Identities {
    /// None yet; lists for those to come may take `spare` bytes.
    pub(super) fn new(spare: usize) -> Self {
        Self {
            places: HashMap::new(),
            slices: Vec::new(),
            free: Vec::new(),
            last: None,
            waiting: PerClass::default(),
            distinct: PerClass::default(),
            copies: 0,
            counter: DistinctCounter::default(),
            spare: Spare::new(spare),
            stored: None,
            unchecked: 0,
        }
    }

    /// Takes note of one record.
    #[inline]
    pub(super) fn add(&mut self, class: Class, start: i64, identity: u64) {
        let place = self.place(start);
        self.slices[place].single[class as usize].push(identity);
        self.waiting.add(class, 1);
    }

    /// Takes the identities of accepted records that all started in `earliest..=latest` and leaves an empty list.
    /// `starts` has the `start` of each.
    pub(super) fn add_accepted(
        &mut self,
        identities: &mut Vec<u64>,
        earliest: i64,
        latest: i64,
        starts: impl Iterator<Item = i64>,
    ) {
        self.waiting.add(Class::Accepted, identities.len() as u64);
        let (first, last) = (Slice::of(earliest), Slice::of(latest));
        if last - first > 1 {
            for (identity, start) in identities.drain(..).zip(starts) {
                let place = self.place(start);
                self.slices[place].single[Class::Accepted as usize].push(identity);
            }
            return;
        }
        if last > first {
            let mut of_last = self.spare.list(identities.len() / 2);
            take_out(identities, starts.map(|start| Slice::of(start) == last), &mut of_last);
            self.add_list(&mut of_last, latest);
            self.spare.keep(of_last);
        }
        self.add_list(identities, earliest);
    }

    /// Takes the identities of accepted records of one slice and leaves an empty list.
    fn add_list(&mut self, identities: &mut Vec<u64>, start: i64) {
        let place = self.place(start);
        let slice = &mut self.slices[place];
        if identities.len() < WHOLE || identities.len() * 2 < identities.capacity() {
            slice.single[Class::Accepted as usize].append(identities);
        } else {
            let empty = self.spare.list(identities.len());
            slice.whole.push(std::mem::replace(identities, empty));
        }
    }

    #[inline]
    fn place(&mut self, start: i64) -> usize {
        let slice = Slice::of(start);
        match self.last {
            Some((last, place)) if last == slice => place,
            _ => self.other_place(slice),
        }
    }

    fn other_place(&mut self, slice: i64) -> usize {
        let place = *self.places.entry(slice).or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.slices.push(Slice::default());
                self.slices.len() - 1
            })
        });
        self.last = Some((slice, place));
        place
    }

    /// Counts the slices in which nothing starts any more, now that nothing before `start` is to come. `true` if there
    /// were any.
    pub(super) fn count_before(&mut self, start: i64) -> bool {
        let is_over = |slice: i64| (slice + 1) * SLICE_SECONDS <= start;
        let done: Vec<(i64, usize)> = self.places.extract_if(|slice, _| is_over(*slice)).collect();
        self.last = None;
        for (at, place) in &done {
            let slice = std::mem::take(&mut self.slices[*place]);
            self.free.push(*place);
            match &mut self.stored {
                Some(stored) if stored.holds(*at) => {
                    self.store_slice(&slice);
                    self.reuse(slice);
                }
                _ => self.count_slice(slice),
            }
        }
        let stored_is_over = self.stored.as_ref().is_some_and(|stored| is_over(stored.slices.1));
        if stored_is_over {
            self.count_stored();
        }
        !done.is_empty() || stored_is_over
    }

    /// Counts what is left.
    pub(super) fn count_all(&mut self) {
        self.count_before(i64::MAX);
    }

    /// Moves what waits out of memory.
    pub(super) fn spill(&mut self, budget: usize, quota: &Arc<Quota>) {
        let (Some(first), Some(last)) = (self.places.keys().min(), self.places.keys().max()) else { return };
        let stored = self.stored.get_or_insert_with(|| Stored {
            store: Partitioned::new(budget, quota),
            slices: (*first, *last),
            held: PerClass::default(),
        });
        stored.slices = (stored.slices.0.min(*first), stored.slices.1.max(*last));
        self.places.clear();
        self.free.clear();
        self.last = None;
        for slice in std::mem::take(&mut self.slices) {
            self.store_slice(&slice);
            self.reuse(slice);
        }
    }

    fn store_slice(&mut self, slice: &Slice) {
        let Some(stored) = &mut self.stored else { return };
        for class in CLASSES {
            for identity in slice.lists(class).into_iter().flatten() {
                stored.store.push(partition_of(class, *identity), |out| out.extend(identity.to_le_bytes()));
            }
            stored.held.add(class, slice.len(class));
        }
        if stored.store.is_due() {
            let (distinct, waiting, counter) = (&mut self.distinct, &mut self.waiting, &mut self.counter);
            let (held, copies, unchecked) = (&mut stored.held, &mut self.copies, &mut self.unchecked);
            stored.store.write(|partition, bytes| {
                let class = CLASSES[partition / (PARTITIONS / 4)];
                let identities = numbers(bytes);
                let len = identities.len() as u64;
                let here = counter.count(&[&identities]);
                distinct.add(class, here);
                *copies += len - here;
                *unchecked += len;
                waiting.0[class as usize] -= len;
                held.0[class as usize] -= len;
            });
        }
    }

    fn count_stored(&mut self) {
        let Some(stored) = self.stored.take() else { return };
        let mut space = Vec::new();
        for partition in 0..PARTITIONS {
            let class = CLASSES[partition / (PARTITIONS / 4)];
            let mut identities = Vec::new();
            let read = stored.store.blocks(partition, &mut space, |block| identities.extend(numbers(block)));
            let unread = read.err().map_or(0, |unread| unread.rows);
            let distinct = self.counter.count(&[&identities]);
            self.distinct.add(class, distinct + unread);
            self.copies += identities.len() as u64 - distinct;
            self.unchecked += unread;
        }
        for class in CLASSES {
            self.waiting.0[class as usize] -= stored.held.of(class);
        }
    }

    fn count_slice(&mut self, slice: Slice) {
        let distinct = slice.distinct(&mut self.counter);
        for class in CLASSES {
            let len = slice.len(class);
            self.copies += len - distinct.of(class);
            self.waiting.0[class as usize] -= len;
        }
        self.distinct.add_all(distinct);
        self.reuse(slice);
    }

    fn reuse(&mut self, slice: Slice) {
        slice.whole.into_iter().for_each(|list| self.spare.keep(list));
    }

    /// Records among which copies were not looked for, because there was no room to keep them.
    pub(super) fn unchecked(&self) -> u64 {
        self.unchecked
    }

    /// Distinct records and their copies, as if nothing more came. What lies outside memory is not looked at.
    pub(super) fn counted(&self) -> (PerClass, u64) {
        let (mut distinct, mut copies) = (self.distinct, self.copies);
        if let Some(stored) = &self.stored {
            distinct.add_all(stored.held);
        }
        let mut counter = DistinctCounter::default();
        for slice in &self.slices {
            let here = slice.distinct(&mut counter);
            copies += CLASSES.iter().map(|class| slice.len(*class) - here.of(*class)).sum::<u64>();
            distinct.add_all(here);
        }
        (distinct, copies)
    }

    /// Records of a class so far; copies that are not counted yet are among them.
    pub(super) fn seen(&self, class: Class) -> u64 {
        self.distinct.of(class) + self.waiting.of(class)
    }

    /// Bytes in buffers on their way out of memory.
    pub(super) fn buffered(&self) -> usize {
        self.stored.as_ref().map_or(0, |stored| stored.store.bytes())
    }

    /// Bytes held, without those.
    pub(super) fn bytes(&self) -> usize {
        let stored = self.stored.as_ref().map_or(0, |stored| stored.held.total());
        let waiting = usize::try_from(self.waiting.total() - stored).unwrap_or(usize::MAX);
        // Lists grow by doubling: half as much again on average. A list of one takes the place of four.
        let lists = waiting.saturating_add(waiting / 2).saturating_mul(size_of::<u64>());
        lists
            .saturating_add(self.slices.len() * (size_of::<Slice>() + 72))
            .saturating_add(self.counter.bytes() + self.spare.bytes())
    }
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
}

/// Moves those that are chosen from one list into another one, which holds nothing else then; without a branch for each.
fn take_out(list: &mut Vec<u64>, chosen: impl Iterator<Item = bool>, into: &mut Vec<u64>) {
    into.resize(list.len(), 0);
    let (mut left, mut taken) = (0, 0);
    for (at, is_chosen) in (0..list.len()).zip(chosen) {
        let one = list[at];
        list[left] = one;
        into[taken] = one;
        left += usize::from(!is_chosen);
        taken += usize::from(is_chosen);
    }
    list.truncate(left);
    into.truncate(taken);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_a_copy_within_its_class_and_time() {
        let mut identities = Identities::new(usize::MAX);
        for (class, start, identity) in [
            (Class::Rejected, 1000, 7),
            (Class::Rejected, 1000, 8),
            (Class::Rejected, 5000, 7),
            (Class::NoData, 1000, 7),
            (Class::Rejected, 1000, 7),
            (Class::Rejected, 5000, 7),
        ] {
            identities.add(class, start, identity);
        }
        assert_eq!(identities.seen(Class::Rejected), 5);
        let (distinct, copies) = identities.counted();
        assert_eq!((distinct.of(Class::Rejected), distinct.of(Class::NoData), copies), (3, 1, 2));
        assert!(identities.count_before(4096) && !identities.count_before(4096));
        assert_eq!(identities.seen(Class::Rejected), 4, "a copy less");
        assert_eq!(identities.counted(), (distinct, 2));
        identities.count_all();
        assert_eq!(identities.counted(), (distinct, 2));
    }

    #[test]
    fn a_list_of_several_slices_is_divided_among_them() {
        let starts = [1000, 1024, 1023, 2047];
        for (starts, distinct) in [(starts, 2), ([1000, 3000, 1023, 3071], 2), ([0, 1024, 2048, 3072], 4)] {
            let mut identities = Identities::new(usize::MAX);
            let (earliest, latest) = (starts.iter().min(), starts.iter().max());
            let mut list = vec![7; 4];
            let latest = *latest.expect("four");
            identities.add_accepted(&mut list, *earliest.expect("four"), latest, starts.into_iter());
            assert!(list.is_empty());
            assert_eq!(identities.seen(Class::Accepted), 4);
            assert_eq!(identities.counted().0.of(Class::Accepted), distinct, "{starts:?}");
        }
    }

    #[test]
    fn lists_are_taken_whole_and_given_back_empty() {
        let mut identities = Identities::new(usize::MAX);
        let mut list: Vec<u64> = (1..101).collect();
        let at = list.as_ptr();
        identities.add_accepted(&mut list, 1024, 1100, std::iter::repeat(1024));
        assert!(list.is_empty());
        list.extend(51..151);
        identities.add_accepted(&mut list, 1024, 2047, std::iter::repeat(2000));
        identities.count_before(2048);
        assert_eq!(identities.counted().1, 50);
        let mut others = [vec![1, 2], vec![3, 4]];
        for other in &mut others {
            identities.add_accepted(other, 3000, 3000, std::iter::repeat(3000));
        }
        assert!(others.iter().any(|other| other.as_ptr() == at && other.capacity() >= 100));
    }
}
