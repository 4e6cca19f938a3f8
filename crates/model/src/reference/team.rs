//! Threads that multiply a matrix together. A forward pass asks for a product every few microseconds,
//! and a thread that sleeps takes as long to wake up as half a product takes to compute. So they look
//! for the next one for a while before they sleep.

use std::{
    hint::spin_loop,
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread,
};

use super::products::on_one_thread;
use crate::checkpoint::Matrix;

/// How often a thread looks before it sleeps: about a tenth of a millisecond.
const LOOKS: u32 = 2000;

/// Some rows of one of the matrices.
struct Part {
    /// Which matrix.
    matrix: usize,
    /// The first of the rows in it.
    first: usize,
    rows: Matrix,
}

/// The products of a part of each matrix.
struct Job {
    parts: Vec<Part>,
    /// What they are multiplied with.
    xs: Arc<[Vec<f32>]>,
    answer: Sender<Answer>,
}

/// Parts, each with the products of each x.
type Answer = Vec<(Part, Vec<Vec<f32>>)>;

/// A thread for every processor but the caller's own, for as long as the program runs.
pub struct Team {
    threads: Vec<Sender<Job>>,
}

impl Team {
    /// The one team; none where there is one processor.
    pub fn get() -> Option<&'static Self> {
        static TEAM: OnceLock<Option<Team>> = OnceLock::new();
        let start = || {
            let n_processors = thread::available_parallelism().map_or(1, usize::from);
            let threads: Vec<Sender<Job>> = (1..n_processors).filter_map(started).collect();
            (!threads.is_empty()).then_some(Team { threads })
        };
        TEAM.get_or_init(start).as_ref()
    }

    /// W x for each of `xs`, of each of `ws`, every thread computing the rows that are its own, as near
    /// to the same number as they divide.
    pub fn products(&self, ws: &[&Matrix], xs: &[Vec<f32>]) -> Vec<Vec<Vec<f32>>> {
        self.in_parts(ws, xs, self.threads.len() + 1)
    }

    /// The same, every matrix in so many parts. The first ones are the caller's.
    pub fn in_parts(&self, ws: &[&Matrix], xs: &[Vec<f32>], n_parts: usize) -> Vec<Vec<Vec<f32>>> {
        let (answer, answers) = channel();
        let shared: Arc<[Vec<f32>]> = xs.into();
        let mut n_awaited = n_parts - 1;
        for (part, thread) in (1..n_parts).zip(self.threads.iter().cycle()) {
            let parts = ws.iter().enumerate();
            let job = Job {
                parts: parts.map(|(i, w)| part_of(w, i, (part, n_parts))).collect(),
                xs: Arc::clone(&shared),
                answer: answer.clone(),
            };
            thread.send(job).expect("its thread never ends");
        }
        drop(answer);
        let empty = ws.iter().map(|w| vec![vec![0.0; w.rows]; xs.len()]);
        let mut all: Vec<Vec<Vec<f32>>> = empty.collect();
        for (matrix, (w, ys)) in ws.iter().zip(&mut all).enumerate() {
            on_one_thread(&part_of(w, matrix, (0, n_parts)).rows, xs, ys);
        }
        while let Some(parts) = next(&answers) {
            n_awaited -= 1;
            for (Part { matrix, first, .. }, products) in parts {
                for (y, part) in all[matrix].iter_mut().zip(products) {
                    y[first..first + part.len()].copy_from_slice(&part);
                }
            }
        }
        assert_eq!(n_awaited, 0, "a thread of the team has ended");
        all
    }
}

/// One of `n_parts` parts of a matrix, which is number `matrix`; the last ones may have no rows.
fn part_of(w: &Matrix, matrix: usize, (part, n_parts): (usize, usize)) -> Part {
    let n_rows = w.rows.div_ceil(n_parts);
    let first = (part * n_rows).min(w.rows);
    Part {
        matrix,
        first,
        rows: w.slice_rows(first..(first + n_rows).min(w.rows)),
    }
}

/// Starts a thread of the team; none where the system gives no more.
fn started(number: usize) -> Option<Sender<Job>> {
    let (jobs, mine) = channel();
    let name = format!("products {number}");
    let thread = thread::Builder::new().name(name).spawn(move || work(&mine));
    thread.ok().map(|_| jobs)
}

fn work(jobs: &Receiver<Job>) {
    while let Some(Job { parts, xs, answer }) = next(jobs) {
        let products = parts.into_iter().map(|part| {
            let mut ys = vec![vec![0.0; part.rows.rows]; xs.len()];
            on_one_thread(&part.rows, &xs, &mut ys);
            (part, ys)
        });
        // A caller that has panicked meanwhile waits no more.
        let _ = answer.send(products.collect());
    }
}

/// The next message; none when nobody is left to send one.
fn next<T>(channel: &Receiver<T>) -> Option<T> {
    for _ in 0..LOOKS {
        match channel.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Empty) => spin_loop(),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
    channel.recv().ok()
}
