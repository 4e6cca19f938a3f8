//! A run of `latent run` as a recording, which the page plays without a model.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use latent_model::{
    address::{Address, ProblemChoice, Speed},
    record::StepRecord,
    recording::{Header, RecordedLane, Recording},
    tasks::free_text::Example,
    tokenizer::TextStream,
};

use super::{
    job::{Job, Question},
    lanes::Lanes,
};

/// Writes the recording of a run that has come to its end.
pub fn write(
    path: &Path,
    job: &Job,
    lanes: &Lanes,
    traces: &[Vec<StepRecord>],
    seconds: f64,
) -> Result<()> {
    let lane = |index: usize| lane(job, lanes, index, &traces[index], seconds);
    let recording = Recording {
        header: Header {
            version: env!("CARGO_PKG_VERSION").into(),
            address: address(job, lanes).to_string(),
            prompt: lanes.question.clone(),
            lanes: (0..job.lanes.len()).map(lane).collect::<Result<_>>()?,
        },
        records: traces.to_vec(),
    };
    let bytes = recording.to_bytes()?;
    fs::write(path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {} ({} bytes)", path.display(), bytes.len());
    Ok(())
}

/// The set-up as the page's address holds it.
fn address(job: &Job, lanes: &Lanes) -> Address {
    Address {
        problem: Some(problem(job, lanes)),
        lanes: Some(job.lanes.clone()),
        seed: Some(job.seed),
        speed: Some(Speed::PerSecond(8)),
        ..Address::of_task(lanes.task)
    }
}

/// What was asked: an example of the page's, where it is one, for its answer is known.
fn problem(job: &Job, lanes: &Lanes) -> ProblemChoice {
    if let Some(choice) = &job.choice {
        return choice.clone();
    }
    let (asked, is_said) = match &job.question {
        Question::Text { text, is_said } => (&**text, *is_said),
        Question::Problem { asked, index } => (asked.problems[*index].question(), asked.chat),
    };
    let is_it = |example: &Example| example.prompt == asked && example.chat == is_said;
    match (lanes.task.prompts().iter().position(is_it), is_said) {
        (Some(index), _) => ProblemChoice::Example(index),
        (None, true) => ProblemChoice::Said(asked.into()),
        (None, false) => ProblemChoice::Typed(asked.into()),
    }
}

fn lane(
    job: &Job,
    lanes: &Lanes,
    index: usize,
    records: &[StepRecord],
    seconds: f64,
) -> Result<RecordedLane> {
    let ran = lanes.ran(job, index, records);
    let tokenizer = ran.tokenizer;
    let mut stream = TextStream::default();
    let texts = records.iter();
    let texts = texts.map(
        |record| match tokenizer.end_tokens().contains(&record.token) {
            true => String::new(),
            false => stream.push(tokenizer, record.token),
        },
    );
    let texts: Vec<String> = texts.collect();
    let is_text = !lanes.task.prompts().is_empty();
    let weights = &lanes.model(job, index).weights;
    let rows = weights.embedding.rows;
    let tokens = RecordedLane::tokens(records);
    Ok(RecordedLane {
        model_sha256: Some(job.checkpoints[ran.model].weights_digest()?),
        program: ran.program.clone(),
        engine: ran.engine.into(),
        seconds,
        mean_embedding_norm: weights.embedding_norms(0..rows) / rows as f32,
        stands_for: Vec::new(),
        words: tokens.map(|id| (id, tokenizer.shown(id))).collect(),
        texts: if is_text { texts } else { Vec::new() },
        answer: ran.answer(lanes.task),
        n_records: records.len(),
        model: ran.model.into(),
    })
}
