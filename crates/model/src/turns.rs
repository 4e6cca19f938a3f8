//! Turns for others on a thread that long work shares with them, as a page's does.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

/// Lets others have their turn; it is asked after every part of a work.
pub type Breathe = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// Numbers that are multiplied or converted between two turns: a browser has done so many in some
/// milliseconds, and from 50 ms on a page is felt to hang.
pub const NUMBERS_AT_ONCE: usize = 1 << 20;

/// A turn for others, where there are any.
pub async fn turn(breathe: Option<Breathe>) {
    if let Some(breathe) = breathe {
        breathe().await;
    }
}

/// What work without turns for others comes to.
///
/// # Panics
/// If it waits for something.
pub fn at_once<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found,
        Poll::Pending => unreachable!("nobody is waited for where there are no turns"),
    }
}

/// The ends of the parts, between two turns each, of `n_rows` rows of which each takes so many
/// numbers: all rows together where there are no turns.
pub fn parts(
    n_rows: usize,
    numbers_per_row: usize,
    breathe: Option<Breathe>,
) -> impl Iterator<Item = std::ops::Range<usize>> {
    /// A product takes some rows together.
    const LEAST_ROWS: usize = 16;
    let most = match breathe {
        None => n_rows,
        Some(_) => NUMBERS_AT_ONCE / numbers_per_row.max(1) / LEAST_ROWS * LEAST_ROWS,
    };
    let most = most.max(LEAST_ROWS);
    let firsts = (0..n_rows).step_by(most);
    firsts.map(move |first| first..(first + most).min(n_rows))
}
