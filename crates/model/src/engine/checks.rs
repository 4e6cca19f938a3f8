//! What every engine checks: its lanes and their inputs before it touches a device, the records
//! that come back.

use super::{EngineError, LaneCursor, LaneSpec, ModelCapabilities, Patch};
use crate::{
    config::ModelConfig,
    input::Input,
    program::{Adapter, MAX_KEPT},
    record::{StepRecord, flag},
};

/// What an engine and its model can run.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// The model's shape.
    pub config: &'a ModelConfig,
    /// What the checkpoint brings.
    pub capabilities: ModelCapabilities,
    /// Lanes of one run.
    pub max_lanes: usize,
}

/// What every engine checks before it touches a device.
pub fn check_lanes(lanes: &[LaneSpec], limits: &Limits<'_>) -> Result<(), EngineError> {
    let (config, max) = (limits.config, limits.max_lanes);
    if lanes.is_empty() || lanes.len() > max {
        let found = lanes.len();
        return Err(EngineError::LaneCount { max, found });
    }
    for (lane, spec) in lanes.iter().enumerate() {
        spec.program
            .validate(config.vocab_size)
            .map_err(|reason| EngineError::Program { lane, reason })?;
        if let Some(phase) = spec.program.end_classifier_phase()
            && !limits.capabilities.end_classifier
        {
            return Err(EngineError::NoEndClassifier { lane, phase });
        }
        if let Some(phase) = spec.program.contemplation_phase()
            && limits.capabilities.contemplation.is_none()
        {
            return Err(EngineError::NoContemplation { lane, phase });
        }
        if let Some((phase, layer)) = spec.program.deepest_tap()
            && layer as usize >= config.n_layers
        {
            let last = config.n_layers - 1;
            return Err(EngineError::NoLayer {
                lane,
                phase,
                layer,
                last,
            });
        }
        check_inputs(lane, &spec.inputs, spec.program.max_positions(), config)?;
    }
    Ok(())
}

/// Whether a lane can be given `inputs` and then be fed up to `continuation` more.
pub fn check_inputs(
    lane: usize,
    inputs: &[Input],
    continuation: usize,
    config: &ModelConfig,
) -> Result<(), EngineError> {
    if inputs.is_empty() {
        return Err(EngineError::NoInputs { lane });
    }
    for (index, input) in inputs.iter().enumerate() {
        check_input(lane, index, input, config)?;
    }
    let (given, context) = (inputs.len(), config.max_position_embeddings);
    if given + continuation > context {
        return Err(EngineError::ContextTooShort {
            lane,
            given,
            continuation,
            context,
        });
    }
    Ok(())
}

/// Whether every cursor is one of the run's lanes', in a phase of its program, not ahead of what
/// the lane has been fed nor back in what it was given, and with an input that can be fed, unless
/// it is done. `lanes` are the run's, each with the position that comes next.
pub fn check_cursors(
    cursors: &[LaneCursor],
    lanes: &[(&LaneSpec, u32)],
    config: &ModelConfig,
) -> Result<(), EngineError> {
    for LaneCursor { state, input } in cursors {
        let lane = state.lane as usize;
        let Some(&(spec, next)) = lanes.get(lane) else {
            let n_lanes = lanes.len();
            return Err(EngineError::NoLane { lane, n_lanes });
        };
        let bad = |expected: String, found: String| {
            Err(EngineError::BadCursor {
                lane,
                expected,
                found,
            })
        };
        let positions = spec.inputs.len() as u32 - 1..=next;
        if !positions.contains(&state.position) {
            let (first, last) = positions.into_inner();
            let expected = format!("a position in {first} ..= {last}");
            return bad(expected, state.position.to_string());
        }
        let n_phases = spec.program.phases.len();
        if state.phase as usize >= n_phases {
            let expected = format!("a phase below {n_phases}");
            return bad(expected, state.phase.to_string());
        }
        if let Some(forcing) = state.forcing {
            let n_tokens = forcing.text.tokens(&spec.program).len();
            if forcing.next as usize >= n_tokens {
                let expected = format!("a token below {n_tokens} of a text to force");
                return bad(expected, forcing.next.to_string());
            }
        }
        let n_stop_text = spec.program.phases[state.phase as usize]
            .until
            .stop_text
            .len();
        if state.n_matched as usize >= n_stop_text.max(1) {
            let expected = format!("fewer than all {n_stop_text} tokens of a stop text");
            return bad(expected, state.n_matched.to_string());
        }
        let mut adapters = spec.program.phases.iter().map(|phase| phase.adapter);
        if state.adapter != Adapter::Base && !adapters.any(|known| known == state.adapter) {
            let expected = "an adapter of its program's phases".into();
            return bad(expected, state.adapter.name().into());
        }
        match input {
            Some(input) if !state.done => check_input(lane, 0, input, config)?,
            None if state.done => {}
            Some(_) => return bad("no input, being done".into(), "one".into()),
            None => return bad("an input, not being done".into(), "none".into()),
        }
    }
    Ok(())
}

