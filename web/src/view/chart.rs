//! The geometry of the entropy chart: axes, curves, marks and what the pointer is over.

use latent_model::record::{StepRecord, flag};

/// Width of the drawing, in its own units.
pub const WIDTH: f32 = 560.0;
/// Height of the drawing.
pub const HEIGHT: f32 = 260.0;
/// Room for the labels of the vertical axis.
pub const LEFT: f32 = 46.0;
/// Room for the labels of the horizontal axis.
pub const BOTTOM: f32 = 40.0;
/// Room above the highest value.
pub const TOP: f32 = 14.0;
/// Room for the labels of the second vertical axis.
pub const RIGHT: f32 = 40.0;

/// The least that the axes show, so that a run's beginning does not jump about.
const LEAST_STEPS: u32 = 10;
const LEAST_NATS: f32 = 1.0;

/// Which of a step's two entropies is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Of the model's own distribution, at temperature 1: the same scale for every lane.
    Raw,
    /// Of what the lane's sampler draws from, at its temperature: what Cold Stop looks at.
    Sampler,
}

/// One lane's entropies, taken up record by record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// One point a step.
    pub points: Vec<Point>,
    /// The highest entropy, in nats, raw and the sampler's.
    most_nats: [f32; 2],
    /// The last point's phase.
    phase: u32,
}

/// One step of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The step.
    pub step: u32,
    /// Nats at temperature 1; `None` where the LM head was skipped.
    pub raw: Option<f32>,
    /// Nats at the sampler's temperature.
    pub sampler: Option<f32>,
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
        let is_computed = record.n_kept > 0;
        let point = Point {
            step: record.step,
            raw: is_computed.then_some(record.raw_entropy),
            sampler: is_computed.then_some(record.entropy),
            ends_phase: false,
            cold_stop: record.has(flag::COLD_STOP),
        };
        for (most, nats) in self.most_nats.iter_mut().zip([point.raw, point.sampler]) {
            *most = nats.map_or(*most, |nats| most.max(nats));
        }
        self.points.push(point);
    }

    /// The point of a step.
    pub fn at(&self, step: u32) -> Option<&Point> {
        let place = self.points.binary_search_by_key(&step, |point| point.step);
        Some(&self.points[place.ok()?])
    }

    /// Whether its two entropies differ anywhere, beyond what rounding makes of equal ones.
    pub fn has_two_measures(&self) -> bool {
        let differs = |point: &Point| match (point.raw, point.sampler) {
            (Some(raw), Some(sampler)) => (raw - sampler).abs() > 1e-3,
            _ => false,
        };
        self.points.iter().any(differs)
    }
}

impl Point {
    /// One of its entropies, in nats.
    pub fn nats(&self, measure: Measure) -> Option<f32> {
        match measure {
            Measure::Raw => self.raw,
            Measure::Sampler => self.sampler,
        }
    }
}

