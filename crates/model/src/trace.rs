//! Traces: what a lane's records say, for people, for graders and as JSON.

use serde::Serialize;

use crate::{
    program::{Feed, Program, Role},
    record::{InputKind, StepRecord, flag},
    tasks::{Grade, Task},
    tokenizer::Tokenizer,
};

/// What one record says of its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// A marker was forced (`<think>`, `</think>`, `<bot>`, `<eot>`).
    Marker,
    /// A step of reasoning: a token, a concept token, a thought or a pause.
    Think,
    /// A token of the answer.
    Answer,
    /// One of the phase's stop tokens was chosen.
    Stop,
}

/// Classifies a record of a lane that runs `program`.
pub fn step_kind(record: &StepRecord, program: &Program) -> StepKind {
    let phase = &program.phases[record.phase as usize];
    let pauses = matches!(phase.feed, Feed::Pause(_));
    if record.has(flag::STOP) {
        StepKind::Stop
    } else if record.has(flag::FORCED) && !pauses {
        StepKind::Marker
    } else if phase.role == Role::Think {
        StepKind::Think
    } else {
        StepKind::Answer
    }
}

/// The tokens that a lane emits: what it thinks and answers, without markers.
pub fn emitted(records: &[StepRecord], program: &Program) -> Vec<u32> {
    let speaks = |record: &&StepRecord| {
        let kind = step_kind(record, program);
        matches!(kind, StepKind::Think | StepKind::Answer)
    };
    let spoken = records.iter().filter(speaks);
    spoken.map(|record| record.token).collect()
}

/// Numbers of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LaneSummary {
    /// Inputs fed while thinking; markers do not count.
    pub think_steps: usize,
    /// Tokens of the answer; `<eos>` does not count.
    pub answer_tokens: usize,
    /// Mean entropy, nats, of the thinking steps whose distribution was computed.
    pub mean_entropy: Option<f32>,
    /// Whether the lane came to its end.
    pub done: bool,
}

/// Sums up a lane's records.
pub fn summary(records: &[StepRecord], program: &Program) -> LaneSummary {
    let of_kind = |kind| {
        records
            .iter()
            .filter(move |record| step_kind(record, program) == kind)
    };
    let entropies: Vec<f32> = of_kind(StepKind::Think)
        .filter(|record| record.n_kept > 0)
        .map(|record| record.entropy)
        .collect();
    let mean = entropies.iter().sum::<f32>() / entropies.len() as f32;
    LaneSummary {
        think_steps: of_kind(StepKind::Think).count(),
        answer_tokens: of_kind(StepKind::Answer).count(),
        mean_entropy: (!entropies.is_empty()).then_some(mean),
        done: records.last().is_some_and(|record| record.has(flag::DONE)),
    }
}

/// The tokens of the answer, `<eos>` left out.
pub fn answer_ids(records: &[StepRecord], program: &Program) -> Vec<u32> {
    records
        .iter()
        .filter(|record| step_kind(record, program) == StepKind::Answer)
        .map(|record| record.token)
        .collect()
}

/// A run, as `latent run --json` prints it and the page offers it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunJson {
    /// The prompt as text.
    pub prompt: String,
    /// Seed of the random draws.
    pub seed: u32,
    /// One per lane, in order.
    pub lanes: Vec<LaneJson>,
}

/// One lane of a [`RunJson`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LaneJson {
    /// Name of the checkpoint.
    pub model: String,
    /// Name of the strategy.
    pub strategy: String,
    /// Description of the engine that ran it.
    pub engine: String,
    /// The answer as the task renders it.
    pub answer: String,
    /// The grader's word: right, wrong or malformed; `null` without a task.
    pub verdict: Option<String>,
    /// Counts.
    #[serde(flatten)]
    pub summary: LaneSummary,
    /// The trace.
    pub steps: Vec<StepJson>,
}

/// A lane that ran, with what tells of it.
#[derive(Clone, Copy, Debug)]
pub struct RanLane<'a> {
    /// Name of the checkpoint.
    pub model: &'a str,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Name of the strategy.
    pub strategy: &'a str,
    /// The strategy's program.
    pub program: &'a Program,
    /// Description of the engine.
    pub engine: &'a str,
    /// What came of it.
    pub records: &'a [StepRecord],
}

impl RanLane<'_> {
    /// The answer as the task renders it.
    pub fn answer(&self, task: Task) -> String {
        task.render(self.tokenizer, &answer_ids(self.records, self.program))
    }

    /// The lane as JSON, with its answer and the grader's word on it.
    pub fn json(&self, answer: String, grade: Option<Grade>) -> LaneJson {
        let step = |record| StepJson::new(record, self.tokenizer);
        LaneJson {
            model: self.model.into(),
            strategy: self.strategy.into(),
            engine: self.engine.into(),
            answer,
            verdict: grade.map(|grade| grade.to_string()),
            summary: summary(self.records, self.program),
            steps: self.records.iter().map(step).collect(),
        }
    }
}

