//! One slot of the configuration over time: a rule number of an ACL, or the association of a subnet.
//!
//! Between two neighbouring marks (a call, or a state that shows the slot) the content follows from what the first one
//! left and from what the second one found. Where the two contradict each other, something happened in between that
//! the history does not hold: then both are possible. Refuses to know what the content means.

use crate::net::Timestamp;

/// What a slot can hold.
pub(super) trait Content: Clone + PartialEq {
    /// What is true when both are: the one that says more; `None` when they contradict each other.
    fn and(&self, other: &Self) -> Option<Self>;
}

/// Something that tells of the slot at one moment.
#[derive(Debug, Clone)]
pub(super) struct Mark<V> {
    pub(super) at: Timestamp,
    pub(super) tells: Tells<V>,
}

/// What a mark tells.
#[derive(Debug, Clone)]
pub(super) enum Tells<V> {
    /// A call: what it must have found (`None`: anything) and what it left. `event` is its place in the list.
    Call { event: usize, found: Option<V>, left: V },
    /// A call that may have put this there if nothing was there.
    Perhaps { event: usize, if_found: V, left: V },
    /// A state shows this; it may be the content before a call up to so many seconds earlier.
    Seen { value: V, settles_in: i64 },
}

impl<V> Tells<V> {
    /// At one moment calls come first: a state is captured after the change that it shows.
    fn rank(&self) -> u8 {
        match self {
            Self::Call { .. } => 0,
            Self::Perhaps { .. } => 1,
            Self::Seen { .. } => 2,
        }
    }
}

/// A stretch of time and what the slot may have held during it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch<V> {
    pub(super) from: Option<Timestamp>,
    pub(super) values: Vec<V>,
    /// Calls at `from`, in the order in which they were applied.
    pub(super) begun_by: Vec<usize>,
}

/// What the marks so far leave: possible contents, and when the last call was.
struct Left<V> {
    values: Vec<V>,
    call_at: Option<Timestamp>,
    seen_at: Option<Timestamp>,
}

/// The stretches of a slot, from the first moment to the last. `marks` may come in any order but that of calls at one
/// moment, which is kept where nothing tells otherwise.
pub(super) fn stretches<V: Content>(mut marks: Vec<Mark<V>>) -> Vec<Stretch<V>> {
    marks.sort_by_key(|mark| (mark.at, mark.tells.rank()));
    let mut found: Vec<Stretch<V>> = Vec::new();
    let mut left: Left<V> = Left { values: Vec::new(), call_at: None, seen_at: None };
    let mut open = Stretch { from: None, values: Vec::new(), begun_by: Vec::new() };
    let mut rest = marks.as_slice();
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|mark| same_moment(first, mark)).count();
        let (group, after) = rest.split_at(count);
        rest = after;
        open.values = between(&left, first, group);
        push(&mut found, open);
        let mut begun_by = Vec::new();
        left = apply(left, group, &mut begun_by);
        open = Stretch { from: Some(first.at), values: Vec::new(), begun_by };
    }
    open.values = left.values;
    push(&mut found, open);
    found
}

/// Calls of one second belong together: their order is not known for certain.
fn same_moment<V>(a: &Mark<V>, b: &Mark<V>) -> bool {
    let is_call = |mark: &Mark<V>| matches!(mark.tells, Tells::Call { .. });
    a.at == b.at && is_call(a) && is_call(b) || std::ptr::eq(a, b)
}

/// What the slot may have held before `next`, with what earlier marks left.
fn between<V: Content>(left: &Left<V>, next: &Mark<V>, group: &[Mark<V>]) -> Vec<V> {
    // Of several calls in one second it is not known which one found what: whatever fits one of them.
    let wanted: Vec<&V> = match &next.tells {
        Tells::Seen { value, .. } => vec![value],
        Tells::Perhaps { if_found, left, .. } => vec![if_found, left],
        Tells::Call { .. } => {
            let found: Vec<_> = group.iter().map(|mark| call_found(mark)).collect();
            if found.iter().any(Option::is_none) { Vec::new() } else { found.into_iter().flatten().collect() }
        }
    };
    let is_perhaps = matches!(next.tells, Tells::Perhaps { .. });
    if left.values.is_empty() {
        return unique(wanted.into_iter().cloned().collect());
    }
    if wanted.is_empty() || is_perhaps {
        return left.values.clone();
    }
    let both: Vec<V> =
        left.values.iter().flat_map(|value| wanted.iter().filter_map(|other| value.and(other))).collect();
    if !both.is_empty() {
        return unique(both);
    }
    if is_settling(left, next) {
        return left.values.clone();
    }
    let all = left.values.iter().cloned().chain(wanted.into_iter().cloned());
    unique(all.collect())
}

fn call_found<V>(mark: &Mark<V>) -> Option<&V> {
    match &mark.tells {
        Tells::Call { found, .. } => found.as_ref(),
        _ => None,
    }
}