/// e^H, the number of equally likely words that have this entropy: how many words at once.
pub fn words_at_once(nats: f32) -> String {
    let words = nats.exp();
    match words < 9.95 {
        true => format!("{words:.1}"),
        false => format!("{words:.0}"),
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
    /// Axes that hold every point of every curve in these measures.
    pub fn new(curves: &[Curve], measures: &[Measure]) -> Self {
        let lasts = curves.iter().filter_map(|curve| curve.points.last());
        let last_step = lasts.map(|point| point.step).max().unwrap_or(0);
        let most_of = |curve: &Curve| {
            let of_measure = measures
                .iter()
                .map(|&measure| curve.most_nats[measure as usize]);
            of_measure.fold(LEAST_NATS, f32::max)
        };
        let most = curves.iter().map(most_of).fold(LEAST_NATS, f32::max);
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

    /// Numbers of words at once, 1, 2, 4 and so on, that get a label beside their entropy.
    pub fn word_ticks(&self) -> Vec<(u32, f32)> {
        let doublings = (0..).map(|power| 1_u32 << power);
        let ticks = doublings.map(|words| (words, (words as f32).ln()));
        ticks
            .take_while(|(_, nats)| *nats <= self.most_nats)
            .collect()
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
    pub fn path(&self, curve: &Curve, measure: Measure) -> String {
        let mut path = String::new();
        let mut pen_down = false;
        for point in &curve.points {
            let Some(nats) = point.nats(measure) else {
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
            record.raw_entropy = entropy.unwrap_or(f32::NAN);
            record.entropy = record.raw_entropy / 4.0;
            curve.append(&record);
        }
        curve
    }

    #[test]
    fn a_step_without_a_distribution_interrupts_the_curve() {
        let curve = curve(&[Some(0.5), Some(0.2), None, Some(0.1)]);
        let path =
            Axes::new(std::slice::from_ref(&curve), &[Measure::Raw]).path(&curve, Measure::Raw);
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 1, "{path}");
        assert!(!path.contains("NaN"), "{path}");
    }

    #[test]
    fn lanes_share_one_scale_whatever_their_samplers_temperature() {
        // Equal logits, drawn from at temperature 1 and at 0.6, as words and mixtures are.
        let at = |sampler: f32| {
            let mut record = record(0, InputKind::Token, 0, &[(1, 0.5, 1.0)]);
            (record.raw_entropy, record.entropy) = (0.69, sampler);
            let mut curve = Curve::default();
            curve.append(&record);
            curve
        };
        let (words, mixtures) = (at(0.69), at(0.14));
        let axes = Axes::new(&[words.clone(), mixtures.clone()], &[Measure::Raw]);
        let path = |curve, measure| axes.path(curve, measure);
        assert_eq!(path(&words, Measure::Raw), path(&mixtures, Measure::Raw));
        assert_ne!(
            path(&words, Measure::Sampler),
            path(&mixtures, Measure::Sampler)
        );
        assert!(!words.has_two_measures() && mixtures.has_two_measures());
    }

    #[test]
    fn the_axes_hold_the_measures_that_are_drawn() {
        let mut record = record(0, InputKind::Token, 0, &[(1, 0.5, 1.0)]);
        (record.raw_entropy, record.entropy) = (0.2, 3.2);
        let mut curve = Curve::default();
        curve.append(&record);
        let most =
            |measures: &[Measure]| Axes::new(std::slice::from_ref(&curve), measures).most_nats;
        assert_eq!(most(&[Measure::Raw]), LEAST_NATS);
        assert_eq!(most(&[Measure::Raw, Measure::Sampler]), 3.5);
    }

    #[test]
    fn breadth_is_told_in_words_at_once() {
        assert_eq!(words_at_once(0.0), "1.0");
        assert_eq!(words_at_once(3.0_f32.ln()), "3.0");
        assert_eq!(words_at_once(12.0_f32.ln()), "12");
        let axes = Axes {
            last_step: 10,
            most_nats: 1.5,
        };
        let words: Vec<u32> = axes.word_ticks().iter().map(|tick| tick.0).collect();
        assert_eq!(words, [1, 2, 4]);
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
            let axes = Axes::new(std::slice::from_ref(&curve), &[Measure::Raw]);
            prop_assert!(curve.at(entropies.len() as u32).is_none());
            for point in &curve.points {
                prop_assert_eq!(curve.at(point.step).and_then(|p| p.raw), entropies[point.step as usize]);
                let x = axes.x(point.step);
                prop_assert!((LEFT..=WIDTH - RIGHT + 0.01).contains(&x));
                prop_assert_eq!(axes.step_at(x), point.step);
                let y = axes.y(point.raw.unwrap_or(0.0));
                prop_assert!((TOP - 0.01..=HEIGHT - BOTTOM + 0.01).contains(&y));
            }
            prop_assert!(axes.step_ticks().len() <= 13);
            prop_assert!(axes.nats_ticks().len() >= 2);
        }
    }
}
