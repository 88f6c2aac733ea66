//! The way of batches from the threads that read objects to the join, which takes the objects one after another.
//!
//! What is under way is bounded in bytes, by all objects together: a batch of rejects takes several times as much as one
//! of accepted records, and an object whose turn has not come must not fill the memory of the one that is joined.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::worker::Message;

/// The bound on what is under way.
#[derive(Debug)]
pub(super) struct Gate {
    budget: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    /// Of the object that is joined.
    of_head: usize,
    /// The object that is joined.
    head: usize,
    /// Nothing is taken any more.
    is_closed: bool,
}

/// Where the batches of one object go.
pub(super) struct Batches {
    gate: Arc<Gate>,
    object: usize,
    sender: Sender<Message>,
}

/// Closes a gate when it goes out of scope.
pub(super) struct Closing<'a>(&'a Gate);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

/// The join gave up.
pub(super) struct Closed;

impl Gate {
    /// A gate through which batches of so many bytes may be under way.
    pub(super) fn new(budget: usize) -> Arc<Self> {
        Arc::new(Self { budget, state: Mutex::default(), changed: Condvar::new() })
    }

    /// The two ends of the way of one object's batches.
    pub(super) fn way(self: &Arc<Self>, object: usize) -> (Batches, Receiver<Message>) {
        let (sender, receiver) = channel();
        (Batches { gate: Arc::clone(self), object, sender }, receiver)
    }

    /// The object that is joined from now on, of which so much is under way already.
    pub(super) fn turn_of(&self, object: usize) {
        let mut state = self.lock();
        (state.head, state.of_head) = (object, 0);
        self.changed.notify_all();
    }

    /// A batch of so many bytes was taken.
    pub(super) fn taken(&self, bytes: usize) {
        let mut state = self.lock();
        state.under_way -= bytes;
        state.of_head = state.of_head.saturating_sub(bytes);
        self.changed.notify_all();
    }

    /// Closes the gate when it goes out of scope, whatever the reason: whoever waits then gives up.
    pub(super) fn closing(&self) -> Closing<'_> {
        Closing(self)
    }

    /// Whether there is no room now. The object that is joined never waits for the others, which wait for it.
    fn is_full(&self, state: &State, object: usize) -> bool {
        let is_head = state.head == object;
        let room = if is_head { self.budget } else { self.budget / 2 };
        state.under_way > room && !(is_head && state.of_head == 0)
    }

    /// Waits until a batch may be under way.
    fn enter(&self, object: usize, bytes: usize) -> Result<(), Closed> {
        let waits = |state: &mut State| !state.is_closed && self.is_full(state, object);
        let mut state = self.changed.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        state.enter(object, bytes)
    }

    /// The same without waiting: `false` when there is no room.
    fn try_enter(&self, object: usize, bytes: usize) -> Result<bool, Closed> {
        let mut state = self.lock();
        if !state.is_closed && self.is_full(&state, object) {
            return Ok(false);
        }
        state.enter(object, bytes).map(|()| true)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, object: usize, bytes: usize) -> Result<(), Closed> {
        if self.is_closed {
            return Err(Closed);
        }
        self.under_way += bytes;
        if self.head == object {
            self.of_head += bytes;
        }
        Ok(())
    }
}

impl Batches {
    /// Hands a message on if there is room for it now, or gives it back.
    pub(super) fn try_send(&self, message: Message) -> Result<Option<Message>, Closed> {
        if let Message::Batch(batch) = &message
            && !self.gate.try_enter(self.object, batch.bytes())?
        {
            return Ok(Some(message));
        }
        self.sender.send(message).map(|()| None).map_err(|_| Closed)
    }

    /// Hands a message on, when there is room for it.
    pub(super) fn send(&self, message: Message) -> Result<(), Closed> {
        if let Message::Batch(batch) = &message {
            self.gate.enter(self.object, batch.bytes())?;
        }
        self.sender.send(message).map_err(|_| Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_that_is_joined_always_comes_through_and_the_others_wait_for_room() {
        let gate = Gate::new(0);
        let (passed, passes) = channel();
        std::thread::scope(|scope| {
            let _closing = gate.closing();
            for object in [0, 1] {
                let (gate, passed) = (&gate, passed.clone());
                scope.spawn(move || {
                    while gate.enter(object, 10).is_ok() {
                        let _ = passed.send(object);
                    }
                });
            }
            gate.turn_of(0);
            // One batch of the other object may have been first.
            let mut of_others = 0;
            for _ in 0..20 {
                let object = passes.recv().expect("a batch");
                of_others += object;
                if object == 0 {
                    gate.taken(10);
                }
            }
            assert!(of_others <= 1, "{of_others}");
            gate.turn_of(1);
            let mut seen = [0, 0];
            while seen[1] < 20 {
                let object: usize = passes.recv().expect("a batch");
                seen[object] += 1;
                if object == 1 {
                    gate.taken(10);
                }
            }
            assert!(seen[0] <= 2, "{seen:?}");
        });
    }
}