/// One step of a [`LaneJson`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepJson {
    /// Steps of this lane so far.
    pub step: u32,
    /// Position whose output this is.
    pub position: u32,
    /// Index of the phase.
    pub phase: u32,
    /// What is fed next: token, concept, thought or none.
    pub input: &'static str,
    /// The emitted token; for a thought, what it would decode to (`null` where not decoded).
    pub token: Option<String>,
    /// Why: forced, stop, cold-stop, end-classifier, cap, done.
    pub flags: Vec<&'static str>,
    /// Nats, at the sampler's temperature; `null` where the LM head was skipped.
    pub entropy: Option<f32>,
    /// Nats, at temperature 1, whatever the sampler: what lanes are compared by.
    pub raw_entropy: Option<f32>,
    /// Norm of the hidden state.
    pub hidden_norm: f32,
    /// What the end classifier said; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_probability: Option<f32>,
    /// Cold Stop counter.
    pub cold_count: u32,
    /// The share of the probability that the kept tokens hold; `null` where the LM head was
    /// skipped.
    pub kept_share: Option<f32>,
    /// The kept tokens, by falling weight.
    pub kept: Vec<KeptJson>,
}

/// One kept token of a [`StepJson`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeptJson {
    /// The token.
    pub token: String,
    /// Probability before truncation and noise.
    pub prob: f32,
    /// Weight in the next input.
    pub weight: f32,
}

impl StepJson {
    /// The readable form of a record.
    pub fn new(record: &StepRecord, tokenizer: &Tokenizer) -> Self {
        let is_decoded = record.n_kept > 0;
        let names = [
            (flag::FORCED, "forced"),
            (flag::STOP, "stop"),
            (flag::COLD_STOP, "cold-stop"),
            (flag::END_CLASSIFIER, "end-classifier"),
            (flag::CAP, "cap"),
            (flag::DONE, "done"),
        ];
        let kind = record.input_kind();
        let has_token = kind != InputKind::Hidden || is_decoded;
        Self {
            step: record.step,
            position: record.position,
            phase: record.phase,
            input: kind.spec().name,
            token: has_token.then(|| tokenizer.shown(record.token)),
            flags: names
                .iter()
                .filter(|(bit, _)| record.has(*bit))
                .map(|(_, name)| *name)
                .collect(),
            entropy: is_decoded.then_some(record.entropy),
            raw_entropy: is_decoded.then_some(record.raw_entropy),
            hidden_norm: record.hidden_norm,
            end_probability: record.end_probability(),
            cold_count: record.cold_count,
            kept_share: record.kept_share(),
            kept: record
                .kept()
                .map(|kept| KeptJson {
                    token: tokenizer.shown(kept.id),
                    prob: kept.prob,
                    weight: kept.weight,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENIZER: &str = r#"{
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"cat": 0}, "unk_token": "cat"}
    }"#;

    #[test]
    fn both_entropies_are_told_where_there_is_a_distribution() {
        let tokenizer = Tokenizer::from_json(TOKENIZER).expect("a tokenizer");
        let mut record: StepRecord = bytemuck::Zeroable::zeroed();
        (record.entropy, record.raw_entropy) = (0.25, 0.5);
        let json = |record: &StepRecord| {
            serde_json::to_value(StepJson::new(record, &tokenizer)).expect("numbers and texts")
        };
        assert!(json(&record)["raw_entropy"].is_null());
        record.n_kept = 1;
        let json = json(&record);
        assert_eq!(
            (&json["entropy"], &json["raw_entropy"]),
            (&0.25.into(), &0.5.into())
        );
    }

    #[test]
    fn the_end_probability_is_told_where_the_classifier_was_asked() {
        let tokenizer = Tokenizer::from_json(TOKENIZER).expect("a tokenizer");
        let mut record: StepRecord = bytemuck::Zeroable::zeroed();
        let json = |record: &StepRecord| {
            serde_json::to_value(StepJson::new(record, &tokenizer)).expect("numbers and texts")
        };
        assert_eq!(json(&record).get("end_probability"), None);
        assert_eq!(json(&record)["kept_share"], serde_json::Value::Null);
        let kept = StepRecord {
            n_kept: 2,
            probs: std::array::from_fn(|i| [0.5, 0.25, 0.125].get(i).copied().unwrap_or(0.0)),
            ..record
        };
        assert_eq!(
            json(&kept)["kept_share"],
            0.75,
            "of two, not of what was cut"
        );
        record.flags = flag::END_TESTED;
        assert_eq!(json(&record)["end_probability"], 0.0);
        record.flags |= flag::END_CLASSIFIER | flag::FORCED;
        record.end_probability = 0.75;
        assert_eq!(json(&record)["end_probability"], 0.75);
        let flags = &json(&record)["flags"];
        assert_eq!(*flags, serde_json::json!(["forced", "end-classifier"]));
    }
}
