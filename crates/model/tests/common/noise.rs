//! Noise on mixtures against the distributions that it is to have: every draw is put through its
//! own cumulative distribution, and what comes out must be uniform (Kolmogorov and Smirnov).

use latent_model::{
    engine::{Engine, LaneSpec, run_to_end},
    input::Input,
    program::{Adapter, Feed, Noise, Phase, Program, Role, Sampler, Until},
    record::{InputKind, StepRecord},
};
use pollster::block_on;

/// Lanes that mix the two most probable tokens for forty steps, each with noise of its own.
pub fn lanes(noise: Noise) -> Vec<LaneSpec> {
    let phase = |role, feed, noise, max_steps| Phase {
        role,
        feed,
        sampler: Sampler {
            temperature: 20.0,
            top_k: 2,
            max_concepts: 2,
            greedy: false,
            noise,
            ..Sampler::GREEDY
        },
        until: Until::steps(max_steps),
        then_force: Vec::new(),
        adapter: Adapter::Base,
    };
    let program = Program {
        start: Vec::new(),
        phases: vec![
            phase(Role::Think, Feed::Concept, noise, 40),
            phase(Role::Answer, Feed::Token, Noise::None, 1),
        ],
    };
    let lane = |seed| LaneSpec {
        inputs: Input::tokens(&[1, 2 + seed % 30]),
        program: program.clone(),
        seed,
        stream: 7,
        decode_thoughts: false,
    };
    (0..60).map(lane).collect()
}

/// Of every mixture, where the weight of the token with the smaller id lies in its distribution.
fn places(records: &[StepRecord], cumulative: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let mixes = |record: &&StepRecord| record.input_kind() == InputKind::Concept;
    let place = |record: &StepRecord| {
        let mut kept: Vec<_> = record.kept().collect();
        assert_eq!(kept.len(), 2);
        kept.sort_by_key(|kept| kept.id);
        let share = f64::from(kept[0].prob) / f64::from(kept[0].prob + kept[1].prob);
        cumulative(f64::from(kept[0].weight), share)
    };
    records.iter().filter(mixes).map(place).collect()
}

/// The largest distance of the places from uniform, times √n: above 1.95 in one of a thousand
/// right samples.
fn kolmogorov_smirnov(mut places: Vec<f64>) -> f64 {
    places.sort_by(f64::total_cmp);
    let n = places.len() as f64;
    let distance = |(rank, place): (usize, &f64)| {
        let rank = rank as f64;
        (place - rank / n)
            .abs()
            .max(((rank + 1.0) / n - place).abs())
    };
    n.sqrt() * places.iter().enumerate().map(distance).fold(0.0, f64::max)
}

/// Where w lies for two tokens of shares p and 1 − p under Gumbel-Softmax: the difference of two
/// Gumbel numbers is logistic.
fn gumbel_place(w: f64, p: f64, tau: f64) -> f64 {
    let logit = |x: f64| (x / (1.0 - x)).ln();
    1.0 / (1.0 + (-(tau * logit(w.clamp(1e-12, 1.0 - 1e-12)) - logit(p))).exp())
}

/// Where w lies under Beta(αp, α(1 − p)), which a Dirichlet draw of two tokens is: the regularised
/// incomplete beta function, by Simpson's rule over t = w·s^(1/a), which takes its pole away.
fn dirichlet_place(w: f64, p: f64, alpha: f64) -> f64 {
    let (a, b) = (alpha * p, alpha * (1.0 - p));
    // ∫₀^x t^(a−1) (1−t)^(b−1) dt = x^a / a · ∫₀¹ (1 − x s^(1/a))^(b−1) ds
    let lower = |x: f64, a: f64, b: f64| {
        let n = 2000;
        let f = |s: f64| (1.0 - x * s.powf(1.0 / a)).powf(b - 1.0);
        let inner = |i: usize| if i % 2 == 1 { 4.0 } else { 2.0 };
        let sum: f64 = (1..n).map(|i| inner(i) * f(i as f64 / n as f64)).sum();
        x.powf(a) / a * (f(0.0) + sum + f(1.0)) / (3.0 * n as f64)
    };
    let half = (lower(0.5, a, b), lower(0.5, b, a));
    let all = half.0 + half.1;
    match w <= 0.5 {
        true => lower(w, a, b) / all,
        false => 1.0 - lower(1.0 - w, b, a) / all,
    }
}

/// Checks both kinds of noise on an engine.
pub fn assert_distributed<E: Engine>(engine: &mut E) {
    let mut records = |noise| {
        let lanes = lanes(noise);
        let traces = block_on(run_to_end(engine, &lanes, 16, |_| {})).expect("a run");
        traces.concat()
    };
    for tau in [0.5, 1.5] {
        let records = records(Noise::Gumbel { tau });
        let place = |tau: f64| places(&records, |w, p| gumbel_place(w, p, tau));
        let found = place(f64::from(tau));
        assert_eq!(found.len(), 2400);
        let statistic = kolmogorov_smirnov(found);
        assert!(statistic < 1.95, "τ {tau}: {statistic}");
        // The test sees noise of another size.
        assert!(kolmogorov_smirnov(place(1.2 * f64::from(tau))) > 1.95);
    }
    for alpha in [1.0, 4.0] {
        let records = records(Noise::Dirichlet { alpha });
        let place = |alpha: f64| places(&records, |w, p| dirichlet_place(w, p, alpha));
        let statistic = kolmogorov_smirnov(place(f64::from(alpha)));
        assert!(statistic < 1.95, "α {alpha}: {statistic}");
        assert!(kolmogorov_smirnov(place(1.3 * f64::from(alpha))) > 1.95);
    }
}
