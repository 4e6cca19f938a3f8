//! Accuracy against the number of thoughts: `thoughts.json`, and from it `thoughts.svg`.

use latent_model::evidence::{Measured, Origin, Outcome, SetOfTable};
use serde::{Deserialize, Serialize};
use svg::node::element::Group;

use super::suite::ThoughtsCurve;
use crate::chart::{self, Axis, Estimate, Panel};

/// `thoughts.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThoughtsDocument {
    /// How it was made.
    #[serde(flatten)]
    pub origin: Origin,
    /// One for each checkpoint.
    pub curves: Vec<CurveOfThoughts>,
}

/// One checkpoint's accuracies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurveOfThoughts {
    /// Its name for people.
    pub label: String,
    /// The task.
    pub task: String,
    /// Name of the checkpoint.
    pub model: String,
    /// `measured`, `not trained` or `left out`.
    pub state: String,
    /// SHA-256 of the weights.
    pub weights_sha256: Option<String>,
    /// From 0 thoughts on.
    pub points: Vec<PointOfThoughts>,
}

/// Accuracies with a number of thoughts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointOfThoughts {
    /// How many.
    pub thoughts: u32,
    /// One for each set of problems.
    pub results: Vec<Measured>,
}

impl CurveOfThoughts {
    /// A curve from its points and what became of the last one.
    pub fn new(curve: &ThoughtsCurve, outcome: &Outcome, points: Vec<PointOfThoughts>) -> Self {
        let (state, weights_sha256) = match outcome {
            Outcome::Measured { weights_sha256, .. } => ("measured", Some(weights_sha256.clone())),
            Outcome::NotTrained => ("not trained", None),
            Outcome::LeftOut => ("left out", None),
        };
        Self {
            label: curve.label.clone(),
            task: curve.task.clone(),
            model: curve.model.clone(),
            state: state.into(),
            weights_sha256,
            points,
        }
    }

    /// The label, with what there is to say of a curve without points.
    fn legend(&self) -> String {
        match self.points.is_empty() {
            true => format!("{} ({})", self.label, self.state),
            false => self.label.clone(),
        }
    }

    /// On the problems of this name, in percent.
    fn on(&self, problems: &str) -> Vec<Estimate> {
        let estimate = |point: &PointOfThoughts| {
            let result = point.results.iter().find(|r| r.problems == problems)?;
            Some(Estimate::new(f64::from(point.thoughts), &result.accuracy))
        };
        self.points.iter().filter_map(estimate).collect()
    }
}

/// Width of a panel with its labels.
const PANEL_WIDTH: f64 = 430.0;
/// Height of the drawing.
const HEIGHT: f64 = 380.0;

impl ThoughtsDocument {
    /// The curves as a table, a row for each number of thoughts.
    pub fn markdown(&self) -> String {
        let columns: Vec<(&CurveOfThoughts, &SetOfTable)> = self
            .curves
            .iter()
            .flat_map(|curve| {
                let sets = self.origin.sets.iter();
                let sets = sets.filter(move |set| set.task == curve.task);
                sets.map(move |set| (curve, set))
            })
            .collect();
        let heads: Vec<String> = columns
            .iter()
            .map(|(curve, set)| format!(" `{}`, {}, n {}, % |", curve.model, set.name, set.n))
            .collect();
        let mut text = format!("| thoughts |{}\n", heads.concat());
        text += &format!("|{}\n", "---|".repeat(1 + columns.len()));
        let n_rows = self.curves.iter().map(|curve| curve.points.len()).max();
        for row in 0..n_rows.unwrap_or(0) {
            let cells: Vec<String> = columns
                .iter()
                .map(|(curve, set)| {
                    let point = curve.points.get(row);
                    let results = point.into_iter().flat_map(|point| &point.results);
                    let mut of_set = results.filter(|result| result.problems == set.name);
                    let text = of_set.next().map_or("–".into(), Measured::text);
                    format!(" {text} |")
                })
                .collect();
            text += &format!("| {row} |{}\n", cells.concat());
        }
        text
    }

