//! The suite file: which checkpoint stands for which row of the table, and the paper's figures.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use latent_model::{
    engine::ModelCapabilities,
    evidence::Published,
    program::Program,
    strategy::{Settings, Strategy},
    tasks::Task,
    text,
    tokenizer::Tokenizer,
};
use serde::Deserialize;

use super::finding::Claim;

/// A suite file, such as `crates/cli/suites/coconut.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// The table's title.
    pub title: String,
    /// What the figures beside ours are, in Markdown.
    pub introduction: String,
    /// What a reader has to know of a task's rows, by the task's name.
    #[serde(default)]
    pub notes: BTreeMap<String, String>,
    /// Rows in the order in which they are shown.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
    /// What is measured against the number of thoughts.
    pub thoughts: Option<Thoughts>,
    /// Ways of decoding of which is shown how sure they are.
    #[serde(default)]
    pub thinking: Vec<Way>,
    /// What the paper finds.
    #[serde(default, rename = "claim")]
    pub claims: Vec<Claim>,
}

/// A method, with one cell for each task.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// Its name for people.
    pub method: String,
    /// By the task's name.
    #[serde(flatten)]
    pub cells: BTreeMap<String, Cell>,
}

/// How a method is measured on a task.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Name of the checkpoint.
    pub model: String,
    /// The folder of CCOT's adapters in it, where it is not the default one.
    pub adapters: Option<String>,
    /// A strategy of the table.
    pub strategy: String,
    /// `key=value` for each setting that is not the strategy's default.
    #[serde(default)]
    pub set: Vec<String>,
    /// The paper's figure, where it has one.
    pub paper: Option<Published>,
    /// Runs of each problem, with different noise.
    #[serde(default = "once")]
    pub samples: usize,
}

fn once() -> usize {
    1
}

/// A checkpoint decoded in one way.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Way {
    /// The task.
    pub task: String,
    /// Name of the checkpoint.
    pub model: String,
    /// A strategy of the table.
    pub strategy: String,
    /// `key=value` for each setting that is not the strategy's default.
    #[serde(default)]
    pub set: Vec<String>,
    /// Runs of each problem, with different noise.
    #[serde(default = "once")]
    pub samples: usize,
}

/// Accuracy against the number of thoughts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thoughts {
    /// The largest number of thoughts; the smallest is 0.
    pub most: u32,
    /// The checkpoints, each run with the strategy `coconut`.
    #[serde(rename = "curve")]
    pub curves: Vec<ThoughtsCurve>,
}

/// One checkpoint's curve.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThoughtsCurve {
    /// Its name for people.
    pub label: String,
    /// The task.
    pub task: String,
    /// Name of the checkpoint.
    pub model: String,
}

