//! A lane's records as the rows of its stream: words, chips and marks.

use latent_model::{
    program::{Feed, Noise, Program},
    record::{InputKind, StepRecord, flag},
    trace::{StepKind, step_kind},
};

use crate::words::{fill, words};

/// Chips below this share are summed up instead of shown.
const SMALLEST_SHARE: f32 = 0.02;
/// The largest number of chips in a row.
const MOST_CHIPS: usize = 12;

/// One row of a lane's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StepView {
    /// Steps of the lane before this one.
    pub step: u32,
    /// What kind of input this step makes.
    pub kind: RowKind,
    /// Inputs of its phase up to and with this one: a thought's number, from 1.
    pub nth: usize,
    /// The tokens in it, by falling share.
    pub chips: Vec<Chip>,
    /// What noise has made the chips of: the tokens by their probability. Empty without noise.
    pub before_noise: Vec<Chip>,
    /// What the chips leave out, of 1; 0 where nothing is left out or nothing was computed.
    pub rest: f32,
    /// The share of the probability that the kept tokens hold, where it was computed.
    pub kept_share: Option<f32>,
    /// Nats at temperature 1, where it was computed.
    pub entropy: Option<f32>,
    /// Nats at the temperature of its sampler, where that is another number.
    pub sampler_entropy: Option<f32>,
    /// Norm of the hidden state.
    pub hidden_norm: f32,
    /// How sure the checkpoint's classifier is that it has thought enough, where it was asked.
    pub end_probability: Option<f32>,
    /// What happened at this step, beside the choice.
    pub marks: Vec<Mark>,
}

/// What a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// A marker token, forced or chosen.
    Marker,
    /// One word; further chips are its alternatives.
    Token,
    /// A mixture of words.
    Concept,
    /// A hidden state, and what it decodes to.
    Thought,
    /// A token that carries nothing.
    Pause,
    /// A word of the answer.
    Answer,
}

/// A mixture with this much of one word is that word.
pub const ONE_WORD: f32 = 0.985;

/// A word with its part in a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Chip {
    /// The token.
    pub word: String,
    /// Its weight in a mixture, else its probability; 1 for a forced marker.
    pub share: f32,
}

/// What a step is marked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The marker was forced by the program.
    Forced,
    /// The model chose its stop token.
    Stop,
    /// Cold Stop ended the phase.
    ColdStop,
    /// The checkpoint's classifier ended the phase.
    EndClassifier,
    /// The phase was cut at its largest number of steps.
    Cap,
}

impl StepView {
    /// The number of the thought that it makes, from 1; `None` where it makes none.
    pub fn thought(&self) -> Option<usize> {
        (self.kind == RowKind::Thought).then_some(self.nth)
    }

    /// Whether it is one word, and was one before any noise: then there is nothing to weigh.
    pub fn is_one_word(&self) -> bool {
        let is_one = |chips: &[Chip]| chips.first().is_some_and(|chip| chip.share >= ONE_WORD);
        is_one(&self.chips) && (self.before_noise.is_empty() || is_one(&self.before_noise))
    }

    /// The row in a sentence, for those who hear it:
    /// `Step 3, mixture: dumpus 84 %, numpus 12 %; entropy 0.50 nats`.
    pub fn sentence(&self) -> String {
        let Self { step, nth, .. } = self;
        let kind = match self.kind {
            RowKind::Marker => words().row_marker.to_string(),
            RowKind::Token => words().row_word.to_string(),
            RowKind::Concept => words().row_mixture.to_string(),
            RowKind::Thought => fill(words().row_thought, &[("n", &nth.to_string())]),
            RowKind::Pause => words().row_pause.to_string(),
            RowKind::Answer => words().row_answer.to_string(),
        };
        let chip = |chip: &Chip| match self.kind {
            RowKind::Marker | RowKind::Pause => chip.word.clone(),
            _ => format!("{} {:.0} %", chip.word, 100.0 * chip.share),
        };
        let chips: Vec<String> = self.chips.iter().map(chip).collect();
        let mut parts = vec![fill(
            words().row_sentence,
            &[
                ("n", &step.to_string()),
                ("kind", &kind),
                ("words", &chips.join(", ")),
            ],
        )];
        let entropy = |nats: f32| fill(words().row_entropy, &[("nats", &format!("{nats:.2}"))]);
        parts.extend(self.entropy.map(entropy));
        parts.extend(self.marks.iter().map(|mark| mark.label().to_string()));
        parts.join("; ")
    }
}

impl Mark {
    /// The mark in a word.
    pub fn label(self) -> &'static str {
        match self {
            Self::Forced => words().mark_forced,
            Self::Stop => words().mark_chosen,
            Self::ColdStop => words().mark_cold_stop,
            Self::EndClassifier => words().mark_classifier,
            Self::Cap => words().mark_cap,
        }
    }

    /// The mark in a sentence.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Forced => words().mark_forced_why,
            Self::Stop => words().mark_chosen_why,
            Self::ColdStop => words().mark_cold_stop_why,
            Self::EndClassifier => words().mark_classifier_why,
            Self::Cap => words().mark_cap_why,
        }
    }
}