    /// One panel for each set of problems, one curve for each checkpoint, bands of 95 %.
    pub fn svg(&self) -> String {
        let title = "Accuracy against the number of continuous thoughts, with 95 % intervals";
        let is_shown = |set: &&SetOfTable| self.curves.iter().any(|curve| curve.task == set.task);
        let sets: Vec<&SetOfTable> = self.origin.sets.iter().filter(is_shown).collect();
        let document = chart::document(PANEL_WIDTH * sets.len() as f64, HEIGHT, title);
        let panels = sets.iter().enumerate().map(|(index, set)| {
            let panel = self.panel(set);
            let shift = format!("translate({} 0)", PANEL_WIDTH * index as f64);
            panel.set("transform", shift)
        });
        let document = panels.fold(document, |document, panel| document.add(panel));
        format!("{document}\n")
    }

    fn panel(&self, set: &SetOfTable) -> Group {
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let most = points.map(|point| point.thoughts).max().unwrap_or(1).max(1);
        let panel = Panel {
            across: [64.0, PANEL_WIDTH - 16.0],
            down: [44.0, HEIGHT - 50.0],
            last_x: f64::from(most),
            last_y: 100.0,
        };
        let across = Axis {
            title: "thoughts",
            unit: "",
            every: 1.0,
        };
        let upward = Axis {
            title: "right answers",
            unit: " %",
            every: 20.0,
        };
        let heading = format!("{}, {} problems, n {}", set.task, set.name, set.n);
        let mut group = Group::new()
            .add(panel.axes(&across, &upward))
            .add(chart::text(&heading, 64.0, 26.0).set("class", "heading"));
        let mut legend = Vec::new();
        for (index, curve) in self.curves.iter().enumerate() {
            if curve.task != set.task {
                continue;
            }
            let estimates = curve.on(&set.name);
            let line = panel.line(
                estimates
                    .iter()
                    .map(|estimate| (estimate.x, estimate.value)),
            );
            let curve_group = Group::new()
                .set("class", chart::colour(index))
                .add(panel.band(&estimates).set("class", "band"))
                .add(line.set("class", "line"));
            group = group.add(estimates.iter().fold(curve_group, |group, estimate| {
                group.add(panel.dot(estimate))
            }));
            legend.push((chart::colour(index), curve.legend()));
        }
        group.add(chart::legend([230.0, HEIGHT - 70.0], &legend))
    }
}

#[cfg(test)]
mod tests {
    use latent_model::metrics::Proportion;

    use super::*;

    fn document() -> ThoughtsDocument {
        let result = |problems: &str, accuracy: f64| Measured {
            problems: problems.into(),
            accuracy: Proportion {
                n: 300,
                value: accuracy,
                low: accuracy - 0.05,
                high: accuracy + 0.05,
            },
            malformed: 0.0,
            think_steps: 0.0,
            answer_tokens: 3.0,
            tokens: 3.0,
        };
        let set = |name: &str| SetOfTable {
            task: "prosqa".into(),
            name: name.into(),
            source: String::new(),
            n: 300,
            sha256: String::new(),
        };
        let curve = |label: &str, accuracies: &[f64]| CurveOfThoughts {
            label: label.into(),
            task: "prosqa".into(),
            model: "prosqa-coconut".into(),
            state: "not trained".into(),
            weights_sha256: None,
            points: accuracies
                .iter()
                .zip(0..)
                .map(|(&accuracy, thoughts)| PointOfThoughts {
                    thoughts,
                    results: vec![result("official", accuracy), result("class", accuracy)],
                })
                .collect(),
        };
        ThoughtsDocument {
            origin: Origin {
                command: String::new(),
                version: String::new(),
                engine: String::new(),
                seed: 1,
                sets: vec![set("official"), set("class")],
            },
            curves: vec![curve("a", &[0.3, 0.5, 0.9]), curve("b", &[])],
        }
    }

    #[test]
    fn every_point_is_drawn_in_both_panels_and_a_missing_checkpoint_is_named() {
        let svg = document().svg();
        let xml = roxmltree::Document::parse(&svg).expect("it is XML");
        let circles = xml.descendants().filter(|n| n.has_tag_name("circle"));
        assert_eq!(circles.count(), 2 * 3);
        let bands = xml.descendants().filter(|n| n.has_tag_name("polygon"));
        let corners: Vec<usize> = bands
            .filter_map(|n| n.attribute("points"))
            .map(|points| points.split_whitespace().count())
            .filter(|n_corners| *n_corners > 0)
            .collect();
        assert_eq!(corners, [6, 6]);
        assert!(svg.contains("b (not trained)"), "{svg}");
    }
}
