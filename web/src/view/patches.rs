//! What the patching view draws, as numbers: how far each state moves the answer, and its cone.

use std::sync::Arc;

use latent_model::{
    analysis::patching::{Place, Standing, WatchedRun, cone},
    program::{Feed, Program},
    record::{InputKind, StepRecord},
};

/// Below this share of a state's length, what a patch moved of it is rounding.
const LEAST_MOVED: f64 = 1e-4;

/// What the heat stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// How much of the difference of logits has moved to the other run's answer.
    #[default]
    Moved,
    /// How much of the own answer's probability is gone.
    Lost,
}

impl Effect {
    /// Both, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Moved, Self::Lost];

    /// Its name in a select's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Lost => "lost",
        }
    }
}

/// A column of the map: what is fed at a step of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct FedStep {
    /// The step.
    pub step: u32,
    /// What it is called.
    pub name: String,
    /// Whether it is a hidden state of the step before.
    pub is_fed_back: bool,
}

/// What became of a run with one state replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Patched {
    /// How it stands between the answers.
    pub standing: Standing,
    /// What it answers.
    pub answer: String,
    /// Per column, per layer: ‖x′ − x‖ / ‖x‖.
    cone: Vec<Vec<f64>>,
}

/// The map of a lane, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchMap {
    /// The steps at which both runs were fed something, but the first.
    pub columns: Vec<FedStep>,
    /// Layers of the model.
    pub n_layers: usize,
    /// How the run stands without a patch.
    pub clean: Standing,
    /// The run's answer and the other one's.
    pub answers: [String; 2],
    /// Whether the lane is fed pauses, whatever its states are.
    pub is_of_pauses: bool,
    /// (columns, layers)
    cells: Vec<Option<Arc<Patched>>>,
}

impl PatchMap {
    /// The map of a run of `program` with nothing patched yet, as far as the `n_shared` steps that the
    /// other run has, too; `name` is what is fed after a record.
    pub fn new(
        (program, clean): (&Program, &WatchedRun),
        n_shared: usize,
        standing: Standing,
        answers: [String; 2],
        name: impl Fn(&StepRecord) -> String,
    ) -> Self {
        let n_steps = clean.records.len().min(n_shared);
        let before = clean.records.iter().take(n_steps.saturating_sub(1));
        let column = |record: &StepRecord| FedStep {
            step: record.step + 1,
            name: name(record),
            is_fed_back: record.input_kind() == InputKind::Hidden,
        };
        let mut phases = program.phases.iter();
        let columns: Vec<FedStep> = before.map(column).collect();
        let n_layers = clean.states.first().map_or(0, Vec::len);
        Self {
            cells: vec![None; columns.len() * n_layers],
            columns,
            n_layers,
            clean: standing,
            answers,
            is_of_pauses: phases.any(|phase| matches!(phase.feed, Feed::Pause(_))),
        }
    }

    /// Every place, those of the step that is looked at first and then those nearest to it.
    pub fn places(&self, looked_at: Option<u32>) -> Vec<Place> {
        let mut steps: Vec<u32> = self.columns.iter().map(|column| column.step).collect();
        if let Some(step) = looked_at {
            steps.sort_by_key(|other| other.abs_diff(step));
        }
        let layers = 0..self.n_layers;
        let of_step = |step: u32| layers.clone().map(move |layer| (step, layer));
        steps.into_iter().flat_map(of_step).collect()
    }

    /// Takes up a run with the state of one place replaced.
    pub fn insert(
        &mut self,
        (step, layer): Place,
        (clean, run): (&WatchedRun, &WatchedRun),
        standing: Standing,
        answer: String,
    ) {
        let mut cone = cone(clean, run);
        // The first step is no column.
        cone.drain(..cone.len().min(1));
        let patched = Patched {
            standing,
            answer,
            cone,
        };
        let column = self.columns.iter().position(|column| column.step == step);
        if let Some(column) = column {
            self.cells[column * self.n_layers + layer] = Some(Arc::new(patched));
        }
    }

    /// How many places have been patched.
    pub fn n_done(&self) -> usize {
        self.cells.iter().flatten().count()
    }

    /// How many there are.
    pub fn n_all(&self) -> usize {
        self.cells.len()
    }

    /// What became of a patch in a column after a layer.
    pub fn at(&self, (column, layer): (usize, usize)) -> Option<&Arc<Patched>> {
        let is_inside = layer < self.n_layers;
        let cell = self.cells.get(column * self.n_layers + layer);
        cell.filter(|_| is_inside)?.as_ref()
    }

    /// Whether the answers part, so that one can move to the other.
    pub fn parts(&self) -> bool {
        self.clean.moved.is_some()
    }

    /// The effect that is drawn where this one is asked for.
    pub fn drawn(&self, asked: Effect) -> Effect {
        match self.parts() {
            true => asked,
            false => Effect::Lost,
        }
    }

