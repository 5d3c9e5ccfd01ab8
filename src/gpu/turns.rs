//! Turns of the threads that use one OpenGL context, and whether a thread has one.

use std::cell::Cell;
use std::sync::Arc;

use parking_lot::{ReentrantMutex, ReentrantMutexGuard};

thread_local! {
    /// Turns that this thread has, of all devices.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread runs a callback of the application, called by wgpu in a function that this crate called. wgpu
/// calls back when it polls and when it submits; the crate does both in a [`Turn`] only.
pub(crate) fn in_a_callback() -> bool {
    HELD.get() > 0
}

/// One thread at a time, on OpenGL. wgpu locks a context while a thread executes a submission or waits for one, and
/// panics in a thread that waits 6 s for that lock. So threads wait here first, for as long as it takes. Reentrant,
/// because a callback of the application may run a call while a poll has the turn.
///
/// Elsewhere a turn excludes nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Option<Arc<ReentrantMutex<()>>>);

impl Turns {
    pub fn of(backend: wgpu::Backend) -> Self {
        Self((backend == wgpu::Backend::Gl).then(Arc::default))
    }

    /// Waits until no other thread has the turn.
    pub fn take(&self) -> Turn<'_> {
        let excludes = self.0.as_ref().map(|mutex| mutex.lock());
        HELD.set(HELD.get() + 1);
        Turn { excludes }
    }
}

/// Held while a thread uses the device.
pub(super) struct Turn<'a> {
    #[cfg_attr(not(test), expect(dead_code, reason = "held until it is dropped"))]
    excludes: Option<ReentrantMutexGuard<'a, ()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        HELD.set(HELD.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{Turns, in_a_callback};

    #[test]
    fn one_thread_at_a_time_has_the_turn_on_opengl_alone() {
        let turns = Turns::of(wgpu::Backend::Gl);
        let turn = turns.take();
        assert!(
            turn.excludes.is_some() && turns.take().excludes.is_some(),
            "the same thread may take it again"
        );
        let mutex = turns.0.clone().unwrap();
        thread::scope(|scope| assert!(scope.spawn(|| mutex.try_lock().is_none()).join().unwrap()));
        drop(turn);
        thread::scope(|scope| assert!(scope.spawn(|| mutex.try_lock().is_some()).join().unwrap()));
        assert!(Turns::of(wgpu::Backend::Vulkan).take().excludes.is_none());
    }

    #[test]
    fn a_thread_knows_whether_it_has_a_turn() {
        assert!(!in_a_callback());
        let turns = [wgpu::Backend::Gl, wgpu::Backend::Vulkan].map(Turns::of);
        let held = [turns[0].take(), turns[1].take(), turns[1].take()];
        for turn in held {
            assert!(in_a_callback());
            assert!(!thread::spawn(in_a_callback).join().unwrap(), "another thread has none");
            drop(turn);
        }
        assert!(!in_a_callback());
    }
}
