//! What studies of interventions and of mixtures measured: the schema of their JSON files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    probe::N_TOP,
    statistics::{McNemar, Mean},
};
use crate::metrics::Proportion;

/// How a study was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// The command, without options at their defaults.
    pub command: String,
    /// The program and its version.
    pub version: String,
    /// Which engine computed it.
    pub engine: String,
}

/// A checkpoint on some problems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Name of the checkpoint.
    pub model: String,
    /// SHA-256 of its weights.
    pub weights_sha256: String,
    /// Where the problems come from, in words.
    pub problems: String,
    /// Number of problems.
    pub n: usize,
    /// Seed of the first generated problem, and of noise.
    pub seed: u32,
}

/// `interventions.json`: what changing the thoughts of a checkpoint does to its answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterventionStudy {
    /// How it was made.
    #[serde(flatten)]
    pub made: Made,
    /// Noise, in units of an input's own norm.
    pub noise: f32,
    /// One for each checkpoint.
    pub rows: Vec<InterventionRow>,
}

/// A checkpoint whose thinking was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterventionRow {
    /// Which one, on what.
    #[serde(flatten)]
    pub subject: Subject,
    /// Its strategy.
    pub strategy: String,
    /// The strategy's settings.
    pub set: Vec<String>,
    /// Accuracy without a change.
    pub clean: Proportion,
    /// One for each change.
    pub conditions: Vec<InterventionResult>,
}

/// What a change does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterventionResult {
    /// `zero`, `noise`, `shuffle`, `swap`, `freeze`, `nearest` or `patch`.
    pub kind: String,
    /// Which inputs of thinking are changed, counted from 1; `None` for all of them. A patch
    /// changes what the layers made of one, or, for 0, of what is fed before the first.
    pub steps: Option<Vec<u32>>,
    /// The layer, counted from 0, after which a patch stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// Accuracy with the change.
    pub accuracy: Proportion,
    /// Accuracy with the change less accuracy without, on the same problems (paired bootstrap).
    pub difference: Mean,
    /// The change against none.
    pub mcnemar: McNemar,
    /// Share of problems that are answered otherwise than without the change.
    pub answers_changed: f64,
}

/// `analysis.json`: what follows mixtures and their words, and how methods compare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnalysisStudy {
    /// How it was made.
    #[serde(flatten)]
    pub made: Made,
    /// One for each checkpoint and list of methods.
    pub rows: Vec<AnalysisRow>,
}

/// A checkpoint decoded in several ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnalysisRow {
    /// Name of the part of the study.
    pub part: String,
    /// Which checkpoint, on what.
    #[serde(flatten)]
    pub subject: Subject,
    /// One for each way; the first is what the others are compared with.
    pub methods: Vec<MethodReport>,
}

/// A way of decoding, measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodReport {
    /// The strategy.
    pub strategy: String,
    /// Its settings.
    pub set: Vec<String>,
    /// Runs of each problem.
    pub samples: usize,
    /// `None` for prompts that are no problems.
    pub accuracy: Option<Proportion>,
    /// Accuracy less the first method's, on the same problems (paired bootstrap).
    pub difference: Option<Mean>,
    /// The same as a test, where both have one run a problem.
    pub mcnemar: Option<McNemar>,
    /// By k: the chance that one of k runs is right.
    pub pass_at: BTreeMap<usize, Mean>,
    /// Share of answers that were none.
    pub malformed: Option<f64>,
    /// Steps of thinking.
    pub think_steps: Option<Mean>,
    /// Steps of thinking and of the answer.
    pub tokens: Option<Mean>,
    /// Nats, at the sampler's temperature, over steps of thinking.
    pub entropy: Option<Mean>,
    /// ROUGE-L F1 of the tokens of a run against those of the greedy run in words.
    pub rouge_l: Option<Mean>,
    /// Share of runs whose tokens are those of the greedy run in words.
    pub exact_match: Option<Mean>,
    /// Share of 4-grams of a run's tokens that have been there before.
    pub repeated_4_grams: Option<Mean>,
    /// The same of the 4-grams that end among each [`WINDOW`] tokens of the runs that are as long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeated_by: Vec<Mean>,
    /// Of the runs that were asked about at every step.
    pub js: Divergences,
    /// For each of a mixture's first words: by size of the sets, layer by layer.
    pub overlap: BTreeMap<String, BTreeMap<usize, Vec<Mean>>>,
}