impl Suite {
    /// Reads and checks a suite file.
    pub fn load(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Reads and checks a suite.
    pub fn parse(text: &str) -> Result<Self> {
        let suite: Self = toml::from_str(&text::clean(text))?;
        for row in &suite.rows {
            ensure!(!row.cells.is_empty(), "{:?} has no cell", row.method);
            for (task, cell) in &row.cells {
                check(task, cell).with_context(|| format!("{:?}, {task}", row.method))?;
            }
        }
        for claim in &suite.claims {
            for task in &claim.tasks {
                suite.check_methods(claim, task)?;
            }
        }
        for task in suite.notes.keys() {
            task.parse::<Task>().context("notes")?;
        }
        for (curve, most) in suite.curves() {
            check(&curve.task, &curve.cell(most))
                .with_context(|| format!("thoughts of {:?}", curve.label))?;
        }
        for way in &suite.thinking {
            check(&way.task, &way.cell())
                .with_context(|| format!("thinking of {} with {}", way.model, way.strategy))?;
        }
        Ok(suite)
    }

    /// The curves over the number of thoughts, each with the largest number.
    pub fn curves(&self) -> impl Iterator<Item = (&ThoughtsCurve, u32)> {
        self.thoughts.iter().flat_map(|thoughts| {
            let curves = thoughts.curves.iter();
            curves.map(|curve| (curve, thoughts.most))
        })
    }

    /// Refuses a claim about a method that no row of the task has.
    fn check_methods(&self, claim: &Claim, task: &str) -> Result<()> {
        for method in [&claim.better, &claim.worse]
            .into_iter()
            .chain(&claim.floor)
        {
            let mut of_task = self.rows.iter().filter(|row| row.cells.contains_key(task));
            ensure!(
                of_task.any(|row| row.method == *method),
                "{:?} is about {method:?}, which no row of {task} has",
                claim.claim
            );
        }
        Ok(())
    }
}

impl ThoughtsCurve {
    /// How a point of the curve is measured.
    pub fn cell(&self, thoughts: u32) -> Cell {
        Cell {
            model: self.model.clone(),
            adapters: None,
            strategy: "coconut".into(),
            set: vec![format!("thoughts={thoughts}")],
            paper: None,
            samples: 1,
        }
    }
}

impl Way {
    /// How it is measured.
    pub fn cell(&self) -> Cell {
        Cell {
            model: self.model.clone(),
            adapters: None,
            strategy: self.strategy.clone(),
            set: self.set.clone(),
            paper: None,
            samples: self.samples,
        }
    }
}

impl Cell {
    /// What runs, on a checkpoint.
    pub fn program(
        &self,
        tokenizer: &Tokenizer,
        capabilities: ModelCapabilities,
    ) -> Result<Program> {
        let strategy = Strategy::by_name(&self.strategy)?;
        let settings = Settings::parse(strategy, self.set.iter().map(String::as_str))?;
        Ok(strategy.program(&settings, tokenizer, capabilities)?)
    }
}

/// Refuses a task or strategy that does not exist, and a checkpoint of another task: a
/// checkpoint's name is its task's name, a hyphen, and the method.
fn check(task: &str, cell: &Cell) -> Result<()> {
    let task: Task = task.parse()?;
    Strategy::by_name(&cell.strategy)?;
    ensure!(cell.samples > 0, "samples must be at least 1, found 0");
    let method = cell.model.strip_prefix(task.name());
    let method = method.and_then(|rest| rest.strip_prefix('-'));
    ensure!(
        method.is_some_and(|method| !method.is_empty()),
        "a checkpoint for {0} is named {0}-METHOD, found {1:?}",
        task.name(),
        cell.model
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use latent_model::contemplation::ContemplationSpec;

    use super::*;

    const COCONUT: &str = include_str!("../../suites/coconut.toml");
    const CCOT: &str = include_str!("../../suites/ccot.toml");

    /// A vocabulary with every marker.
    const TOKENIZER: &str = include_str!("../../../../public/models/prosqa-cot/tokenizer.json");

    /// Every checkpoint of a suite with how it is run.
    fn cells(suite: &Suite) -> Vec<Cell> {
        let of_rows = suite
            .rows
            .iter()
            .flat_map(|row| row.cells.values().cloned());
        let of_curves = suite.curves().map(|(curve, most)| curve.cell(most));
        let of_thinking = suite.thinking.iter().map(Way::cell);
        of_rows.chain(of_curves).chain(of_thinking).collect()
    }

    /// A suite whose programs can all be made.
    fn checked(text: &str) -> Result<Suite> {
        let tokenizer = Tokenizer::from_json(TOKENIZER)?;
        let spec = ContemplationSpec {
            layer: 0,
            ratio: 0.1,
        };
        let everything = ModelCapabilities {
            end_classifier: true,
            contemplation: Some(spec),
        };
        let suite = Suite::parse(text)?;
        for cell in cells(&suite) {
            cell.program(&tokenizer, everything)?;
        }
        Ok(suite)
    }

    #[test]
    fn the_shipped_suites_name_what_exists() {
        let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../train/configs");
        for (text, n_rows) in [(COCONUT, 13), (CCOT, 9)] {
            let suite = checked(text).unwrap_or_else(|error| panic!("{error:#}"));
            for Cell {
                model, adapters, ..
            } in cells(&suite)
            {
                // A folder of adapters is named after the method of the run that made it.
                let method = adapters
                    .as_deref()
                    .and_then(|name| name.strip_prefix("ccot"));
                let config = configs.join(format!("{model}{}.toml", method.unwrap_or("")));
                assert!(config.exists(), "nothing trains {model}: no {config:?}");
            }
            assert!(suite.rows.len() >= n_rows, "{} rows", suite.rows.len());
        }
    }

    #[test]
    fn what_does_not_exist_is_refused_by_name() {
        let cases = [
            ("strategy = \"no-cot\"", "strategy = \"no-cut\"", "no-cut"),
            ("[\"pauses=6\"]", "[\"pauzes=6\"]", "pauzes"),
            ("[\"pauses=6\"]", "[\"thoughts=6\"]", "thoughts"),
            ("[\"pauses=6\"]", "[\"pauses=99\"]", "99"),
            ("\"prosqa-icot\"", "\"icot\"", "prosqa-METHOD"),
            ("[row.prosqa]", "[row.prosca]", "prosca"),
            ("most = 8", "most = 80", "80"),
            ("samples = 4", "samples = 0", "samples"),
        ];
        for (right, wrong, named) in cases {
            assert!(COCONUT.contains(right), "{right}");
            let error = checked(&COCONUT.replace(right, wrong)).expect_err(wrong);
            assert!(format!("{error:#}").contains(named), "{error:#}");
        }
    }

    /// The figures as the paper prints them.
    #[test]
    fn the_papers_figures_are_the_papers() {
        let suite = Suite::parse(COCONUT).unwrap_or_else(|error| panic!("{error:#}"));
        let figures = |task: &str| -> Vec<[f64; 3]> {
            let cells = suite.rows.iter().filter_map(|row| row.cells.get(task));
            let figure = |paper: Published| {
                let or_none = |value: Option<f64>| value.unwrap_or(-1.0);
                [paper.accuracy, or_none(paper.spread), or_none(paper.tokens)]
            };
            cells.filter_map(|cell| cell.paper).map(figure).collect()
        };
        let prosqa = [
            [77.5, 1.9, 49.4],
            [76.7, 1.0, 8.2],
            [98.2, 0.3, 8.2],
            [75.9, 0.7, 8.2],
            [97.0, 0.3, 14.2],
            [76.1, 0.2, 14.2],
            [95.5, 1.1, 8.2],
            [96.6, 0.8, 8.2],
        ];
        let prontoqa = [
            [98.8, 0.8, 92.5],
            [93.8, 0.7, 3.0],
            [99.8, 0.3, 3.0],
            [77.7, 21.0, 3.0],
            [99.8, 0.2, 9.0],
            [52.4, 0.4, 9.0],
            [99.9, 0.1, 3.0],
            [100.0, 0.1, 3.0],
        ];
        let gsm8k = [
            [42.9, 0.2, 25.0],
            [16.5, 0.5, 2.2],
            [30.0, -1.0, 2.2],
            [16.4, 1.8, 2.2],
            [34.1, 1.5, 8.2],
            [14.4, 0.8, 8.2],
            [21.6, 0.5, 2.3],
            [24.1, 0.7, 2.2],
        ];
        assert_eq!(figures("prosqa"), prosqa);
        assert_eq!(figures("prontoqa"), prontoqa);
        assert_eq!(figures("arithmetic"), gsm8k);
    }
}
