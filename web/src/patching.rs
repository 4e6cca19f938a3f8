//! Patching on the page: a lane of the finished run with the states of another run, one by one.
//!
//! The runs are those of `latent_model::analysis::patching`, on an engine of their own where runs go
//! now, a few at a time, so that the page draws in between and the visitor can stop.

use std::{rc::Rc, sync::Arc};

use latent_model::{
    analysis::{
        lens::Lens,
        patching::{Contrast, WatchedLane, WatchedRun, patched_runs, run_watched},
    },
    program::Program,
    record::StepRecord,
    reference::Precision,
    tasks::{Picture, sketch::twin},
    trace::answer_ids,
};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    analysis::fed_name,
    browser::{breathe, sleep_ms},
    lanes::{Lane, LaneId},
    page_signals::PageSignals,
    run_state::{RunNumber, RunStatus},
    runner::Runner,
    session::{Checkpoint, Session, SessionError},
    treatment::{TreatedLane, next_problem, on_problem},
    view::patches::PatchMap,
};

/// Runs at a time: a few share each pass over the weights, and progress is seen.
const AT_ONCE: usize = 8;

/// Where the states come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The same problem with its options exchanged.
    Twin,
    /// The next problem of the same size.
    NextProblem,
    /// Another lane of the same checkpoint.
    Lane(LaneId),
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum PatchStatus {
    /// Nothing is being patched.
    #[default]
    Resting,
    /// This lane is.
    Patching(LaneId),
    /// Why it ended by itself.
    Failed(String),
}

/// What was found of a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The lane.
    pub lane: LaneId,
    /// The run that it is of.
    pub run: RunNumber,
    /// Whose states were put in.
    pub source: Source,
    /// What became of it.
    pub map: PatchMap,
}

/// Patches lanes of the page. Copied into every component that shows something of it.
#[derive(Clone, Copy)]
pub struct Patching {
    /// How far it is.
    pub status: RwSignal<PatchStatus>,
    /// What has been found so far.
    pub found: RwSignal<Vec<Found>>,
    /// Tells turns apart: whoever finds another one than its own goes no further.
    turn: StoredValue<u32>,
    session: StoredValue<Rc<Session>, LocalStorage>,
    signals: PageSignals,
}

impl Patching {
    /// Of the page's lanes. What was found goes with the run that it is of.
    pub fn new(session: Rc<Session>, runner: Runner, signals: PageSignals) -> Self {
        let patching = Self {
            status: RwSignal::new(PatchStatus::Resting),
            found: RwSignal::new(Vec::new()),
            turn: StoredValue::new(0),
            session: StoredValue::new_local(session),
            signals,
        };
        Effect::new(move |_| {
            if runner.status.get() != RunStatus::Done {
                patching.stop();
                patching.found.update(Vec::clear);
            }
        });
        patching
    }

    /// What a lane's states can be replaced by; tracks what that depends on.
    pub fn sources(self, lane: Lane) -> Vec<Source> {
        let choice = lane.choice.get();
        let has_others = self.signals.task.get().picture() != Picture::Text;
        // A lane that goes on from another one's step has no run of another problem.
        let of_problems = has_others && choice.fork.is_none();
        let has_twin = self.signals.question.with(|question| {
            let problem = question.problem.as_ref().ok();
            problem.and_then(twin).is_some()
        });
        let mut sources = Vec::new();
        if of_problems && has_twin {
            sources.push(Source::Twin);
        }
        if of_problems {
            sources.push(Source::NextProblem);
        }
        let lanes = self.signals.lanes.get().into_iter();
        let alike = lanes.filter(|other| {
            other.id != lane.id && other.choice.with(|other| other.model == choice.model)
        });
        sources.extend(alike.map(|other| Source::Lane(other.id)));
        sources
    }

    /// Begins with a lane of the finished run; what was under way stops.
    pub fn start(self, lane: Lane, source: Source) {
        self.stop();
        let turn = self.turn.get_value();
        self.found
            .update(|all| all.retain(|found| found.lane != lane.id));
        self.status.set(PatchStatus::Patching(lane.id));
        spawn_local(async move {
            let ended = self.patch(turn, lane, source).await;
            if self.is_turn(turn) {
                self.status.set(match ended {
                    Ok(()) => PatchStatus::Resting,
                    Err(error) => PatchStatus::Failed(error.to_string()),
                });
            }
        });
    }

    /// Stops after the runs that are under way; what was found stays.
    pub fn stop(self) {
        self.turn.update_value(|turn| *turn += 1);
        self.status.set(PatchStatus::Resting);
    }