/// The row of one record; `word` names a token.
pub fn step_view(record: &StepRecord, program: &Program, word: impl Fn(u32) -> String) -> StepView {
    let kind = row_kind(record, program);
    let mut chips = match kind {
        RowKind::Marker | RowKind::Pause => vec![Chip {
            word: word(record.token),
            share: 1.0,
        }],
        RowKind::Token | RowKind::Answer => chosen_first(record, &word),
        RowKind::Concept => shared(record, &word, |weight, _| weight),
        RowKind::Thought => shared(record, &word, |_, prob| prob),
    };
    chips.truncate(MOST_CHIPS);
    let is_computed = record.n_kept > 0;
    let shown: f32 = chips.iter().map(|chip| chip.share).sum();
    let rest = if chips.is_empty() {
        0.0
    } else {
        (1.0 - shown).max(0.0)
    };
    StepView {
        step: record.step,
        kind,
        nth: record.phase_step as usize + 1,
        before_noise: match (kind, program.phases[record.phase as usize].sampler.noise) {
            (_, Noise::None) => Vec::new(),
            (RowKind::Concept, _) => shared(record, &word, |_, prob| prob),
            _ => Vec::new(),
        },
        chips,
        rest,
        kept_share: record.kept_share(),
        entropy: is_computed.then_some(record.raw_entropy),
        sampler_entropy: is_computed
            .then_some(record.entropy)
            .filter(|sampler| (sampler - record.raw_entropy).abs() > 1e-3),
        hidden_norm: record.hidden_norm,
        end_probability: record.end_probability(),
        marks: marks(record),
    }
}

fn row_kind(record: &StepRecord, program: &Program) -> RowKind {
    let feed = program.phases[record.phase as usize].feed;
    match (step_kind(record, program), record.input_kind()) {
        (StepKind::Marker | StepKind::Stop, _) => RowKind::Marker,
        (StepKind::Answer, _) => RowKind::Answer,
        (StepKind::Think, InputKind::Concept) => RowKind::Concept,
        (StepKind::Think, InputKind::Hidden) => RowKind::Thought,
        (StepKind::Think, _) if matches!(feed, Feed::Pause(_)) => RowKind::Pause,
        (StepKind::Think, _) => RowKind::Token,
    }
}

fn chosen_first(record: &StepRecord, word: &impl Fn(u32) -> String) -> Vec<Chip> {
    let (mut chosen, mut others): (Vec<_>, Vec<_>) =
        record.kept().partition(|kept| kept.id == record.token);
    others.sort_by(|a, b| b.prob.total_cmp(&a.prob));
    others.retain(|kept| kept.prob >= SMALLEST_SHARE);
    chosen.append(&mut others);
    let chip = |kept: latent_model::record::Kept| Chip {
        word: word(kept.id),
        share: kept.prob,
    };
    chosen.into_iter().map(chip).collect()
}

fn shared(
    record: &StepRecord,
    word: &impl Fn(u32) -> String,
    share: impl Fn(f32, f32) -> f32,
) -> Vec<Chip> {
    let mut chips: Vec<Chip> = record
        .kept()
        .map(|kept| Chip {
            word: word(kept.id),
            share: share(kept.weight, kept.prob),
        })
        .filter(|chip| chip.share >= SMALLEST_SHARE)
        .collect();
    chips.sort_by(|a, b| b.share.total_cmp(&a.share));
    chips
}