    /// How large an effect is, 1 for all of it; `None` where nothing is known, or the run goes another
    /// way before the answers part.
    pub fn share(&self, place: (usize, usize), effect: Effect) -> Option<f64> {
        let standing = self.at(place)?.standing;
        match effect {
            Effect::Moved => standing.moved,
            Effect::Lost => Some(1.0 - standing.own / self.clean.own.max(f64::MIN_POSITIVE)),
        }
    }

    /// How far a patch at `place` moves the state at another one; 0 outside of its cone.
    pub fn reach(&self, place: (usize, usize), (column, layer): (usize, usize)) -> f64 {
        let moved = |patched: &Arc<Patched>| patched.cone.get(column)?.get(layer).copied();
        let moved = self.at(place).and_then(moved).unwrap_or(0.0);
        if moved < LEAST_MOVED { 0.0 } else { moved }
    }

    /// How many other states a patch moves.
    pub fn n_reached(&self, place: (usize, usize)) -> usize {
        let layers = 0..self.n_layers;
        let all = (0..self.columns.len()).flat_map(|c| layers.clone().map(move |l| (c, l)));
        let others = all.filter(|other| *other != place);
        others
            .filter(|other| self.reach(place, *other) > 0.0)
            .count()
    }

    /// The columns that are fed a state which a patch has moved.
    pub fn fed_back(&self, place: (usize, usize)) -> Vec<usize> {
        let last = self.n_layers.saturating_sub(1);
        let is_reached = |column: &usize| {
            self.columns[*column].is_fed_back && self.reach(place, (column - 1, last)) > 0.0
        };
        (1..self.columns.len()).filter(is_reached).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::test_records::{program, record};

    /// A run of three thoughts and two layers whose states are all `x`.
    fn run(x: [f32; 2]) -> WatchedRun {
        let kinds = [
            InputKind::Token,
            InputKind::Hidden,
            InputKind::Hidden,
            InputKind::None,
        ];
        let records = (0..)
            .zip(kinds)
            .map(|(step, kind)| record(step, kind, 0, &[]));
        WatchedRun {
            records: records.collect(),
            states: vec![vec![x.to_vec(); 2]; 4],
        }
    }

    fn standing(own: f64, moved: Option<f64>) -> Standing {
        Standing {
            own,
            source: 0.0,
            moved,
        }
    }

    fn map(moved: Option<f64>) -> PatchMap {
        let program = program(Feed::THOUGHT);
        let answers = ["a".into(), "b".into()];
        let name = |record: &StepRecord| record.step.to_string();
        let clean = run([1.0, 0.0]);
        PatchMap::new((&program, &clean), 9, standing(0.8, moved), answers, name)
    }

    #[test]
    fn the_looked_at_step_is_patched_first_and_every_place_once() {
        let map = map(Some(0.0));
        assert_eq!((map.columns.len(), map.n_layers, map.n_all()), (3, 2, 6));
        assert_eq!(map.places(None)[0], (1, 0));
        let places = map.places(Some(3));
        assert_eq!(places, [(3, 0), (3, 1), (2, 0), (2, 1), (1, 0), (1, 1)]);
        let fed_back: Vec<bool> = map
            .columns
            .iter()
            .map(|column| column.is_fed_back)
            .collect();
        assert_eq!(fed_back, [false, true, true], "the marker is a token");
    }

    #[test]
    fn a_cone_is_what_moved_and_goes_on_through_what_is_fed_back() {
        let mut map = map(Some(0.0));
        let clean = run([1.0, 0.0]);
        let mut moved = clean.clone();
        for (step, layer) in [(2, 1), (3, 0), (3, 1)] {
            moved.states[step][layer] = vec![0.0, 1.0];
        }
        moved.states[2][0] = vec![1.0, 1e-6];
        map.insert(
            (2, 1),
            (&clean, &moved),
            standing(0.2, Some(0.7)),
            "b".into(),
        );
        assert_eq!((map.n_done(), map.n_reached((1, 1))), (1, 2));
        assert!(map.reach((1, 1), (2, 0)) > 1.0);
        assert_eq!(
            map.reach((1, 1), (1, 0)),
            0.0,
            "below it nothing but rounding"
        );
        assert_eq!(map.fed_back((1, 1)), [2]);
        assert_eq!(map.fed_back((0, 0)), [] as [usize; 0], "not patched yet");
    }

    #[test]
    fn an_effect_is_what_moved_or_what_the_own_answer_lost() {
        let clean = run([1.0, 0.0]);
        let mut apart = map(Some(0.0));
        apart.insert(
            (1, 0),
            (&clean, &clean),
            standing(0.2, Some(0.7)),
            "b".into(),
        );
        assert_eq!(apart.share((0, 0), Effect::Moved), Some(0.7));
        let lost = apart.share((0, 0), Effect::Lost).expect("patched");
        assert!((lost - 0.75).abs() < 1e-12);
        assert_eq!(apart.share((1, 0), Effect::Lost), None);
        assert_eq!(apart.drawn(Effect::Moved), Effect::Moved);
        assert_eq!(map(None).drawn(Effect::Moved), Effect::Lost);
    }
}