/// Whether `next` is a state so soon after a call that it may still show what was before.
fn is_settling<V>(left: &Left<V>, next: &Mark<V>) -> bool {
    let Tells::Seen { settles_in, .. } = &next.tells else { return false };
    left.call_at.is_some_and(|call| next.at.seconds_since(call) <= *settles_in)
}

/// What the marks of one moment leave.
fn apply<V: Content>(before: Left<V>, group: &[Mark<V>], begun_by: &mut Vec<usize>) -> Left<V> {
    let Some(first) = group.first() else { return before };
    match &first.tells {
        Tells::Seen { value, .. } => {
            let agreed: Vec<V> = before.values.iter().filter_map(|known| known.and(value)).collect();
            let seen_at = Some(first.at);
            if !agreed.is_empty() {
                return Left { values: unique(agreed), seen_at, ..before };
            }
            // Two states of one moment that differ leave both possible too.
            if is_settling(&before, first) || before.seen_at == seen_at {
                let values = before.values.iter().cloned().chain([value.clone()]).collect();
                return Left { values: unique(values), seen_at, ..before };
            }
            Left { values: vec![value.clone()], call_at: None, seen_at }
        }
        Tells::Perhaps { event, if_found, left } => {
            let mut values = before.values.clone();
            if values.is_empty() {
                values.push(if_found.clone());
            }
            if values.iter().any(|value| value.and(if_found).is_some()) {
                begun_by.push(*event);
                values.push(left.clone());
            }
            Left { values: unique(values), ..before }
        }
        Tells::Call { .. } => apply_calls(&before, group, begun_by),
    }
}

/// A call: its place in the list, what it must have found, what it left.
type Call<'m, V> = (usize, Option<&'m V>, &'m V);

/// The most calls of one second whose orders are tried.
const MAX_ORDERED: usize = 6;

/// Calls of one second, in every order in which each finds what it must have found: what the last one left. Where no
/// order fits, or too many would have to be tried, what any of them left is possible.
fn apply_calls<V: Content>(before: &Left<V>, group: &[Mark<V>], begun_by: &mut Vec<usize>) -> Left<V> {
    let calls: Vec<Call<'_, V>> = group
        .iter()
        .filter_map(|mark| match &mark.tells {
            Tells::Call { event, found, left } => Some((*event, found.as_ref(), left)),
            _ => None,
        })
        .collect();
    let mut orders = Orders { finals: Vec::new(), first: None };
    if calls.len() <= MAX_ORDERED {
        let values = before.values.iter().map(Some);
        let starts: Vec<Option<&V>> = if before.values.is_empty() { vec![None] } else { values.collect() };
        for start in starts {
            orders.try_all(start, &mut calls.clone(), &mut Vec::new());
        }
    }
    begun_by.extend(orders.first.unwrap_or_else(|| calls.iter().map(|call| call.0).collect()));
    let all_left = || calls.iter().map(|call| call.2.clone()).collect();
    let finals = if orders.finals.is_empty() { all_left() } else { orders.finals };
    Left { values: unique(finals), call_at: group.first().map(|mark| mark.at), seen_at: None }
}

/// What the orders that fit leave, and the first of them.
struct Orders<V> {
    finals: Vec<V>,
    first: Option<Vec<usize>>,
}

impl<V: Content> Orders<V> {
    fn try_all(&mut self, now: Option<&V>, rest: &mut Vec<Call<'_, V>>, order: &mut Vec<usize>) {
        if rest.is_empty() {
            self.finals.extend(now.cloned());
            self.first.get_or_insert_with(|| order.clone());
            return;
        }
        for at in 0..rest.len() {
            let (event, found, left) = rest[at];
            let fits = now.zip(found).is_none_or(|(now, found)| now.and(found).is_some());
            if !fits {
                continue;
            }
            rest.remove(at);
            order.push(event);
            self.try_all(Some(left), rest, order);
            order.pop();
            rest.insert(at, (event, found, left));
        }
    }
}

/// Adds a stretch, unless it only goes on with what was there.
fn push<V: Content>(found: &mut Vec<Stretch<V>>, stretch: Stretch<V>) {
    match found.last_mut() {
        Some(last) if last.values == stretch.values => {}
        // Of no length: what follows at the same moment takes its place.
        Some(last) if last.from.is_some() && last.from == stretch.from => {
            let mut begun_by = std::mem::take(&mut last.begun_by);
            begun_by.extend(stretch.begun_by);
            *last = Stretch { begun_by, ..stretch };
            collapse(found);
        }
        _ => found.push(stretch),
    }
}

/// After its content changed the last stretch may say the same as the one before it.
fn collapse<V: Content>(found: &mut Vec<Stretch<V>>) {
    if let [.., before, last] = found.as_slice()
        && before.values == last.values
    {
        found.pop();
    }
}

fn unique<V: Content>(values: Vec<V>) -> Vec<V> {
    let mut kept: Vec<V> = Vec::with_capacity(values.len());
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}
