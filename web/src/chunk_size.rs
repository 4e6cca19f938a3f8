//! How many steps go into one chunk, so that the page never freezes and no time is lost.

/// The largest chunk.
const MOST_STEPS: usize = 16;
/// A chunk should take about this long: less than a frame at 60 Hz.
const TARGET_MS: f64 = 12.0;

/// The chunk size that fits the engine's speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSize(usize);

impl Default for ChunkSize {
    fn default() -> Self {
        Self(1)
    }
}

impl ChunkSize {
    /// Steps in the next chunk.
    pub fn steps(self) -> usize {
        self.0
    }

    /// The chunk after one that took this long.
    pub fn after(self, took_ms: f64) -> Self {
        if took_ms < TARGET_MS {
            Self((self.0 * 2).min(MOST_STEPS))
        } else if took_ms > 2.0 * TARGET_MS {
            Self((self.0 / 2).max(1))
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_engine_gets_large_chunks_and_a_slow_one_single_steps() {
        let mut chunk = ChunkSize::default();
        for _ in 0..10 {
            chunk = chunk.after(1.0);
        }
        assert_eq!(chunk.steps(), MOST_STEPS);
        for _ in 0..10 {
            chunk = chunk.after(300.0);
        }
        assert_eq!(chunk.steps(), 1);
    }
}