fn marks(record: &StepRecord) -> Vec<Mark> {
    let all = [
        (flag::COLD_STOP, Mark::ColdStop),
        (flag::END_CLASSIFIER, Mark::EndClassifier),
        (flag::CAP, Mark::Cap),
        (flag::FORCED, Mark::Forced),
        (flag::STOP, Mark::Stop),
    ];
    let set = all.into_iter().filter(|(bit, _)| record.has(*bit));
    set.map(|(_, mark)| mark).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::view::test_records::{program, record};

    fn word(id: u32) -> String {
        format!("w{id}")
    }

    #[test]
    fn a_concept_token_is_chips_by_weight() {
        let kept = [(1, 0.2, 0.7), (2, 0.6, 0.29), (3, 0.1, 0.01)];
        let record = record(0, InputKind::Concept, 0, &kept);
        let view = step_view(&record, &program(Feed::Concept), word);
        assert_eq!(view.kind, RowKind::Concept);
        let words: Vec<_> = view.chips.iter().map(|chip| chip.word.as_str()).collect();
        assert_eq!(words, ["w1", "w2"]);
        assert!((view.rest - 0.01).abs() < 1e-6, "{}", view.rest);
    }

    #[test]
    fn a_noisy_mixture_is_told_before_and_after_its_noise() {
        let kept = [(1, 0.2, 0.7), (2, 0.6, 0.3)];
        let record = record(0, InputKind::Concept, 0, &kept);
        let mut program = program(Feed::Concept);
        let words = |chips: &[Chip]| -> Vec<String> {
            chips.iter().map(|chip| chip.word.clone()).collect()
        };
        assert!(step_view(&record, &program, word).before_noise.is_empty());
        program.phases[0].sampler.noise = Noise::Gumbel { tau: 0.5 };
        let view = step_view(&record, &program, word);
        assert_eq!(words(&view.before_noise), ["w2", "w1"]);
        assert_eq!(words(&view.chips), ["w1", "w2"]);
        assert!(!view.is_one_word());
        let chosen_by_noise = crate::view::test_records::record(
            0,
            InputKind::Concept,
            0,
            &[(1, 0.4, 0.99), (2, 0.6, 0.01)],
        );
        assert!(!step_view(&chosen_by_noise, &program, word).is_one_word());
        let sure = crate::view::test_records::record(0, InputKind::Concept, 0, &[(1, 0.99, 0.99)]);
        assert!(step_view(&sure, &program, word).is_one_word());
    }

    #[test]
    fn a_row_reads_as_a_sentence() {
        let mut record = record(3, InputKind::Concept, 0, &[(1, 0.8, 0.8), (2, 0.2, 0.2)]);
        record.raw_entropy = 0.5;
        record.flags = flag::COLD_STOP;
        let view = step_view(&record, &program(Feed::Concept), word);
        let expected = "Step 3, mixture: w1 80 %, w2 20 %; entropy 0.50 nats; Cold Stop";
        assert_eq!(view.sentence(), expected);
        (record.input, record.phase_step) = (InputKind::Hidden as u32, 1);
        let view = step_view(&record, &program(Feed::THOUGHT), word);
        assert!(
            view.sentence()
                .starts_with("Step 3, thought 2, decoded: w1 80 %")
        );
        assert_eq!(view.thought(), Some(2));
    }

    #[test]
    fn a_thought_is_chips_by_probability() {
        let kept = [(1, 0.2, 0.0), (2, 0.6, 0.0)];
        let record = record(0, InputKind::Hidden, 0, &kept);
        let view = step_view(&record, &program(Feed::THOUGHT), word);
        assert_eq!(view.kind, RowKind::Thought);
        assert_eq!(view.chips[0].word, "w2");
    }

    #[test]
    fn a_thought_without_the_head_has_no_chips_and_no_entropy() {
        let record = record(0, InputKind::Hidden, 0, &[]);
        let view = step_view(&record, &program(Feed::THOUGHT), word);
        assert_eq!((view.chips.len(), view.rest, view.entropy), (0, 0.0, None));
    }

    #[test]
    fn the_chosen_word_comes_before_likelier_ones() {
        let mut record = record(0, InputKind::Token, 0, &[(1, 0.6, 0.0), (2, 0.3, 1.0)]);
        record.token = 2;
        let view = step_view(&record, &program(Feed::Token), word);
        assert_eq!(view.chips[0].word, "w2");
        assert_eq!(view.chips[1].word, "w1");
    }

    #[test]
    fn a_forced_marker_says_so() {
        let mut record = record(0, InputKind::Token, 0, &[]);
        record.token = 9;
        record.flags = flag::FORCED | flag::COLD_STOP;
        let view = step_view(&record, &program(Feed::Concept), word);
        assert_eq!(view.kind, RowKind::Marker);
        assert_eq!(view.marks, [Mark::ColdStop, Mark::Forced]);
    }

    #[test]
    fn what_the_classifier_says_is_told_where_it_was_asked() {
        let program = program(Feed::THOUGHT);
        let mut record = record(0, InputKind::Hidden, 0, &[]);
        record.end_probability = 0.25;
        assert_eq!(step_view(&record, &program, word).end_probability, None);
        record.flags = flag::END_TESTED;
        assert_eq!(
            step_view(&record, &program, word).end_probability,
            Some(0.25)
        );
    }

    proptest! {
        #[test]
        fn chips_and_rest_never_exceed_the_whole(
            shares in prop::collection::vec(0.0..1.0_f32, 1..32),
        ) {
            let sum: f32 = shares.iter().sum::<f32>().max(1e-6);
            let entry = |(id, share): (usize, &f32)| (id as u32, share / sum, share / sum);
            let kept: Vec<_> = shares.iter().enumerate().map(entry).collect();
            let record = record(0, InputKind::Concept, 0, &kept);
            let view = step_view(&record, &program(Feed::Concept), word);
            let total: f32 = view.chips.iter().map(|chip| chip.share).sum();
            prop_assert!(total + view.rest <= 1.0 + 1e-4);
            prop_assert!(view.chips.windows(2).all(|pair| pair[0].share >= pair[1].share));
        }
    }
}
