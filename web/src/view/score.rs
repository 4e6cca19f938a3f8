//! What an arena has counted: rows for a table, a sweep, a histogram, and files of them.

use latent_model::{
    address::LaneChoice,
    catalogue::folder_and_adapters,
    evaluation::Evaluation,
    metrics::Proportion,
    strategy::Setting,
    tasks::{Difficulty, Task},
};

use super::lane_names::lane_label;
use crate::words::{
    tables::{difficulty_word, task_title},
    words,
};

/// What all rows have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// The task.
    pub task: Task,
    /// How large its problems are.
    pub difficulty: Difficulty,
    /// How many of them.
    pub n: usize,
    /// Runs of each, with different noise.
    pub samples: usize,
    /// Seed of the problems and of the noise.
    pub seed: u32,
}

/// One lane under one setting.
#[derive(Clone, Debug)]
pub struct Row {
    /// The lane's place on the page, counted from 1.
    pub lane: usize,
    /// Index of its colour in the palette.
    pub colour: usize,
    /// What runs.
    pub choice: LaneChoice,
    /// The engine's description; empty before it has run.
    pub engine: String,
    /// Whether that is the GPU's.
    pub is_on_gpu: bool,
    /// Runs in all.
    pub n_runs: usize,
    /// Runs done.
    pub n_done: usize,
    /// Runs done and right.
    pub n_right: usize,
    /// What they say, once there is one.
    pub evaluation: Option<Evaluation>,
    /// Time in the engine.
    pub seconds: f64,
}

/// The settings that a sweep runs a lane with: itself alone where it has no thoughts.
fn swept(choice: &LaneChoice, most_thoughts: u32) -> Vec<LaneChoice> {
    if choice.thoughts().is_none() {
        return vec![choice.clone()];
    }
    let with = |thoughts: u32| {
        let mut choice = choice.clone();
        choice.settings.set(Setting::Thoughts, thoughts as f32);
        choice
    };
    (0..=most_thoughts).map(with).collect()
}

/// What of a lane is counted: its way of reasoning alone, for a change or a fork belongs to a step of
/// one run; with every number of thoughts up to `most_thoughts` where that is given.
pub fn entrants(choice: &LaneChoice, most_thoughts: Option<u32>) -> Vec<LaneChoice> {
    let choice = LaneChoice {
        changes: Vec::new(),
        fork: None,
        ..choice.clone()
    };
    match most_thoughts {
        Some(most) => swept(&choice, most),
        None => vec![choice],
    }
}

/// How many problems had each number of right samples, 0 ..= samples.
pub fn histogram(evaluation: &Evaluation, samples: usize) -> Vec<usize> {
    let mut bins = vec![0; samples + 1];
    for rate in &evaluation.rates {
        bins[((rate * samples as f64).round() as usize).min(samples)] += 1;
    }
    bins
}

/// A lane's line in a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The lane's place on the page, counted from 1.
    pub lane: usize,
    /// Index of its colour in the palette.
    pub colour: usize,
    /// (thoughts, share right with its interval); a lane without thoughts has one point at no
    /// place.
    pub points: Vec<(Option<f32>, Proportion)>,
}

/// The rows as lines of the share right against thoughts, as far as they have run.
pub fn curves(rows: &[Row]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for row in rows {
        let Some(evaluation) = &row.evaluation else {
            continue;
        };
        let point = (row.choice.thoughts(), evaluation.accuracy);
        match curves.iter_mut().find(|curve| curve.lane == row.lane) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                lane: row.lane,
                colour: row.colour,
                points: vec![point],
            }),
        }
    }
    curves
}

