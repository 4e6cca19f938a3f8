//! The chain-of-thought objective: a shortest path in words, then the answer.

use latent_model::tasks::prosqa::{VOCABULARY_SIZE, marker};

use crate::llama::{Llama, QuestionCache};
use crate::objective::{
    LossConfig, Outcome, ancestor_loss, argmax, asks, number, numbers, positions, read_batch,
};
use crate::random::Random;
use crate::samples::{Ask, Sample};
use crate::targets::{Rows, cross_entropy};

/// Positions of `? R A B`, at which nothing is predicted.
const N_QUESTION: usize = 4;

/// Input tokens of one question, and what each shall predict (a row of zeros: nothing).
struct Line {
    inputs: Vec<u32>,
    targets: Vec<Vec<(u32, f32)>>,
}

/// The loss of a batch of chains, each along one random shortest path.
///
/// At a branch the target is spread evenly over the steps that begin a shortest path: what one
/// random path a question teaches on average, with less noise. So branch points keep the entropy
/// that the data has.
///
/// The accuracy is the share of questions for which every prediction, the right beginning given,
/// is one that the targets allow.
pub fn loss(
    model: &Llama,
    samples: &[Sample],
    config: &LossConfig,
    random: &mut Random,
) -> Outcome {
    let lines: Vec<Line> = asks(samples)
        .map(|(sample, ask)| line(sample, ask, config.markers, random))
        .collect();
    let n_new = lines
        .iter()
        .map(|line| line.inputs.len())
        .max()
        .unwrap_or(0);
    let mut inputs = Rows::default();
    let mut targets = Rows::default();
    for line in &lines {
        for position in 0..n_new {
            let id = line.inputs.get(position).copied().unwrap_or(marker::PAD);
            inputs.push_token(id, 1.0);
            if position >= N_QUESTION {
                let target = line.targets.get(position).into_iter().flatten();
                targets.push_weights(target.copied());
            }
        }
    }
    let n_questions = samples[0].asks.len();
    let mut batch = read_batch(model, samples);
    let inputs = model.embed(inputs.into_tensor(&model.device));
    let residuals = batch.extend(model, inputs, n_questions, &mut QuestionCache::default());
    let ancestors = ancestor_loss(model, &residuals, samples, n_new, config).loss;
    let chain = positions(residuals.last, n_new, N_QUESTION, n_new - N_QUESTION);
    let (loss, logits) = cross_entropy(model, model.final_norm(chain), targets.clone());
    let chain = loss.div_scalar(lines.len() as f32);
    Outcome {
        parts: vec![("chain", number(&chain)), ("ancestors", number(&ancestors))],
        loss: chain + ancestors.mul_scalar(config.ancestors),
        accuracy: allowed_share(&numbers(logits), &targets, n_new - N_QUESTION),
        n_questions: lines.len(),
        n_positions: batch.n_positions,
    }
}

/// `? R A B <think> R X₁ X₁ X₂ … T </think> ### R T`, predicting from `<think>` on.
fn line(sample: &Sample, ask: &Ask, markers: f32, random: &mut Random) -> Line {
    let mut line = Line {
        inputs: sample.question_tokens(ask).to_vec(),
        targets: vec![Vec::new(); N_QUESTION],
    };
    let id = |node: usize| sample.ids[node];
    let to_target = sample.predecessors.distances(ask.target);
    let mut node = ask.root;
    line.inputs.push(marker::THINK);
    line.targets.push(vec![(id(node), markers)]);
    while node != ask.target {
        let next: Vec<usize> = sample
            .successors
            .of(node)
            .iter()
            .copied()
            .filter(|&next| nearer(&to_target, node, next))
            .collect();
        let weight = 1.0 / next.len() as f32;
        line.inputs.push(id(node));
        line.targets
            .push(next.iter().map(|&next| (id(next), weight)).collect());
        node = next[random.below(next.len())];
        let (after, weight) = if node == ask.target {
            (marker::END_THINK, 1.0)
        } else {
            (id(node), markers)
        };
        line.inputs.push(id(node));
        line.targets.push(vec![(after, weight)]);
    }
    let answer = [marker::ANSWER, id(ask.root), id(ask.target), marker::EOS];
    let read = [
        marker::END_THINK,
        marker::ANSWER,
        id(ask.root),
        id(ask.target),
    ];
    for (input, target) in read.into_iter().zip(answer) {
        line.inputs.push(input);
        line.targets.push(vec![(target, markers)]);
    }
    line
}

/// Whether `next` is one step nearer to where the distances are measured to.
fn nearer(distances: &[Option<usize>], node: usize, next: usize) -> bool {
    match (distances[node], distances[next]) {
        (Some(here), Some(there)) => there + 1 == here,
        _ => false,
    }
}

/// The share of questions whose every prediction is one of its targets.
fn allowed_share(logits: &[f32], targets: &Rows, n_positions: usize) -> f64 {
    let n_questions = targets.len() / n_positions;
    let is_right = |question: &usize| {
        (0..n_positions).all(|position| {
            let index = question * n_positions + position;
            let row = &logits[index * VOCABULARY_SIZE..(index + 1) * VOCABULARY_SIZE];
            let target = targets.row(index);
            target.iter().all(|&weight| weight == 0.0) || target[argmax(row)] > 0.0
        })
    };
    (0..n_questions).filter(is_right).count() as f64 / n_questions as f64
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::prosqa::Adjacency;

    use super::*;

    /// 0 → 2 → 4 and 0 → 3 → 4 are the two shortest paths; 1 → 5 is the other root's.
    fn diamond() -> Sample {
        let statements = vec![[0, 2], [0, 3], [2, 4], [3, 4], [1, 5]];
        Sample {
            ids: vec![0, 1, 20, 21, 22, 23],
            successors: Adjacency::successors(6, &statements),
            predecessors: Adjacency::predecessors(6, &statements),
            statements,
            asks: vec![Ask {
                root: 0,
                options: [5, 4],
                target: 4,
            }],
        }
    }

    #[test]
    fn each_position_predicts_what_follows_it() {
        let sample = diamond();
        let line = line(&sample, &sample.asks[0], 0.1, &mut Random::new(0));
        let step = line.inputs[6];
        assert!(
            step == 20 || step == 21,
            "the first step goes to either middle, found {step}"
        );
        let inputs = [
            marker::QUESTION,
            0,
            23,
            22,
            marker::THINK,
            0,
            step,
            step,
            22,
            marker::END_THINK,
            marker::ANSWER,
            0,
            22,
        ];
        assert_eq!(line.inputs, inputs);
        let targets: Vec<Vec<(u32, f32)>> = vec![
            // Nothing is predicted inside the question.
            vec![],
            vec![],
            vec![],
            vec![],
            vec![(0, 0.1)],
            // A branch: both middles begin a shortest path.
            vec![(20, 0.5), (21, 0.5)],
            vec![(step, 0.1)],
            vec![(22, 1.0)],
            // The path is at the target: stopping is a decision, not a marker.
            vec![(marker::END_THINK, 1.0)],
            vec![(marker::ANSWER, 0.1)],
            vec![(0, 0.1)],
            vec![(22, 0.1)],
            vec![(marker::EOS, 0.1)],
        ];
        assert_eq!(line.targets, targets);
    }

    #[test]
    fn both_shortest_paths_are_drawn() {
        let sample = diamond();
        let first_steps: std::collections::BTreeSet<u32> = (0..20)
            .map(|seed| line(&sample, &sample.asks[0], 0.1, &mut Random::new(seed)).inputs[6])
            .collect();
        assert_eq!(first_steps, [20, 21].into());
    }
}
