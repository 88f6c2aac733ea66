//! Lists of compact rows: heads and bodies apart, so that whoever looks at heads alone reads a quarter of the memory.

use super::accepted::{AcceptedRow, Body, Head};
use super::interface::InterfaceIndex;
use super::spare::Reusable;

/// Accepted rows in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    heads: Vec<Head>,
    bodies: Vec<Body>,
}

impl Rows {
    #[inline]
    pub(super) fn push(&mut self, row: AcceptedRow) {
        let (head, body) = row.parts();
        self.heads.push(head);
        self.bodies.push(body);
    }

    /// Rows of these heads and bodies, as many of both.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn extend(&mut self, heads: &[Head], bodies: &[Body]) {
        debug_assert_eq!(heads.len(), bodies.len());
        self.heads.extend_from_slice(heads);
        self.bodies.extend_from_slice(bodies);
    }

    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Rows there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.heads.capacity().min(self.bodies.capacity())
    }

    /// Makes room for so many more.
    pub(super) fn reserve_exact(&mut self, rows: usize) {
        self.heads.reserve_exact(rows);
        self.bodies.reserve_exact(rows);
    }

    /// What the rows are turned away by.
    pub(super) fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The row at a place; there has to be one.
    #[inline]
    pub(super) fn at(&self, place: usize) -> AcceptedRow {
        AcceptedRow::of_parts(self.heads[place], self.bodies[place])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = AcceptedRow> {
        self.heads.iter().zip(&self.bodies).map(|(head, body)| AcceptedRow::of_parts(*head, *body))
    }

    /// The `start` of each.
    pub(super) fn starts(&self) -> impl Iterator<Item = i64> {
        self.bodies.iter().map(Body::start)
    }

    /// Leaves only the rows of these interfaces.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(InterfaceIndex) -> bool) {
        let mut bodies = self.bodies.iter();
        self.heads.retain(|_| bodies.next().is_some_and(|body| is_wanted(body.interface())));
        self.bodies.retain(|body| is_wanted(body.interface()));
    }
}

impl Reusable for Rows {
    const ELEMENT_BYTES: usize = size_of::<AcceptedRow>();

    fn with_room_for(rows: usize) -> Self {
        Self { heads: Vec::with_capacity(rows), bodies: Vec::with_capacity(rows) }
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn clear(&mut self) {
        self.heads.clear();
        self.bodies.clear();
    }
}
