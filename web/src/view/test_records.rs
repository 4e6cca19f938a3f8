//! Records for the tests of the views.

use latent_model::record::{InputKind, StepRecord};

/// A record with these (id, probability, weight) kept.
pub fn record(step: u32, input: InputKind, phase: u32, kept: &[(u32, f32, f32)]) -> StepRecord {
    let mut record: StepRecord = bytemuck::Zeroable::zeroed();
    record.step = step;
    record.phase = phase;
    record.input = input as u32;
    record.n_kept = kept.len() as u32;
    record.token = kept.first().map_or(0, |entry| entry.0);
    for (index, &(id, prob, weight)) in kept.iter().enumerate() {
        record.ids[index] = id;
        record.probs[index] = prob;
        record.weights[index] = weight;
    }
    record
}
