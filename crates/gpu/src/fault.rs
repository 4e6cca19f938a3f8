//! What ended a device, and waits that end with it.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use crate::context::GpuError;

/// The first thing that went wrong outside of an error scope, and who waits meanwhile.
#[derive(Debug, Default)]
pub struct Fault(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    first: Option<GpuError>,
    waiting: Vec<Waker>,
}

impl Fault {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device ended; only the first error of one counts.
    pub fn report(&self, error: GpuError) {
        let mut state = self.state();
        state.first.get_or_insert(error);
        let waiting = std::mem::take(&mut state.waiting);
        // Who wakes may ask at once.
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The error that ended the device, if one did.
    pub fn check(&self) -> Result<(), GpuError> {
        self.state().first.clone().map_or(Ok(()), Err)
    }

    /// What the device answers, or the error that ended it before: browsers leave some promises of
    /// a lost device as they are.
    pub async fn or_answer<T>(&self, answer: impl Future<Output = T>) -> Result<T, GpuError> {
        let mut answer = pin!(answer);
        poll_fn(|context| {
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready(Ok(answer));
            }
            let mut state = self.state();
            if let Some(error) = &state.first {
                return Poll::Ready(Err(error.clone()));
            }
            let waker = context.waker();
            if !state.waiting.iter().any(|known| known.will_wake(waker)) {
                state.waiting.push(waker.clone());
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Wake},
    };

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_wait_for_a_device_ends_with_it() {
        let (fault, counted) = (Fault::default(), Arc::<Counted>::default());
        let waker = counted.clone().into();
        let mut context = Context::from_waker(&waker);
        let mut wait = pin!(fault.or_answer(pending::<()>()));
        for _ in 0..2 {
            assert!(wait.as_mut().poll(&mut context).is_pending());
        }
        fault.report(GpuError::Lost("first".into()));
        fault.report(GpuError::Lost("second".into()));
        assert_eq!(counted.0.load(Ordering::Relaxed), 1, "woken once");
        let Poll::Ready(Err(GpuError::Lost(reason))) = wait.as_mut().poll(&mut context) else {
            panic!("it goes on waiting");
        };
        assert_eq!(reason, "first");
        // What was answered counts, whatever came after it.
        let mut answered = pin!(fault.or_answer(ready(5)));
        assert!(matches!(
            answered.as_mut().poll(&mut context),
            Poll::Ready(Ok(5))
        ));
    }
}
