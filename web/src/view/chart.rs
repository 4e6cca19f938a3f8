//! The geometry of the entropy chart: axes, curves, marks and what the pointer is over.

use latent_model::record::{StepRecord, flag};

/// Width of the drawing, in its own units.
pub const WIDTH: f32 = 560.0;
/// Height of the drawing.
pub const HEIGHT: f32 = 330.0;
/// Room for the labels of the vertical axis.
pub const LEFT: f32 = 46.0;
/// Room for the labels of the horizontal axis.
pub const BOTTOM: f32 = 40.0;
/// Room above the highest value.
pub const TOP: f32 = 14.0;
/// Room beside the last step.
pub const RIGHT: f32 = 14.0;

/// The least that the axes show, so that a run's beginning does not jump about.
const LEAST_STEPS: u32 = 10;
const LEAST_NATS: f32 = 1.0;

/// One lane's entropies, taken up record by record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// One point a step.
    pub points: Vec<Point>,
    /// The highest entropy, in nats.
    most_nats: f32,
    /// The last point's phase.
    phase: u32,
}

/// One step of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The step.
    pub step: u32,
    /// Nats; `None` where the LM head was skipped.
    pub entropy: Option<f32>,
    /// Whether the next step belongs to another phase.
    pub ends_phase: bool,
    /// Whether Cold Stop ended the phase here.
    pub cold_stop: bool,
}

impl Curve {
    /// Goes on by a record.
    pub fn append(&mut self, record: &StepRecord) {
        if let Some(last) = self.points.last_mut() {
            last.ends_phase = record.phase != self.phase;
        }
        self.phase = record.phase;
        let entropy = (record.n_kept > 0).then_some(record.entropy);
        self.most_nats = entropy.map_or(self.most_nats, |nats| self.most_nats.max(nats));
        self.points.push(Point {
            step: record.step,
            entropy,
            ends_phase: false,
            cold_stop: record.has(flag::COLD_STOP),
        });
    }

    /// The entropy at a step.
    pub fn at(&self, step: u32) -> Option<f32> {
        let place = self.points.binary_search_by_key(&step, |point| point.step);
        self.points[place.ok()?].entropy
    }
}

/// The axes that all curves share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axes {
    /// The last step shown.
    pub last_step: u32,
    /// The highest entropy shown, in nats.
    pub most_nats: f32,
}

impl Axes {
    /// Axes that hold every point of every curve.
    pub fn new(curves: &[Curve]) -> Self {
        let lasts = curves.iter().filter_map(|curve| curve.points.last());
        let last_step = lasts.map(|point| point.step).max().unwrap_or(0);
        let most = curves.iter().map(|curve| curve.most_nats);
        let most = most.fold(LEAST_NATS, f32::max);
        Self {
            last_step: last_step.max(LEAST_STEPS),
            most_nats: (most * 2.0).ceil() / 2.0,
        }
    }

    /// Horizontal place of a step.
    pub fn x(&self, step: u32) -> f32 {
        LEFT + (WIDTH - LEFT - RIGHT) * step as f32 / self.last_step as f32
    }

    /// Vertical place of an entropy.
    pub fn y(&self, nats: f32) -> f32 {
        HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * nats / self.most_nats
    }

    /// The step nearest to a horizontal place.
    pub fn step_at(&self, x: f32) -> u32 {
        let step = (x - LEFT) / (WIDTH - LEFT - RIGHT) * self.last_step as f32;
        step.round().clamp(0.0, self.last_step as f32) as u32
    }

    /// Entropies that get a line and a label.
    pub fn nats_ticks(&self) -> Vec<f32> {
        let every = if self.most_nats > 2.0 { 1.0 } else { 0.5 };
        let n_ticks = (self.most_nats / every).floor() as usize;
        (0..=n_ticks).map(|tick| tick as f32 * every).collect()
    }

    /// Steps that get a label.
    pub fn step_ticks(&self) -> Vec<u32> {
        let every = [1, 2, 5, 10, 20, 50, 100]
            .into_iter()
            .find(|every| self.last_step / every <= 12);
        (0..=self.last_step)
            .step_by(every.unwrap_or(200) as usize)
            .collect()
    }

    /// The curve as SVG path text; a step without an entropy interrupts it.
    pub fn path(&self, curve: &Curve) -> String {
        let mut path = String::new();
        let mut pen_down = false;
        for point in &curve.points {
            let Some(nats) = point.entropy else {
                pen_down = false;
                continue;
            };
            let command = if pen_down { 'L' } else { 'M' };
            let (x, y) = (self.x(point.step), self.y(nats));
            path += &format!("{command}{x:.1} {y:.1}");
            pen_down = true;
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use latent_model::record::InputKind;
    use proptest::prelude::*;

    use super::*;
    use crate::view::test_records::record;

    fn curve(entropies: &[Option<f32>]) -> Curve {
        let mut curve = Curve::default();
        for (step, entropy) in entropies.iter().enumerate() {
            let kept: &[(u32, f32, f32)] = match entropy {
                Some(_) => &[(1, 1.0, 1.0)],
                None => &[],
            };
            let mut record = record(step as u32, InputKind::Token, 0, kept);
            record.entropy = entropy.unwrap_or(f32::NAN);
            curve.append(&record);
        }
        curve
    }

    #[test]
    fn a_step_without_a_distribution_interrupts_the_curve() {
        let curve = curve(&[Some(0.5), Some(0.2), None, Some(0.1)]);
        let path = Axes::new(std::slice::from_ref(&curve)).path(&curve);
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 1, "{path}");
        assert!(!path.contains("NaN"), "{path}");
    }

    #[test]
    fn phase_changes_and_cold_stop_are_points_of_the_curve() {
        let mut cold = record(0, InputKind::Token, 0, &[(1, 1.0, 0.0)]);
        cold.flags = flag::COLD_STOP | flag::FORCED;
        let after = record(1, InputKind::Token, 1, &[(1, 1.0, 1.0)]);
        let mut curve = Curve::default();
        curve.append(&cold);
        assert!(!curve.points[0].ends_phase, "nothing has followed yet");
        curve.append(&after);
        assert!(curve.points[0].cold_stop && curve.points[0].ends_phase);
        assert!(!curve.points[1].ends_phase);
    }

    proptest! {
        #[test]
        fn every_point_lies_inside_and_the_pointer_finds_its_step(
            entropies in prop::collection::vec(prop::option::of(0.0..4.5_f32), 1..60),
        ) {
            let curve = curve(&entropies);
            let axes = Axes::new(std::slice::from_ref(&curve));
            prop_assert_eq!(curve.at(entropies.len() as u32), None);
            for point in &curve.points {
                prop_assert_eq!(curve.at(point.step), entropies[point.step as usize]);
                let x = axes.x(point.step);
                prop_assert!((LEFT..=WIDTH - RIGHT + 0.01).contains(&x));
                prop_assert_eq!(axes.step_at(x), point.step);
                let y = axes.y(point.entropy.unwrap_or(0.0));
                prop_assert!((TOP - 0.01..=HEIGHT - BOTTOM + 0.01).contains(&y));
            }
            prop_assert!(axes.step_ticks().len() <= 13);
            prop_assert!(axes.nats_ticks().len() >= 2);
        }
    }
}
