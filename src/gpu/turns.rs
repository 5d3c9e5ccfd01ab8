//! Turns of the threads that use one OpenGL context.

use std::sync::Arc;

use parking_lot::{ReentrantMutex, ReentrantMutexGuard};

/// One thread at a time, on OpenGL. wgpu locks a context while a thread executes a submission or waits for one, and
/// panics in a thread that waits 6 s for that lock. So threads wait here first, for as long as it takes. Reentrant,
/// because a callback of the application may run a call while a poll has the turn.
///
/// Elsewhere there are no turns.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Option<Arc<ReentrantMutex<()>>>);

impl Turns {
    pub fn of(backend: wgpu::Backend) -> Self {
        Self((backend == wgpu::Backend::Gl).then(Arc::default))
    }

    /// Waits until no other thread has the turn.
    pub fn take(&self) -> Option<ReentrantMutexGuard<'_, ()>> {
        self.0.as_ref().map(|mutex| mutex.lock())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::Turns;

    #[test]
    fn one_thread_at_a_time_has_the_turn_on_opengl_alone() {
        let turns = Turns::of(wgpu::Backend::Gl);
        let turn = turns.take();
        assert!(turn.is_some() && turns.take().is_some(), "the same thread may take it again");
        let mutex = turns.0.clone().unwrap();
        thread::scope(|scope| assert!(scope.spawn(|| mutex.try_lock().is_none()).join().unwrap()));
        drop(turn);
        thread::scope(|scope| assert!(scope.spawn(|| mutex.try_lock().is_some()).join().unwrap()));
        assert!(Turns::of(wgpu::Backend::Vulkan).take().is_none());
    }
}