/// The inputs of cursors that are asked about: [`check_cursors`], and each has one.
pub fn check_peek<'a>(
    cursors: &'a [LaneCursor],
    lanes: &[(&LaneSpec, u32)],
    config: &ModelConfig,
) -> Result<Vec<&'a Input>, EngineError> {
    check_cursors(cursors, lanes, config)?;
    let input = |cursor: &'a LaneCursor| {
        cursor.input.as_ref().ok_or(EngineError::BadCursor {
            lane: cursor.state.lane as usize,
            expected: "an input, to be asked about".into(),
            found: "none".into(),
        })
    };
    cursors.iter().map(input).collect()
}

/// Whether every patch is of one of the run's lanes and stands in the residual stream after a layer
/// of the model.
pub fn check_patches(
    patches: &[Patch],
    n_lanes: usize,
    config: &ModelConfig,
) -> Result<(), EngineError> {
    let (n_layers, d) = (config.n_layers, config.hidden_size);
    for Patch { lane, layer, state } in patches {
        let is_finite = state.iter().all(|x| x.is_finite());
        if *lane >= n_lanes || *layer >= n_layers || state.len() != d || !is_finite {
            let finite = match is_finite {
                true => "finite",
                false => "not all finite",
            };
            return Err(EngineError::BadPatch {
                lane: *lane,
                expected: format!(
                    "{d} finite numbers after one of {n_layers} layers of one of {n_lanes} lanes"
                ),
                found: format!("{} {finite} after layer {layer}", state.len()),
            });
        }
    }
    Ok(())
}

/// Whether an engine can feed `input`: tokens of the vocabulary, weights that sum to 1, vectors
/// of the model's width.
pub fn check_input(
    lane: usize,
    index: usize,
    input: &Input,
    config: &ModelConfig,
) -> Result<(), EngineError> {
    let vocab_size = config.vocab_size;
    let unknown = |&id: &u32| id as usize >= vocab_size;
    let bad = |expected: String, found: String| {
        Err(EngineError::BadInput {
            lane,
            index,
            expected,
            found,
        })
    };
    let ids: Vec<u32> = match input {
        Input::Token(id) => vec![*id],
        Input::Mixture(mixture) => mixture.iter().map(|&(id, _)| id).collect(),
        Input::Vector(_) => Vec::new(),
    };
    if let Some(token) = ids.into_iter().find(unknown) {
        return Err(EngineError::UnknownToken {
            lane,
            token,
            vocab_size,
        });
    }
    match input {
        Input::Mixture(mixture) => {
            let sum: f32 = mixture.iter().map(|&(_, weight)| weight).sum();
            let n = mixture.len();
            if !(1..=MAX_KEPT).contains(&n) {
                return bad(
                    format!("a mixture of 1 to {MAX_KEPT} tokens"),
                    n.to_string(),
                );
            }
            // Not its opposite, so that a NaN is refused.
            let is_whole = (sum - 1.0).abs() <= MASS_TOLERANCE;
            if !is_whole || mixture.iter().any(|&(_, weight)| weight < 0.0) {
                let found = format!("weights that sum to {sum}");
                return bad("weights of at least 0 that sum to 1".into(), found);
            }
            Ok(())
        }
        Input::Vector(vector) if vector.len() != config.hidden_size => bad(
            format!("a vector of {} numbers", config.hidden_size),
            vector.len().to_string(),
        ),
        Input::Vector(vector) if vector.iter().any(|x| !x.is_finite()) => {
            bad("finite numbers".into(), "a NaN or an infinity".into())
        }
        Input::Token(_) | Input::Vector(_) => Ok(()),
    }
}

