//! What the rounds say: speeds, peers, and ratios.

use std::collections::BTreeMap;

use latent_model::{engine::pace::Job, input::Feed};

use super::{
    BenchArgs, STEPS_PER_SUBMIT, ceiling::step_seconds, contestant::Contestant, facts::Counted,
    measured::Measured, report,
};

/// The GPU engine's jobs.
pub fn decodes(engine: &Contestant, counters: &Counted) -> Vec<report::Decode> {
    let jobs = engine.jobs.iter().zip(&engine.seconds);
    let decode = |(job, seconds): (&Job, &Vec<f64>)| {
        let mut declared = counters.declared.iter();
        let [bytes, flops] = declared
            .find(|(feed, n_lanes, _)| (*feed, *n_lanes) == (job.feed, job.n_lanes))
            .map_or([0; 2], |(_, _, declared)| *declared);
        report::Decode {
            feed: match job.feed {
                Feed::Concept => "mixture".into(),
                _ => "token".into(),
            },
            lanes: job.n_lanes,
            steps_per_submit: job.steps_per_submit,
            tokens_per_second: Measured::rate(job.n_lanes as f64, seconds),
            tokens_per_second_per_lane: Measured::rate(1.0, seconds),
            bytes_per_second: Measured::rate(bytes as f64, seconds),
            flops_per_second: Measured::rate(flops as f64, seconds),
        }
    };
    jobs.map(decode).collect()
}

/// Reading the long prompt, by the GPU engine and by everybody else who reads prompts as a whole.
pub fn prefill(contestants: &[Contestant], prompt_tokens: usize) -> report::Prefill {
    let rate = |seconds: &[f64]| Measured::rate(prompt_tokens as f64, seconds);
    let (engine, others) = contestants
        .split_first()
        .expect("the GPU engine is the first");
    let others = others.iter().filter(|other| !other.first_tokens.is_empty());
    report::Prefill {
        prompt_tokens,
        tokens_per_second: rate(&engine.first_tokens),
        first_token_seconds: Measured::of(engine.first_tokens.iter().copied()),
        peers: others
            .map(|other| (other.name.clone(), rate(&other.first_tokens)))
            .collect(),
    }
}

pub fn peers(contestants: &[Contestant]) -> Vec<report::Peer> {
    let (engine, others) = contestants
        .split_first()
        .expect("the GPU engine is the first");
    let mut peers = Vec::new();
    for contestant in others {
        for (place, job) in contestant.jobs.iter().enumerate() {
            let own = engine.jobs.iter().position(|own| own == job);
            let expected = &engine.tokens[own.expect("every job of a peer is the engine's too")];
            let tokens = &contestant.tokens[place];
            let pairs = expected.iter().zip(tokens);
            peers.push(report::Peer {
                name: contestant.name.clone(),
                lanes: job.n_lanes,
                tokens_per_second: Measured::rate(job.n_lanes as f64, &contestant.seconds[place]),
                same_tokens: pairs
                    .take_while(|(expected, found)| expected == found)
                    .count(),
                tokens: tokens.len(),
            });
        }
    }
    peers
}

/// All ratios, by the names under which `crates/cli/bench/floor.toml` holds them.
pub fn ratios(
    contestants: &[Contestant],
    ceiling: &[report::Ceiling],
    args: &BenchArgs,
) -> BTreeMap<String, Measured> {
    let steps = args.steps;
    let (engine, others) = contestants
        .split_first()
        .expect("the GPU engine is the first");
    let token = |n_lanes, per_submit| engine.seconds(Job::tokens(n_lanes, steps, per_submit));
    let one = token(1, STEPS_PER_SUBMIT);
    let mut ratios = BTreeMap::new();
    let mut insert = |name: String, ratio: Measured| ratios.insert(name, ratio);
    for n_lanes in &args.lanes[1..] {
        let lanes = Measured::speed_ratio(token(*n_lanes, STEPS_PER_SUBMIT), one);
        let in_all = lanes.times(*n_lanes as f64);
        insert(format!("{n_lanes} lanes in all over 1"), in_all);
    }
    let single = Measured::speed_ratio(one, token(1, 1));
    insert(format!("{STEPS_PER_SUBMIT} steps a submit over 1"), single);
    for other in others.iter().filter(|other| !other.first_tokens.is_empty()) {
        let ratio = Measured::speed_ratio(&engine.first_tokens, &other.first_tokens);
        insert(format!("first token over {}", other.name), ratio);
    }
    for n_lanes in args.peer_lanes() {
        let tokens = token(n_lanes, STEPS_PER_SUBMIT);
        let mixtures = Measured::speed_ratio(
            engine.seconds(Job::mixtures(n_lanes, steps, STEPS_PER_SUBMIT)),
            tokens,
        );
        insert(format!("mixtures over tokens, lanes {n_lanes}"), mixtures);
        let best = step_seconds(ceiling, n_lanes);
        let share = Measured::of(tokens.iter().map(|seconds| best / seconds));
        insert(
            format!("share of the adapter's best, lanes {n_lanes}"),
            share,
        );
        for other in others {
            let others = other.seconds(Job::tokens(n_lanes, steps, STEPS_PER_SUBMIT));
            let ratio = Measured::speed_ratio(tokens, others);
            insert(format!("over {}, lanes {n_lanes}", other.name), ratio);
        }
    }
    ratios
}
