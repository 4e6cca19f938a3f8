//! `latent report`: draws how a checkpoint was trained, from its `training.json`, or what
//! `latent analyze` measured, from its `analysis.json`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;
use latent_model::training_record::{Accuracy, History, TrainingRecord};
use serde::de::IgnoredAny;
use svg::{Document, node::element::Group};

use crate::{
    analyze,
    chart::{self, Axis, Estimate, Panel},
    folder::{load_training_record, model_name},
    output,
};

/// Arguments of `latent report`.
#[derive(Args)]
pub struct ReportArgs {
    /// A model folder, such as public/models/prosqa-cot or runs/prosqa-cot/model, or the folder of
    /// an analysis.
    dir: PathBuf,
    /// Where the drawing goes; curve.svg or analysis.svg in the folder where none is given.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Shows evaluations on these problems; where none are given the last set that was
    /// evaluated, which is the official file.
    #[arg(long)]
    problems: Option<String>,
}

/// Evaluations of one decoding, step by step, in percent.
struct EvaluationSeries {
    /// The problems' name and how they were decoded.
    name: String,
    n: usize,
    estimates: Vec<Estimate>,
}

/// Draws.
pub fn report(args: &ReportArgs) -> Result<ExitCode> {
    let analysis = args.dir.join(analyze::FILE);
    if analysis.exists() {
        let study = fs::read_to_string(&analysis)
            .map_err(anyhow::Error::from)
            .and_then(|json| Ok(serde_json::from_str(&json)?))
            .with_context(|| format!("in {}", analysis.display()))?;
        let out = args.out.clone();
        let out = out.unwrap_or_else(|| analysis.with_extension("svg"));
        output::write(&out, &analyze::svg(&study)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let record: TrainingRecord<IgnoredAny> = load_training_record(&args.dir)?
        .with_context(|| format!("there is no training.json in {}", args.dir.display()))?;
    let svg = svg(
        &model_name(&args.dir),
        record.progress,
        args.problems.as_deref(),
    )
    .with_context(|| format!("in {}", args.dir.display()))?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.dir.join("curve.svg"));
    fs::write(&out, svg).with_context(|| format!("cannot write {}", out.display()))?;
    println!("wrote {}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// The drawing of a `training.json`.
fn svg(name: &str, history: History, problems: Option<&str>) -> Result<String> {
    let chart = Chart(history);
    ensure!(!chart.0.curve.is_empty(), "there is no training curve");
    let series = chart.evaluation_series(problems)?;
    let heading = match series.first() {
        Some(first) => format!(
            "{name}: training, and evaluations on {} with 95 % intervals, n {}",
            first.problems(),
            first.n
        ),
        None => format!("{name}: training, without evaluations"),
    };
    let document = chart::document(WIDTH, HEIGHT, &heading)
        .add(chart::text(&heading, LEFT, 26.0).set("class", "heading"));
    let document = chart.add_accuracy(chart.add_loss(document), &series);
    Ok(format!("{document}\n"))
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 570.0;
const LEFT: f64 = 64.0;
/// Upper and lower edge of the loss and of the accuracy.
const DOWN: [[f64; 2]; 2] = [[100.0, 260.0], [320.0, 520.0]];
/// Two stages nearer than this do not both get their names.
const NAME_WIDTH: f64 = 12.0;

/// How a training went, to be drawn.
struct Chart(History);

impl Chart {
    /// The evaluations on some problems, one series for each way of decoding.
    fn evaluation_series(&self, problems: Option<&str>) -> Result<Vec<EvaluationSeries>> {
        let last = self.0.evaluations.last().and_then(|e| e.accuracies.last());
        let Some(problems) = problems.or(last.map(Accuracy::problems_name)) else {
            return Ok(Vec::new());
        };
        let mut all: Vec<EvaluationSeries> = Vec::new();
        for evaluation in &self.0.evaluations {
            let of_set = evaluation
                .accuracies
                .iter()
                .filter(|accuracy| accuracy.problems_name() == problems);
            for accuracy in of_set {
                let estimate = Estimate::new(evaluation.step as f64, &accuracy.share);
                match all.iter_mut().find(|s| s.name == accuracy.problems) {
                    Some(series) => series.estimates.push(estimate),
                    None => all.push(EvaluationSeries {
                        name: accuracy.problems.clone(),
                        n: accuracy.share.n,
                        estimates: vec![estimate],
                    }),
                }
            }
        }
        ensure!(!all.is_empty(), "there are no evaluations on {problems:?}");
        Ok(all)
    }

    fn last_step(&self) -> f64 {
        let steps = self.0.curve.iter().map(|point| point.step);
        let steps = steps.chain(self.0.evaluations.iter().map(|evaluation| evaluation.step));
        steps.max().unwrap_or(1).max(1) as f64
    }

    /// The steps at which another stage or level begins, with its name.
    fn stages(&self) -> Vec<(f64, &str)> {
        let mut stages: Vec<(f64, &str)> = Vec::new();
        for point in &self.0.curve {
            if stages.last().is_none_or(|(_, name)| *name != point.stage) {
                stages.push((point.step as f64, &point.stage));
            }
        }
        stages
    }

    /// The loss, and the stages with their names above it.
    fn add_loss(&self, document: Document) -> Document {
        let losses = self.0.curve.iter().map(|point| point.loss);
        let highest = losses.fold(f64::MIN_POSITIVE, f64::max);
        let panel = self.panel(0, highest);
        let line = panel.line(
            self.0
                .curve
                .iter()
                .map(|point| (point.step as f64, point.loss)),
        );
        let mut free_from = 0.0;
        let mut names = Group::new().set("class", "names");
        for (step, name) in self.stages() {
            let (x, y) = (panel.x(step), DOWN[0][0] - 6.0);
            if x >= free_from {
                free_from = x + NAME_WIDTH;
                let turned = format!("rotate(-60 {x} {y})");
                let name = chart::text(name, x, y).set("class", "soft");
                names = names.add(name.set("transform", turned));
            }
        }
        document
            .add(panel.axes(&self.steps(), &Axis::round("loss", highest, 5.0)))
            .add(self.stage_lines(&panel))
            .add(names)
            .add(
                Group::new()
                    .set("class", chart::colour(0))
                    .add(line.set("class", "line")),
            )
    }

    /// The running accuracy as a line, and evaluations as points.
    fn add_accuracy(&self, document: Document, series: &[EvaluationSeries]) -> Document {
        let panel = self.panel(1, 100.0);
        let upward = Axis {
            title: "accuracy",
            unit: " %",
            every: 20.0,
        };
        let points = self.0.curve.iter();
        let line = panel.line(points.map(|point| (point.step as f64, 100.0 * point.accuracy)));
        let mut legend = vec![(chart::colour(0), "in training, running mean".to_string())];
        let mut document = document
            .add(panel.axes(&self.steps(), &upward))
            .add(self.stage_lines(&panel))
            .add(
                Group::new()
                    .set("class", chart::colour(0))
                    .add(line.set("class", "line thin")),
            );
        for (index, series) in (1..).zip(series) {
            let marks = Group::new().set("class", chart::colour(index));
            document = document.add(series.estimates.iter().fold(marks, |marks, estimate| {
                marks.add(panel.bar(estimate)).add(panel.dot(estimate))
            }));
            legend.push((chart::colour(index), series.name.clone()));
        }
        document.add(chart::legend([WIDTH - 270.0, DOWN[1][1] - 20.0], &legend))
    }

    fn panel(&self, index: usize, last_y: f64) -> Panel {
        Panel {
            across: [LEFT, WIDTH - 20.0],
            down: DOWN[index],
            last_x: self.last_step(),
            last_y,
        }
    }

    fn steps(&self) -> Axis {
        Axis::round("steps", self.last_step(), 10.0)
    }

    /// A line where a stage begins.
    fn stage_lines(&self, panel: &Panel) -> Group {
        let [top, bottom] = panel.down;
        let stages = self.stages().into_iter();
        stages.fold(Group::new(), |lines, (step, _)| {
            let x = panel.x(step);
            lines.add(chart::line([x, top], [x, bottom]).set("class", "stage"))
        })
    }
}

impl EvaluationSeries {
    fn problems(&self) -> &str {
        self.name.split(',').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two stages, two evaluations of two sets, one of them decoded in two ways.
    fn history() -> History {
        let json = include_str!("../tests/fixtures/training.json");
        let record: TrainingRecord<IgnoredAny> = serde_json::from_str(json).expect("a record");
        record.progress
    }

    fn circles(svg: &str) -> usize {
        let xml = roxmltree::Document::parse(svg).expect("it is XML");
        xml.descendants()
            .filter(|n| n.has_tag_name("circle"))
            .count()
    }

    #[test]
    fn every_evaluation_is_a_point_and_every_stage_is_named() {
        let svg = svg("a <b>", history(), None).expect("it can be drawn");
        assert_eq!(circles(&svg), 2 * 2, "two evaluations of two decodings");
        let xml = roxmltree::Document::parse(&svg).expect("it is XML");
        let texts: Vec<&str> = xml.descendants().filter_map(|n| n.text()).collect();
        let has = |wanted: &str| texts.iter().any(|text| text.trim() == wanted);
        assert!(has("recall 0") && has("level 1"), "{texts:?}");
        assert!(has("prosqa_valid, token-cot"), "{texts:?}");
        assert!(
            has("a <b>: training, and evaluations on prosqa_valid with 95 % intervals, n 300"),
            "{texts:?}"
        );
    }

    #[test]
    fn problems_are_chosen_by_name_and_unknown_ones_refused() {
        let class = svg("a", history(), Some("class")).expect("it can be drawn");
        assert_eq!(circles(&class), 2);
        let error = svg("a", history(), Some("clas")).expect_err("there are none");
        assert!(error.to_string().contains("clas"), "{error}");
    }

    #[test]
    fn a_training_without_a_curve_is_refused() {
        assert!(svg("a", History::default(), None).is_err());
    }
}
