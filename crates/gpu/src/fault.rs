//! What ended a device, and waits that end with it.

use std::{
    collections::BTreeMap,
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
    /// Who waits, by a number of the wait.
    waiting: BTreeMap<u64, Waker>,
    n_waits: u64,
}

/// A wait for the device; what would wake it goes with it, however it ends.
struct Wait<'a> {
    fault: &'a Fault,
    number: u64,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.fault.state().waiting.remove(&self.number);
    }
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
        waiting.into_values().for_each(Waker::wake);
    }

    /// The error that ended the device, if one did.
    pub fn check(&self) -> Result<(), GpuError> {
        self.state().first.clone().map_or(Ok(()), Err)
    }

    /// What the device answers, or the error that ended it before: browsers leave some promises of
    /// a lost device as they are.
    pub async fn or_answer<T>(&self, answer: impl Future<Output = T>) -> Result<T, GpuError> {
        let mut answer = pin!(answer);
        let wait = self.wait();
        poll_fn(|context| {
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready(Ok(answer));
            }
            let mut state = self.state();
            if let Some(error) = &state.first {
                return Poll::Ready(Err(error.clone()));
            }
            state.waiting.insert(wait.number, context.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn wait(&self) -> Wait<'_> {
        let mut state = self.state();
        state.n_waits += 1;
        Wait {
            fault: self,
            number: state.n_waits,
        }
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

    /// A page asks a device many times a second, from a task of its own each time.
    #[test]
    fn nothing_is_kept_of_a_wait_that_is_over() {
        let (fault, waker) = (Fault::default(), Arc::<Counted>::default().into());
        let mut context = Context::from_waker(&waker);
        let mut is_ready = false;
        let answer = poll_fn(|_| match std::mem::replace(&mut is_ready, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        let mut wait = Box::pin(fault.or_answer(answer));
        assert!(wait.as_mut().poll(&mut context).is_pending());
        let mut dropped = Box::pin(fault.or_answer(pending::<()>()));
        assert!(dropped.as_mut().poll(&mut context).is_pending());
        assert_eq!(fault.state().waiting.len(), 2);
        assert!(wait.as_mut().poll(&mut context).is_ready());
        drop((wait, dropped));
        assert!(fault.state().waiting.is_empty());
    }
}