/// How far rounding may carry a sum of probabilities past 1.
const MASS_TOLERANCE: f32 = 1e-3;

/// Turns records that report bad numbers, or that hold numbers which no right sampler over
/// `vocab_size` tokens writes, into an error that names `engine`.
pub fn check_records(
    records: Vec<StepRecord>,
    vocab_size: usize,
    engine: impl Fn() -> String,
) -> Result<Vec<StepRecord>, EngineError> {
    for record in &records {
        let StepRecord { lane, step, .. } = *record;
        if record.has(flag::NON_FINITE) {
            return Err(EngineError::NonFinite { lane, step });
        }
        if let Some(what) = implausible(record, vocab_size) {
            return Err(EngineError::Implausible {
                engine: engine(),
                lane,
                step,
                what,
            });
        }
    }
    Ok(records)
}

/// What is wrong with a record's numbers, in words.
fn implausible(record: &StepRecord, vocab_size: usize) -> Option<String> {
    let most = 1.0 + MASS_TOLERANCE;
    let outside = |name: &str, found: f32, most: f32| {
        // Not `contains` alone: a NaN lies outside of every range.
        (!(0.0..=most).contains(&found))
            .then(|| format!("{name} must be in 0 ..= {most}, found {found}"))
    };
    if record.n_kept as usize > MAX_KEPT.min(vocab_size) {
        let most = MAX_KEPT.min(vocab_size);
        return Some(format!(
            "at most {most} tokens are kept, found {}",
            record.n_kept
        ));
    }
    let unknown = record.kept().map(|kept| kept.id).chain([record.token]);
    if let Some(id) = unknown.into_iter().find(|&id| id as usize >= vocab_size) {
        return Some(format!(
            "token {id} is outside of the vocabulary of {vocab_size} tokens"
        ));
    }
    let most_entropy = (vocab_size as f32).ln() * most + MASS_TOLERANCE;
    let (mut prob_mass, mut weight_mass) = (0.0, 0.0);
    for kept in record.kept() {
        prob_mass += kept.prob;
        weight_mass += kept.weight;
        let prob = outside("a probability", kept.prob, most);
        let wrong = prob.or_else(|| outside("a weight", kept.weight, most));
        if wrong.is_some() {
            return wrong;
        }
    }
    outside("the kept probability mass", prob_mass, most)
        .or_else(|| outside("the kept weights' sum", weight_mass, most))
        .or_else(|| outside("the entropy", record.entropy, most_entropy))
        .or_else(|| outside("the raw entropy", record.raw_entropy, most_entropy))
        .or_else(|| outside("the end probability", record.end_probability, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        program::{Adapter, Feed, Phase, Program, Role, Sampler, Until},
        select::LaneState,
    };

    fn shipped_config() -> ModelConfig {
        ModelConfig::from_json(include_str!(
            "../../../../public/models/prosqa-coconut/config.json"
        ))
        .expect("a config that ships")
    }

    #[test]
    fn what_no_right_sampler_writes_is_refused() {
        let right = StepRecord {
            n_kept: 2,
            step: 3,
            entropy: 1.0,
            raw_entropy: 1.1,
            ids: std::array::from_fn(|i| i as u32),
            probs: std::array::from_fn(|i| [0.6, 0.4].get(i).copied().unwrap_or(0.0)),
            weights: std::array::from_fn(|i| [0.7, 0.3].get(i).copied().unwrap_or(0.0)),
            ..bytemuck::Zeroable::zeroed()
        };
        let check = |record| check_records(vec![record], 64, || "GPU engine on X".into());
        assert_eq!(check(right).map(|records| records.len()), Ok(1));
        type Change = fn(&mut StepRecord);
        let changes: [(&str, Change); 11] = [
            ("a probability", |record| record.probs[1] = 3.7e7),
            ("a probability", |record| record.probs[1] = -0.1),
            ("a probability", |record| record.probs[0] = f32::NAN),
            ("a weight", |record| record.weights[0] = 1e15),
            ("kept probability mass", |record| record.probs[1] = 0.41),
            ("kept weights' sum", |record| record.weights[1] = 0.31),
            ("the entropy", |record| record.entropy = 64_f32.ln() + 0.1),
            ("the entropy", |record| record.entropy = f32::NAN),
            ("raw entropy", |record| record.raw_entropy = -1.0),
            ("tokens are kept", |record| record.n_kept = 33),
            ("outside of the vocabulary", |record| record.ids[1] = 64),
        ];
        for (what, change) in changes {
            let mut wrong = right;
            change(&mut wrong);
            let error = check(wrong).expect_err(what).to_string();
            assert!(error.contains(what), "{error}");
            assert!(
                error.contains("GPU engine on X") && error.contains("step 3"),
                "{error}"
            );
        }
    }

    #[test]
    fn inputs_that_cannot_be_fed_are_refused() {
        let config = shipped_config();
        let d = config.hidden_size;
        let fits = [
            Input::Token(3),
            Input::Mixture(vec![(1, 0.25), (2, 0.75)]),
            Input::Vector(vec![0.5; d]),
        ];
        for input in fits {
            assert_eq!(check_input(0, 1, &input, &config), Ok(()), "{input:?}");
        }
        let unfit = [
            (Input::Token(64), "outside of the vocabulary"),
            (Input::Mixture(vec![(64, 1.0)]), "outside of the vocabulary"),
            (Input::Mixture(Vec::new()), "1 to 32 tokens, found 0"),
            (
                Input::Mixture(vec![(1, 0.02); 50]),
                "1 to 32 tokens, found 50",
            ),
            (
                Input::Mixture(vec![(1, 0.5)]),
                "sum to 1, found weights that sum to 0.5",
            ),
            (Input::Mixture(vec![(1, -0.5), (2, 1.5)]), "at least 0"),
            (Input::Mixture(vec![(1, f32::NAN)]), "sum to 1"),
            (Input::Vector(vec![0.5; d - 1]), "vector of"),
            (Input::Vector(vec![f32::INFINITY; d]), "finite"),
        ];
        for (input, what) in unfit {
            let error = check_input(0, 1, &input, &config)
                .expect_err(what)
                .to_string();
            assert!(error.contains(what), "{error}");
        }
    }
    #[test]
    fn cursors_at_which_no_lane_can_stand_are_refused() {
        let config = shipped_config();
        let phase = Phase {
            role: Role::Answer,
            feed: Feed::Token,
            adapter: Adapter::Base,
            sampler: Sampler::GREEDY,
            until: Until::steps(9),
            then_force: Vec::new(),
        };
        let spec = LaneSpec {
            inputs: Input::tokens(&[1, 2, 3]),
            program: Program {
                start: Vec::new(),
                phases: vec![phase],
            },
            seed: 0,
            stream: 0,
            decode_thoughts: false,
        };
        // Both have been fed two tokens more.
        let lanes = [(&spec, 5), (&spec, 5)];
        let fits = |position| LaneCursor {
            state: LaneState {
                position,
                ..LaneState::new(1, &spec)
            },
            input: Some(Input::Token(3)),
        };
        for position in 2..=5 {
            let cursors = [fits(position)];
            assert_eq!(check_cursors(&cursors, &lanes, &config), Ok(()));
        }
        type Change = fn(&mut LaneCursor);
        let changes: [(&str, Change); 8] = [
            ("lane 2; expected one of the run's 2", |c| c.state.lane = 2),
            ("a position in 2 ..= 5, found 1", |c| c.state.position = 1),
            ("a position in 2 ..= 5, found 6", |c| c.state.position = 6),
            ("a phase below 1, found 1", |c| c.state.phase = 1),
            ("its program's phases, found generator", |c| {
                c.state.adapter = Adapter::Generator;
            }),
            ("no input, being done, found one", |c| c.state.done = true),
            ("an input, not being done, found none", |c| c.input = None),
            ("lane 1: token 64 is outside", |c| {
                c.input = Some(Input::Token(64));
            }),
        ];
        for (what, change) in changes {
            let mut wrong = fits(4);
            change(&mut wrong);
            let error = check_cursors(&[fits(3), wrong], &lanes, &config).expect_err(what);
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
