//! Owns the only source of variety: a `SplitMix64` stream seeded by name. Refuses to know the clock or the machine.

/// A deterministic stream of numbers. Two streams of one name are equal on every machine.
pub struct Rng(u64);

impl Rng {
    /// A stream of its own for `name`, so that adding one actor does not move another's traffic.
    pub fn named(name: &str) -> Self {
        // FNV-1a, 64 bits.
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from `low..=high`. The modulo bias is of no interest here.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low + 1).expect("low is not above high");
        low + i64::try_from(self.next() % span).expect("a span of an i64 range fits")
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let last = i64::try_from(items.len()).expect("short list") - 1;
        &items[usize::try_from(self.range(0, last)).expect("not negative")]
    }
}
