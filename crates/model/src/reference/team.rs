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

/// The products of a part of a matrix.
struct Job {
    /// The part's rows.
    rows: Matrix,
    /// What they are multiplied with.
    xs: Arc<[Vec<f32>]>,
    /// The part's first row.
    first: usize,
    answer: Sender<Answer>,
}

/// A part's first row, and the products of each x.
type Answer = (usize, Vec<Vec<f32>>);

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

    /// W x for each of `xs`, every thread computing the rows that are its own, as near to the same
    /// number as they divide.
    pub fn products(&self, w: &Matrix, xs: &[Vec<f32>]) -> Vec<Vec<f32>> {
        self.in_parts(w, xs, w.rows.div_ceil(self.threads.len() + 1))
    }

    /// The same, `n_rows` rows a part. The first part is the caller's.
    pub fn in_parts(&self, w: &Matrix, xs: &[Vec<f32>], n_rows: usize) -> Vec<Vec<f32>> {
        let (answer, answers) = channel();
        let shared: Arc<[Vec<f32>]> = xs.into();
        let firsts = (n_rows..w.rows).step_by(n_rows);
        let mut n_awaited = firsts.len();
        for (first, thread) in firsts.zip(self.threads.iter().cycle()) {
            let job = Job {
                rows: w.slice_rows(first..(first + n_rows).min(w.rows)),
                xs: Arc::clone(&shared),
                first,
                answer: answer.clone(),
            };
            thread.send(job).expect("its thread never ends");
        }
        drop(answer);
        let mut ys = vec![vec![0.0; w.rows]; xs.len()];
        let own = w.slice_rows(0..n_rows.min(w.rows));
        on_one_thread(&own, xs, &mut ys);
        while let Some((first, parts)) = next(&answers) {
            n_awaited -= 1;
            for (y, part) in ys.iter_mut().zip(parts) {
                y[first..first + part.len()].copy_from_slice(&part);
            }
        }
        assert_eq!(n_awaited, 0, "a thread of the team has ended");
        ys
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
    while let Some(job) = next(jobs) {
        let mut ys = vec![vec![0.0; job.rows.rows]; job.xs.len()];
        on_one_thread(&job.rows, &job.xs, &mut ys);
        // A caller that has panicked meanwhile waits no more.
        let _ = job.answer.send((job.first, ys));
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
