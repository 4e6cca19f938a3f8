//! How fast a run is: its clocks, and what the log says of them.

use std::{
    fs,
    sync::OnceLock,
    time::{Duration, Instant},
};

use indicatif::HumanDuration;

/// How fast a run is, since its last line in the log.
pub struct Throughput {
    since: Instant,
    /// Steps taken since then.
    pub n_steps: u64,
    /// Positions computed since then.
    pub n_positions: usize,
}

impl Throughput {
    /// Nothing done yet.
    pub fn from_now() -> Throughput {
        Throughput {
            since: Instant::now(),
            n_steps: 0,
            n_positions: 0,
        }
    }

    /// Tokens a second, and the time that so many more steps will take.
    pub fn text(&self, steps_left: u64) -> String {
        let seconds = self.since.elapsed().as_secs_f64();
        let tokens = self.n_positions as f64 / seconds;
        let left = seconds / self.n_steps.max(1) as f64 * steps_left as f64;
        let left = HumanDuration(Duration::from_secs_f64(left));
        format!("{tokens:.0} tokens/s · {left} left")
    }
}

/// CPU seconds of this thread, as Linux counts them; elsewhere the time since the first call.
pub fn cpu_seconds() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let linux = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = linux.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(
        || START.get_or_init(Instant::now).elapsed().as_secs_f64(),
        |nanoseconds| nanoseconds / 1e9,
    )
}