/// Jensen-Shannon divergences, nats, over steps that mix at least as many tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Divergences {
    /// Between what follows the mixture's first word and what follows the mixture; where the
    /// mixture is that word alone, 0.
    pub top1: Option<Mean>,
    /// The same over steps that mix two words or more, as `top2` has them.
    pub top1_of_several: Option<Mean>,
    /// The same of its second.
    pub top2: Option<Mean>,
    /// And of its third.
    pub top3: Option<Mean>,
    /// Between what follows the first word and what follows the second.
    pub top1_top2: Option<Mean>,
    /// Between a mixture's weights with and without noise.
    pub noised_clean: Option<Mean>,
}

/// The strategy that draws words, by its name in the table.
const SAMPLED: &str = "token-cot-sampled";

/// Tokens of a stretch of a run whose repetition is told apart.
pub const WINDOW: usize = 32;

/// Of one problem, what one method's runs say: the unit that a study resumes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProblemOutcome {
    /// Per run: whether the answer was right; `None` where nobody can tell.
    pub right: Vec<Option<bool>>,
    /// Per run: whether it was no answer.
    pub malformed: Vec<bool>,
    /// Per run.
    pub think_steps: Vec<f64>,
    /// Per run.
    pub tokens: Vec<f64>,
    /// Per run: the mean over its steps, nats.
    pub entropy: Vec<Option<f64>>,
    /// Per run.
    pub rouge_l: Vec<f64>,
    /// Per run.
    pub exact_match: Vec<f64>,
    /// Per run.
    pub repeated_4_grams: Vec<Option<f64>>,
    /// Per run: the same for each [`WINDOW`] tokens that it has whole.
    #[serde(default)]
    pub repeated_by: Vec<Vec<f64>>,
    /// Per step of the first run, where it was asked about.
    pub steps: Vec<StepOutcome>,
}

/// What was asked about one step, as [`Probed`](super::probe::Probed) has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepOutcome {
    /// The step.
    pub step: u32,
    /// JS(top-i, soft).
    pub top: [Option<f64>; N_TOP],
    /// JS(top-1, top-2).
    pub top1_top2: Option<f64>,
    /// JS(noised, clean).
    pub noised_clean: Option<f64>,
    /// For each of the first words, for each size of sets, layer by layer.
    pub overlap: Vec<Vec<Vec<f64>>>,
}

impl MethodReport {
    /// Sums a method's problems up; `first` are those of the method to compare with.
    pub fn new(
        (strategy, set): (&str, &[String]),
        outcomes: &[ProblemOutcome],
        first: &[ProblemOutcome],
    ) -> Self {
        let samples = outcomes
            .first()
            .map_or(0, |outcome| outcome.think_steps.len());
        let of_runs = |values: fn(&ProblemOutcome) -> Vec<f64>| {
            let groups: Vec<Vec<f64>> = outcomes.iter().map(values).collect();
            Mean::of_groups(&groups)
        };
        let rates = rates(outcomes);
        let graded = rates.as_ref().zip(self::rates(first));
        let differences = graded.as_ref().map(|(rates, first)| {
            let pairs = rates.iter().zip(first);
            pairs
                .map(|(rate, first)| rate - first)
                .collect::<Vec<f64>>()
        });
        let one_run = |outcomes: &[ProblemOutcome]| {
            let right = outcomes.iter().map(|outcome| match outcome.right[..] {
                [right] => right,
                _ => None,
            });
            right.collect::<Option<Vec<bool>>>()
        };
        let n_runs = (outcomes.len() * samples) as f64;
        let n_malformed = outcomes.iter().flat_map(|outcome| &outcome.malformed);
        let n_malformed = n_malformed.filter(|malformed| **malformed).count() as f64;
        Self {
            strategy: strategy.into(),
            set: set.to_vec(),
            samples,
            accuracy: rates
                .as_ref()
                .map(|rates| crate::metrics::clustered_wilson(rates, samples)),
            difference: differences.and_then(|differences| Mean::of(&differences)),
            mcnemar: one_run(outcomes)
                .zip(one_run(first))
                .map(|(right, first)| McNemar::of(&right, &first)),
            pass_at: pass_at(outcomes, samples),
            malformed: rates.as_ref().map(|_| n_malformed / n_runs),
            think_steps: of_runs(|outcome| outcome.think_steps.clone()),
            tokens: of_runs(|outcome| outcome.tokens.clone()),
            entropy: of_runs(|outcome| outcome.entropy.iter().copied().flatten().collect()),
            rouge_l: of_runs(|outcome| outcome.rouge_l.clone()),
            exact_match: of_runs(|outcome| outcome.exact_match.clone()),
            repeated_4_grams: of_runs(|outcome| {
                outcome.repeated_4_grams.iter().copied().flatten().collect()
            }),
            repeated_by: repeated_by(outcomes),
            js: Divergences::new(outcomes),
            overlap: overlaps(outcomes),
        }
    }
}