impl Row {
    /// The same on the command line, which runs the table's strategies alone.
    pub fn command(&self, trial: &Trial) -> String {
        if !self.choice.is_plain() {
            return String::new();
        }
        let choice = self.choice.clone().normalised();
        let set: String = choice
            .settings
            .iter()
            .map(|(setting, value)| format!(" --set {setting}={value}"))
            .collect();
        let engine = if self.is_on_gpu { "gpu" } else { "reference" };
        let (folder, adapters) = folder_and_adapters(&choice.model);
        let adapters = adapters.map(|adapters| format!(" --adapters {adapters}"));
        format!(
            "latent eval --model public/models/{folder}{} --strategy {}{set} --task {} \
             --difficulty {} --n {} --samples {} --seed {} --engine {engine}",
            adapters.unwrap_or_default(),
            choice.strategy.name,
            trial.task.name(),
            trial.difficulty.name(),
            trial.n,
            trial.samples,
            trial.seed,
        )
    }

    /// `81.0 % (72.2–87.5)`, or nothing yet.
    pub fn accuracy(&self) -> Option<String> {
        let [value, low, high] = self.evaluation.as_ref()?.accuracy.percent();
        Some(format!("{value:.1} % ({low:.1}–{high:.1})"))
    }
}

/// The rows as comma-separated values, with the command that gives each of them.
pub fn csv(trial: &Trial, rows: &[Row]) -> String {
    let head = "lane,model,strategy,settings,task,difficulty,n,samples,seed,runs_done,runs_right,\
                accuracy,ci_low,ci_high,malformed,mean_think_steps,mean_answer_tokens,seconds,\
                engine,command";
    let line = |row: &Row| {
        let evaluation = row.evaluation.as_ref();
        let number = |of: fn(&Evaluation) -> f64| {
            evaluation.map_or(String::new(), |evaluation| of(evaluation).to_string())
        };
        let fields = [
            row.lane.to_string(),
            row.choice.model.clone(),
            row.choice.strategy.name.into(),
            settings_text(&row.choice),
            trial.task.name().into(),
            trial.difficulty.name().into(),
            trial.n.to_string(),
            trial.samples.to_string(),
            trial.seed.to_string(),
            row.n_done.to_string(),
            row.n_right.to_string(),
            number(|found| found.accuracy.value),
            number(|found| found.accuracy.low),
            number(|found| found.accuracy.high),
            number(|found| found.malformed),
            number(|found| found.mean_think_steps),
            number(|found| found.mean_answer_tokens),
            format!("{:.2}", row.seconds),
            row.engine.clone(),
            row.command(trial),
        ];
        let quoted = fields.map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
        quoted.join(",")
    };
    let lines = [head.to_string()].into_iter().chain(rows.iter().map(line));
    lines.map(|line| line + "\r\n").collect()
}

/// The rows as a table in Markdown.
pub fn markdown(trial: &Trial, rows: &[Row]) -> String {
    let mut text = format!(
        "{}, {}: {} {}, {} {}, {} {}\n\n| {} | {} | {} | {} | {} |\n|---|---|---|---|---|\n",
        task_title(trial.task),
        difficulty_word(trial.difficulty),
        words().arena_problems,
        trial.n,
        words().arena_samples,
        trial.samples,
        words().seed,
        trial.seed,
        words().arena_lane,
        words().arena_interval,
        words().arena_done,
        words().arena_malformed,
        words().arena_steps,
    );
    for row in rows {
        let [malformed, steps] = match &row.evaluation {
            Some(found) => [
                format!("{:.1} %", 100.0 * found.malformed),
                format!("{:.2}", found.mean_think_steps),
            ],
            None => Default::default(),
        };
        text += &format!(
            "| {} {} · {} | {} | {}/{} | {malformed} | {steps} |\n",
            row.lane,
            lane_label(&row.choice),
            row.choice.model,
            row.accuracy().unwrap_or_default(),
            row.n_done,
            row.n_runs,
        );
    }
    text
}

