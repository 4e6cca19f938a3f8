//! Another engine beside the reference: what is run, and from where every step begins.

use crate::{
    compare::{RECORD_TOLERANCE, record_difference},
    engine::{Engine, EngineError, LaneSpec},
    input::{Feed, Input},
    model::Model,
    record::{Kept, StepRecord, flag},
    reference::ReferenceEngine,
    rng::{DRAW_TOKEN, DrawKey, uniform},
    strategy::{STRATEGIES, Settings},
};

/// A prompt of `n_tokens` ids that every checkpoint has, whatever its vocabulary is; no two in a
/// row are equal.
pub fn sample_prompt(model: &Model, n_tokens: usize) -> Vec<u32> {
    let n_words = model.tokenizer.words().len().max(1);
    (0..n_tokens)
        .map(|index| (index * 7 % n_words) as u32)
        .collect()
}

/// A lane for every strategy that the checkpoint has the markers and parts for, by the
/// strategy's name. No phase of it takes more than `most_steps`.
pub fn runnable_lanes(
    model: &Model,
    prompt: &[u32],
    most_steps: u32,
) -> Vec<(&'static str, LaneSpec)> {
    let capabilities = model.capabilities();
    let mut lanes: Vec<(&str, LaneSpec)> = Vec::new();
    for strategy in STRATEGIES {
        let program = strategy.program(&Settings::default(), &model.tokenizer, capabilities);
        let fits = |asks: Option<usize>| asks.is_none() || capabilities.end_classifier;
        let Some(mut program) = program
            .ok()
            .filter(|program| fits(program.end_classifier_phase()))
        else {
            continue;
        };
        for phase in &mut program.phases {
            phase.until.max_steps = phase.until.max_steps.min(most_steps);
        }
        let spec = LaneSpec {
            inputs: Input::tokens(prompt),
            program,
            seed: 1,
            stream: 0,
            decode_thoughts: true,
        };
        lanes.push((strategy.name, spec));
    }
    lanes
}

/// Runs lanes on both engines step by step, every step from the same inputs: what the reference
/// fed and where it was is what the other engine goes on from. So rounding does not add up, and
/// every record must agree within tolerance, but for choices that rounding may turn
/// ([`is_undecided`]). Returns, per lane, the first difference in words.
pub async fn forced_differences<E: Engine>(
    found: &mut E,
    expected: &mut ReferenceEngine,
    lanes: &[LaneSpec],
) -> Result<Vec<Option<String>>, EngineError> {
    found.begin(lanes).await?;
    expected.begin(lanes).await?;
    let mut differences = vec![None; lanes.len()];
    loop {
        let expected_records = expected.advance(1).await?;
        if expected_records.is_empty() {
            return Ok(differences);
        }
        let found_records = found.advance(1).await?;
        for record in &expected_records {
            let twin = found_records.iter().find(|found| found.lane == record.lane);
            let spec = &lanes[record.lane as usize];
            let difference = match twin {
                Some(twin) => {
                    record_difference(twin, record).filter(|_| !is_undecided(record, spec))
                }
                None => Some(format!("step {}: no record", record.step)),
            };
            let known: &mut Option<String> = &mut differences[record.lane as usize];
            *known = known.take().or(difference);
        }
        found.set_cursors(&expected.cursors().await?)?;
    }
}

/// Whether a step's choice hangs on less than engines may lie apart: the most probable tokens (or
/// the heaviest concepts) differ by less than [`RECORD_TOLERANCE`] of the first one's share, or the
/// draw falls as close to where one token's share ends and the next one's begins. Shares that are
/// equal to the bit are decided by their ids, and so they are no such choice.
pub fn is_undecided(record: &StepRecord, lane: &LaneSpec) -> bool {
    let phase = &lane.program.phases[record.phase as usize];
    if record.has(flag::FORCED) || record.n_kept == 0 {
        return false;
    }
    let by = |kept: Kept| match phase.feed {
        Feed::Concept => kept.weight,
        _ => kept.prob,
    };
    let shares: Vec<f32> = record.kept().map(by).collect();
    let first = shares[0];
    let is_near = |share: &f32| *share != first && first - share <= RECORD_TOLERANCE * first;
    if phase.feed != Feed::Token || phase.sampler.greedy {
        return shares.iter().any(is_near);
    }
    let key = DrawKey {
        seed: lane.seed,
        stream: lane.stream,
        step: record.step,
    };
    let draw = uniform(key.bits(DRAW_TOKEN)[0]);
    let whole: f32 = shares.iter().sum();
    let mut mass = 0.0;
    let mut ends = shares.iter().map(|share| {
        mass += share / whole;
        mass
    });
    ends.any(|end| (end - draw).abs() <= RECORD_TOLERANCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelFiles;

    /// A checkpoint that ships, with one of its files altered.
    fn shipped(alter: impl Fn(&str, String) -> String) -> Model {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../public/models/prosqa-cot"
        );
        let read = |name: &str| std::fs::read(format!("{folder}/{name}")).expect("it ships");
        let text = |name: &str| alter(name, String::from_utf8(read(name)).expect("text"));
        let weights = "model.safetensors".to_string();
        let files = ModelFiles {
            config: text("config.json"),
            generation_config: Some(text("generation_config.json")),
            tokenizer: text("tokenizer.json"),
            tokenizer_config: None,
            chat_template: None,
            weights: vec![(weights, read("model.safetensors").into())],
            contemplation: None,
        };
        Model::from_files(&files).expect("a model")
    }

    fn names(model: &Model) -> Vec<&'static str> {
        let lanes = runnable_lanes(model, &sample_prompt(model, 5), u32::MAX);
        lanes.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_checkpoint_without_some_markers_runs_what_it_can() {
        let all = names(&shipped(|_, text| text));
        assert!(all.contains(&"coconut") && all.contains(&"soft"), "{all:?}");
        let without = |marker: &'static str| {
            let missing = shipped(|_, text| text.replace(marker, "<nothing>"));
            let rest = names(&missing);
            let gone = all.iter().filter(|name| !rest.contains(name));
            gone.copied().collect::<Vec<_>>()
        };
        assert_eq!(without("<bot>"), ["coconut"]);
        assert_eq!(without("<pause>"), ["pause"]);
        assert_eq!(without("<think>").len(), 6);
        let endless = shipped(|file, text| match file {
            "tokenizer.json" => text.replace("<eos>", "<nothing>"),
            _ => text.replace("\"eos_token_id\"", "\"nothing\""),
        });
        assert!(names(&endless).is_empty(), "none of them could end");
    }
}