/// Of a way of decoding, what tells whether its mixtures are their first words.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixing {
    /// The strategy with its settings.
    pub title: String,
    /// [`Divergences::top1`].
    pub top1: Option<Mean>,
    /// [`Divergences::top1_of_several`].
    pub top1_of_several: Option<Mean>,
    /// [`Divergences::top2`].
    pub top2: Option<Mean>,
    /// [`MethodReport::rouge_l`].
    pub rouge_l: Option<Mean>,
    /// The overlap of the five first tokens with its first word's, after the first layer and after
    /// the last.
    pub overlap: Option<[Mean; 2]>,
}

impl AnalysisRow {
    /// Its sentences, as [`sentences`] has them.
    pub fn sentences(&self) -> Vec<String> {
        let methods: Vec<Mixing> = self.methods.iter().map(MethodReport::mixing).collect();
        sentences(&self.subject.model, &methods)
    }
}

impl MethodReport {
    /// The strategy with its settings.
    pub fn title(&self) -> String {
        title(&self.strategy, self.set.iter().map(String::as_str))
    }

    fn mixing(&self) -> Mixing {
        let layers = self.overlap.get("top1").and_then(|sizes| sizes.get(&5));
        Mixing {
            title: self.title(),
            top1: self.js.top1,
            top1_of_several: self.js.top1_of_several,
            top2: self.js.top2,
            rouge_l: self.rouge_l,
            overlap: layers.and_then(|layers| Some([*layers.first()?, *layers.last()?])),
        }
    }
}

/// A strategy with its settings, as tables name it.
pub fn title<'a>(strategy: &str, set: impl Iterator<Item = &'a str>) -> String {
    strategy.to_string() + &set.map(|set| format!(" {set}")).collect::<String>()
}

/// Whether a checkpoint's mixtures are their first words, and how near they stay to the greedy run:
/// a sentence each, with `code` in backticks. The first method is what the others are compared with.
pub fn sentences(model: &str, methods: &[Mixing]) -> Vec<String> {
    let of_methods = methods.iter().filter_map(|method| sentence(model, method));
    of_methods.chain(nearness(model, methods)).collect()
}

/// Whether the mixture is its first word, in words.
fn sentence(model: &str, method: &Mixing) -> Option<String> {
    let (first, second) = (method.top1_of_several?, method.top2?);
    let figures = format!(
        "{:.3} nats from its first word's, {:.3} from its second's",
        first.mean, second.mean
    );
    let verdict = match (
        first.ci_high < second.ci_low,
        first.mean < 0.5 * second.mean,
    ) {
        (true, true) => "the mixture is nearly its first word",
        (true, false) => "the mixture is nearer to its first word, and is not it",
        (false, _) if second.ci_high < first.ci_low => "the mixture is nearer to its second word",
        (false, _) => "too few steps to tell which it is nearer to",
    };
    let depth = method.overlap.map(|[low, high]| {
        let how = if high.ci_low > low.ci_high {
            "rises with depth"
        } else if high.ci_high < low.ci_low {
            "falls with depth"
        } else {
            "does not change with depth"
        };
        format!(
            "; overlap@5 with its first word {how}, {:.2} to {:.2}",
            low.mean, high.mean
        )
    });
    Some(format!(
        "`{model}`, `{}`: where it mixes, what follows lies {figures}: {verdict}{}.",
        method.title,
        depth.unwrap_or_default()
    ))
}

/// Whether mixtures or drawn words come nearer to the greedy run, in words.
fn nearness(model: &str, methods: &[Mixing]) -> Option<String> {
    let mut others = methods.iter().skip(1);
    let asked = others.clone().find(|method| method.top1.is_some())?;
    let sampled = others.find(|method| method.title.split(' ').next() == Some(SAMPLED))?;
    let (soft, drawn) = (asked.rouge_l?, sampled.rouge_l?);
    let verdict = if soft.ci_low > drawn.ci_high {
        "nearer to it than sampled words"
    } else if soft.ci_high < drawn.ci_low {
        "further from it than sampled words"
    } else {
        "no nearer to it than sampled words, as far as these problems tell"
    };
    Some(format!(
        "`{model}`: ROUGE-L to the greedy run is {:.2} for `{}` and {:.2} for sampled words: {verdict}.",
        soft.mean, asked.title, drawn.mean
    ))
}