fn settings_text(choice: &LaneChoice) -> String {
    let settings = choice.clone().normalised().settings;
    let texts: Vec<String> = settings
        .iter()
        .map(|(setting, value)| format!("{setting}={value}"))
        .collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use latent_model::{
        address::{ChangeChoice, ChangeKind, ForkChoice},
        metrics::clustered_wilson,
        strategy::Strategy,
        tasks::prosqa,
    };

    use super::*;

    fn trial() -> Trial {
        Trial {
            task: prosqa::TASK,
            difficulty: Difficulty::Class,
            n: 3,
            samples: 4,
            seed: 9,
        }
    }

    fn evaluation(rates: &[f64]) -> Evaluation {
        Evaluation {
            accuracy: clustered_wilson(rates, 4),
            rates: rates.to_vec(),
            malformed: 0.0,
            solved_by_any: 0.5,
            mean_think_steps: 3.0,
            mean_answer_tokens: 3.0,
            mean_entropy: None,
            branches: None,
        }
    }

    fn row() -> Row {
        let coconut = Strategy::by_name("coconut").expect("in the table");
        let mut choice = LaneChoice::new("prosqa-coconut", coconut);
        choice.settings.set(Setting::Thoughts, 2.0);
        Row {
            lane: 1,
            colour: 0,
            choice,
            engine: "Reference engine on the CPU".into(),
            is_on_gpu: false,
            n_runs: 12,
            n_done: 12,
            n_right: 7,
            evaluation: Some(evaluation(&[1.0, 0.75, 0.0])),
            seconds: 1.5,
        }
    }

    #[test]
    fn a_sweep_moves_thoughts_and_leaves_a_lane_without_them_alone() {
        let thoughts: Vec<_> = swept(&row().choice, 3)
            .iter()
            .map(LaneChoice::thoughts)
            .collect();
        assert_eq!(thoughts, [0.0, 1.0, 2.0, 3.0].map(Some));
        let soft = LaneChoice::new("a", Strategy::by_name("soft").expect("in the table"));
        assert_eq!(swept(&soft, 3), [soft]);
    }

    #[test]
    fn neither_a_change_nor_a_fork_is_counted() {
        let plain = row().choice;
        let zero = ChangeChoice {
            step: 1,
            kind: ChangeKind::Zero,
        };
        let from_another = ForkChoice {
            lane: 1,
            step: 2,
            answers: false,
        };
        let treated = LaneChoice {
            changes: vec![zero],
            fork: Some(from_another),
            ..plain.clone()
        };
        assert_eq!(entrants(&treated, Some(3)), swept(&plain, 3));
        assert_eq!(entrants(&treated, None), [plain]);
    }

    #[test]
    fn rows_of_one_lane_are_one_line_of_the_sweep() {
        let mut rows: Vec<Row> = swept(&row().choice, 2)
            .into_iter()
            .map(|choice| Row { choice, ..row() })
            .collect();
        rows[1].evaluation = None;
        rows.push(Row { lane: 2, ..row() });
        let curves = curves(&rows);
        let places: Vec<Vec<_>> = curves
            .iter()
            .map(|curve| curve.points.iter().map(|point| point.0).collect())
            .collect();
        assert_eq!(places, [vec![Some(0.0), Some(2.0)], vec![Some(2.0)]]);
    }

    #[test]
    fn a_histogram_counts_problems_by_their_right_samples() {
        let evaluation = evaluation(&[1.0, 0.75, 0.0, 0.0]);
        assert_eq!(histogram(&evaluation, 4), [2, 0, 0, 1, 1]);
    }

    #[test]
    fn files_say_how_to_get_the_same_on_the_command_line() {
        let command = row().command(&trial());
        let expected = "latent eval --model public/models/prosqa-coconut --strategy coconut --set \
                        thoughts=2 --task prosqa --difficulty class --n 3 --samples 4 --seed 9 \
                        --engine reference";
        assert_eq!(command, expected);
        let csv = csv(&trial(), &[row()]);
        let lines: Vec<&str> = csv.split("\r\n").collect();
        assert_eq!(lines.len(), 3, "{csv}");
        assert!(lines[1].contains(&format!("\"{expected}\"")), "{csv}");
        assert!(lines[1].contains("\"12\",\"7\",\"0.58"), "{csv}");
        let table = markdown(&trial(), &[row()]);
        assert!(
            table.contains("| 1 Coconut, thoughts 2 · prosqa-coconut | 58.3 % ("),
            "{table}"
        );
    }
}