    fn is_turn(self, turn: u32) -> bool {
        self.turn.try_get_value() == Some(turn)
    }

    async fn patch(self, turn: u32, lane: Lane, source: Source) -> Result<(), SessionError> {
        // Let the page show that it runs.
        sleep_ms(0.0).await;
        let session = self.session.get_value();
        let (target, checkpoint) = self.lane(lane)?;
        let other = self.source(source, &target, &checkpoint)?;
        let programs = [&target, &other].map(|(spec, _)| spec.program.clone());
        let [target, other] = [target, other].map(|(spec, interventions)| WatchedLane {
            interventions,
            ..WatchedLane::new(spec)
        });
        let model = &checkpoint.model;
        let of_model = (&model.config, &model.weights);
        let mut engine = session.open_engine(&checkpoint).await?;
        let both = run_watched(&mut engine, of_model, &[target.clone(), other]).await?;
        let [clean, there] = &both[..] else {
            return Err(SessionError::NotBegun);
        };
        let lens = Lens::new(&model.config, &model.weights, Precision::Fast);
        let [program, other_program] = &programs;
        let contrast = Contrast::new(lens, (program, clean), (other_program, there));
        let answers = [(program, clean), (other_program, there)];
        let answers = answers.map(|(program, run)| self.answer(&checkpoint, program, run));
        let (at_rest, n_shared) = (contrast.standing(clean), there.records.len());
        let word = |id| checkpoint.words.word(id);
        let name = |record: &StepRecord| fed_name(record, program, word);
        let map = PatchMap::new((program, clean), n_shared, at_rest, answers, name);
        let places = map.places(untrack(|| self.signals.cursor.pinned()));
        let run = lane.run.with_untracked(|run| run.run);
        if !self.is_turn(turn) {
            return Ok(());
        }
        let found = Found {
            lane: lane.id,
            run,
            source,
            map,
        };
        self.found.update(|all| all.push(found));
        for places in places.chunks(AT_ONCE) {
            let found = patched_runs(&mut engine, of_model, &target, there, places).await?;
            for found in found {
                let standing = contrast.standing(&found.run);
                let answer = self.answer(&checkpoint, program, &found.run);
                breathe().await;
                if !self.is_turn(turn) {
                    return Ok(());
                }
                self.found.update(|all| {
                    if let Some(known) = all.iter_mut().find(|known| known.lane == lane.id) {
                        let runs = (clean, &found.run);
                        known.map.insert(found.place, runs, standing, answer);
                    }
                });
            }
            sleep_ms(0.0).await;
        }
        Ok(())
    }

    /// A lane of the run that is done, with its checkpoint.
    fn lane(self, lane: Lane) -> Result<(TreatedLane, Arc<Checkpoint>), SessionError> {
        let session = self.session.get_value();
        let lanes = self.signals.lanes.get_untracked();
        let place = lanes.iter().position(|known| known.id == lane.id);
        let treated = place.and_then(|place| session.treated_lane(place));
        let name = lane.choice.with_untracked(|choice| choice.model.clone());
        let found = treated.zip(session.loaded(&name));
        found.ok_or(SessionError::NotBegun)
    }
    /// The lane that the states are of.
    fn source(
        self,
        source: Source,
        (spec, _): &TreatedLane,
        checkpoint: &Checkpoint,
    ) -> Result<TreatedLane, SessionError> {
        let problem = match source {
            Source::Lane(id) => {
                let lanes = self.signals.lanes.get_untracked();
                let other = lanes.into_iter().find(|lane| lane.id == id);
                let (treated, _) = self.lane(other.ok_or(SessionError::NotBegun)?)?;
                return Ok(treated);
            }
            Source::Twin => self.signals.question.with_untracked(|question| {
                let problem = question.problem.as_ref().ok();
                problem.and_then(twin).ok_or(SessionError::NotBegun)
            })?,
            Source::NextProblem => {
                let (difficulty, seed) = self.signals.problem.with_untracked(next_problem);
                let task = self.signals.task.get_untracked();
                task.generate(seed, difficulty)
            }
        };
        let there = on_problem(spec, &checkpoint.model, &problem)?;
        Ok((there, Vec::new()))
    }

    /// What a run answers, as the task's text.
    fn answer(self, checkpoint: &Checkpoint, program: &Program, run: &WatchedRun) -> String {
        let ids = answer_ids(&run.records, program);
        let task = self.signals.task.get_untracked();
        let text = task.render(&checkpoint.model.tokenizer, &ids);
        let text = text.trim().trim_start_matches("###");
        // Quoted in a sentence.
        text.trim().trim_end_matches('.').into()
    }
}