/// The mean of each window over the runs that have it.
fn repeated_by(outcomes: &[ProblemOutcome]) -> Vec<Mean> {
    let at = |window: usize| {
        let group = |outcome: &ProblemOutcome| -> Vec<f64> {
            let runs = outcome.repeated_by.iter();
            runs.filter_map(|run| run.get(window).copied()).collect()
        };
        let groups: Vec<Vec<f64>> = outcomes.iter().map(group).collect();
        Mean::of_groups(&groups)
    };
    (0..).map_while(at).collect()
}

/// Per problem the share of its runs that were right; `None` where nobody can tell.
fn rates(outcomes: &[ProblemOutcome]) -> Option<Vec<f64>> {
    let rate = |outcome: &ProblemOutcome| {
        let right: Vec<bool> = outcome.right.iter().copied().collect::<Option<_>>()?;
        let n_right = right.iter().filter(|right| **right).count();
        (!right.is_empty()).then(|| n_right as f64 / right.len() as f64)
    };
    let rates: Option<Vec<f64>> = outcomes.iter().map(rate).collect();
    rates.filter(|rates| !rates.is_empty())
}

/// pass@k for k = 1, 2, 4 … up to the number of runs.
fn pass_at(outcomes: &[ProblemOutcome], samples: usize) -> BTreeMap<usize, Mean> {
    let powers = std::iter::successors(Some(1), |k| Some(2 * k)).take_while(|k| *k <= samples);
    let of = |k: usize| {
        let estimate = |outcome: &ProblemOutcome| {
            let right: Vec<bool> = outcome.right.iter().copied().collect::<Option<_>>()?;
            let n_right = right.iter().filter(|right| **right).count();
            super::statistics::pass_at_k(right.len(), n_right, k)
        };
        let estimates: Option<Vec<f64>> = outcomes.iter().map(estimate).collect();
        Some((k, Mean::of(&estimates?)?))
    };
    match samples {
        0 | 1 => BTreeMap::new(),
        _ => powers.filter_map(of).collect(),
    }
}

impl Divergences {
    fn new(outcomes: &[ProblemOutcome]) -> Self {
        let of = |value: &dyn Fn(&StepOutcome) -> Option<f64>| {
            let group = |outcome: &ProblemOutcome| -> Vec<f64> {
                outcome.steps.iter().filter_map(value).collect()
            };
            let groups: Vec<Vec<f64>> = outcomes.iter().map(group).collect();
            Mean::of_groups(&groups)
        };
        Self {
            top1: of(&|step| step.top[0]),
            top1_of_several: of(&|step| step.top[1].and(step.top[0])),
            top2: of(&|step| step.top[1]),
            top3: of(&|step| step.top[2]),
            top1_top2: of(&|step| step.top1_top2),
            noised_clean: of(&|step| step.noised_clean),
        }
    }
}

/// By word (`top1` …) and size of the sets: the mean overlap at every layer.
fn overlaps(outcomes: &[ProblemOutcome]) -> BTreeMap<String, BTreeMap<usize, Vec<Mean>>> {
    let steps = || outcomes.iter().flat_map(|outcome| &outcome.steps);
    let mut all = BTreeMap::new();
    for word in 0..N_TOP {
        for (place, k) in super::probe::OVERLAP_SIZES.into_iter().enumerate() {
            let layers = |step: &StepOutcome| {
                let of_word = step.overlap.get(word)?;
                of_word.get(place).map(Vec::len)
            };
            let n_layers = steps().filter_map(layers).max().unwrap_or(0);
            let at = |layer: usize| {
                let value =
                    |step: &StepOutcome| step.overlap.get(word)?.get(place)?.get(layer).copied();
                let group = |outcome: &ProblemOutcome| -> Vec<f64> {
                    outcome.steps.iter().filter_map(value).collect()
                };
                let groups: Vec<Vec<f64>> = outcomes.iter().map(group).collect();
                Mean::of_groups(&groups)
            };
            let means: Vec<Mean> = (0..n_layers).filter_map(at).collect();
            if !means.is_empty() {
                let of_word: &mut BTreeMap<usize, Vec<Mean>> =
                    all.entry(format!("top{}", word + 1)).or_default();
                of_word.insert(k, means);
            }
        }
    }
    all
}
