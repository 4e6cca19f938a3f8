//! A run as a table of comma-separated values: a line for each step of each lane.

use latent_model::{
    program::Program,
    record::{InputKind, StepRecord, flag},
    trace::{StepKind, step_kind},
};

/// The columns, in order. Entropies are in nats; `kept` lists the tokens of the step by falling
/// weight, as `token:probability:weight`, probabilities being those before truncation and noise.
pub const COLUMNS: &[&str] = &[
    "lane",
    "name",
    "model",
    "strategy",
    "step",
    "kind",
    "input",
    "token",
    "entropy_t1",
    "entropy_sampler",
    "hidden_norm",
    "ended_by",
    "kept",
];

/// A lane whose steps become lines.
pub struct Lane<'a> {
    /// Its place, from 1.
    pub number: usize,
    /// What the page calls it.
    pub name: &'a str,
    /// Name of its checkpoint.
    pub model: &'a str,
    /// Name of its strategy.
    pub strategy: &'a str,
    /// What it ran.
    pub program: &'a Program,
    /// What came of it.
    pub records: &'a [StepRecord],
}

/// The table with its head, lines ended as RFC 4180 asks; `word` names a token of a lane.
pub fn csv<'a>(
    lanes: impl IntoIterator<Item = Lane<'a>>,
    word: impl Fn(usize, u32) -> String,
) -> String {
    let mut text = line(COLUMNS.iter().map(|column| column.to_string()));
    for (index, lane) in lanes.into_iter().enumerate() {
        for record in lane.records {
            text += &line(fields(&lane, record, |id| word(index, id)));
        }
    }
    text
}

fn fields(lane: &Lane, record: &StepRecord, word: impl Fn(u32) -> String) -> Vec<String> {
    let is_computed = record.n_kept > 0;
    let of_head = |value: f32| is_computed.then(|| value.to_string());
    let has_token = record.input_kind() != InputKind::Hidden || is_computed;
    let kind = match step_kind(record, lane.program) {
        StepKind::Marker => "marker",
        StepKind::Think => "think",
        StepKind::Answer => "answer",
        StepKind::Stop => "stop",
    };
    let ends = [
        (flag::COLD_STOP, "cold-stop"),
        (flag::END_CLASSIFIER, "end-classifier"),
        (flag::CAP, "cap"),
        (flag::STOP, "stop"),
    ];
    let ended_by = ends.iter().find(|(bit, _)| record.has(*bit));
    let kept = record.kept();
    let kept: Vec<String> = kept
        .map(|kept| format!("{}:{}:{}", word(kept.id), kept.prob, kept.weight))
        .collect();
    let fields = [
        Some(lane.number.to_string()),
        Some(lane.name.into()),
        Some(lane.model.into()),
        Some(lane.strategy.into()),
        Some(record.step.to_string()),
        Some(kind.into()),
        Some(record.input_kind().spec().name.into()),
        has_token.then(|| word(record.token)),
        of_head(record.raw_entropy),
        of_head(record.entropy),
        Some(record.hidden_norm.to_string()),
        ended_by.map(|(_, name)| name.to_string()),
        Some(kept.join(" ")),
    ];
    fields.map(Option::unwrap_or_default).into()
}

fn line(fields: impl IntoIterator<Item = String>) -> String {
    let quoted = |field: String| match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    };
    let fields: Vec<String> = fields.into_iter().map(quoted).collect();
    fields.join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use latent_model::program::Feed;

    use super::*;
    use crate::view::test_records::{program, record};

    #[test]
    fn every_step_is_a_line_with_all_columns() {
        let mut first = record(0, InputKind::Concept, 0, &[(1, 0.6, 0.75), (2, 0.4, 0.25)]);
        (first.raw_entropy, first.entropy, first.hidden_norm) = (0.5, 0.25, 2.0);
        let mut second = record(1, InputKind::Hidden, 0, &[]);
        second.flags = flag::COLD_STOP;
        let program = program(Feed::Concept);
        let lane = Lane {
            number: 2,
            name: "2 Soft Thinking, top-k 3",
            model: "a",
            strategy: "soft",
            program: &program,
            records: &[first, second],
        };
        let text = csv([lane], |_, id| format!("w{id}"));
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(lines[0], COLUMNS.join(","));
        assert_eq!(
            lines[1],
            "2,\"2 Soft Thinking, top-k 3\",a,soft,0,think,concept,w1,0.5,0.25,2,,w1:0.6:0.75 w2:0.4:0.25"
        );
        assert_eq!(
            lines[2], "2,\"2 Soft Thinking, top-k 3\",a,soft,1,think,thought,,,,0,cold-stop,",
            "nothing is said of what was not computed"
        );
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn quotes_inside_a_field_are_doubled() {
        assert_eq!(line(["a\"b".to_string(), "c".into()]), "\"a\"\"b\",c\r\n");
    }
}
