//! Which engine is faster here, and which of the GPU's tables of kernels, by a short measurement of
//! each on the same lanes.

use latent_gpu::{AnyEngine, kernels::Table};
use latent_model::{
    engine::{EngineError, pace::Job},
    model::Model,
    parity::sample_prompt,
};

use crate::{
    browser::now_seconds,
    words::{fill, words},
};

/// Tokens of the prompt.
const N_TOKENS: usize = 16;
/// Lanes, as many as a page begins with: an adapter is at its best with several.
const N_LANES: usize = 4;
/// Steps by the clock, after a first one that builds pipelines and fills caches.
const N_STEPS: usize = 6;

/// So many times as fast as the table of the adapter's kind another one must be to run in its place:
/// no chance makes it so, and the numbers of two tables differ by rounding.
const CLEARLY_FASTER: f64 = 1.5;

/// Steps a second of one lane, on each engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// On the GPU.
    pub gpu: f64,
    /// On the CPU.
    pub cpu: f64,
}

impl Measured {
    /// Whether the CPU is to run; the GPU where they are equal, for it leaves the page its thread.
    pub fn prefers_cpu(self) -> bool {
        self.cpu > self.gpu
    }

    /// Both speeds, for people.
    pub fn sentence(self) -> String {
        let [gpu, cpu] = [self.gpu, self.cpu].map(|rate| format!("{rate:.0}"));
        fill(words().engine_measured, &[("gpu", &gpu), ("cpu", &cpu)])
    }
}

/// The fastest of the other tables and its rate, if it is clearly faster than `own`; else `own`.
pub fn clearly_fastest(own: (Table, f64), others: &[(Table, f64)]) -> (Table, f64) {
    let least = CLEARLY_FASTER * own.1;
    let fastest = others.iter().max_by(|(_, a), (_, b)| a.total_cmp(b));
    let clearly = fastest.filter(|(_, rate)| *rate >= least);
    clearly.copied().unwrap_or(own)
}

/// Steps a second of some lanes; a run that was under way is dropped.
pub async fn steps_per_second(model: &Model, engine: &mut AnyEngine) -> Result<f64, EngineError> {
    let job = Job::tokens(N_LANES, N_STEPS, N_STEPS);
    let prompt = sample_prompt(model, N_TOKENS);
    let round = job.run(engine, &prompt, now_seconds).await?;
    Ok(rate(
        N_LANES * N_STEPS,
        round.seconds * N_STEPS as f64 * 1e3,
    ))
}

/// Steps a second; a browser may round its clock to a tenth of a millisecond or more.
fn rate(n_steps: usize, took_ms: f64) -> f64 {
    n_steps as f64 / (took_ms.max(0.1) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faster_engine_is_preferred_and_the_gpu_where_they_are_equal() {
        let measured = |gpu, cpu| Measured { gpu, cpu }.prefers_cpu();
        assert!(measured(90.0, 1130.0));
        assert!(!measured(9000.0, 1130.0));
        assert!(!measured(1130.0, 1130.0));
    }

    #[test]
    fn another_table_runs_where_it_is_clearly_faster() {
        use Table::{Cpu, CpuSubgroups, Gpu};
        let own = (Gpu, 100.0);
        let cases: [(&[(Table, f64)], _); 5] = [
            (&[], own),
            (&[(Cpu, 10.0)], own),
            (&[(Cpu, 149.0)], own),
            (&[(Cpu, 150.0)], (Cpu, 150.0)),
            (
                &[(Cpu, 200.0), (CpuSubgroups, 300.0)],
                (CpuSubgroups, 300.0),
            ),
        ];
        for (others, expected) in cases {
            assert_eq!(clearly_fastest(own, others), expected, "{others:?}");
        }
    }

    #[test]
    fn a_clock_that_stands_still_gives_a_number() {
        assert_eq!(rate(24, 12.0), 2000.0);
        assert!(rate(24, 0.0).is_finite());
    }
}
