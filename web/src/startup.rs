//! What happens when the page opens: checkpoints, GPU, self-test.

use std::rc::Rc;

use latent_model::address::{EngineChoice, LaneChoice};
use leptos::prelude::*;

use crate::{
    browser::{next_frame, webgpu_obstacle},
    load::Downloading,
    notice::{Notice, Notices, Topic},
    self_test::SelfTest,
    session::Session,
};

/// Which engine runs, as the header tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum EngineReport {
    /// Nothing is known yet.
    #[default]
    Opening,
    /// On the GPU.
    Gpu {
        /// The adapter's name.
        adapter: String,
    },
    /// On the CPU.
    Reference {
        /// Why not on the GPU.
        reason: String,
    },
}

/// What the self-test says, as the header tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum TestReport {
    /// It has not run yet.
    #[default]
    Waiting,
    /// It is running.
    Running,
    /// Its verdict.
    Found(SelfTest),
    /// There is no GPU to compare with.
    NotNeeded,
    /// There is nothing that it could run, which says nothing of the GPU.
    NotPossible(String),
    /// The GPU failed while it ran.
    Failed(String),
}

/// How a report is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// All is well.
    Good,
    /// Something is wrong.
    Bad,
    /// Neither.
    Plain,
}

/// What the page shows of its engines; contexts of the header.
#[derive(Clone, Copy, Default)]
pub struct Reports {
    /// Which engine runs.
    pub engine: RwSignal<EngineReport>,
    /// Whether it can be trusted.
    pub self_test: RwSignal<TestReport>,
}

/// What to do when the visitor gives up on the GPU.
#[derive(Clone, Copy)]
pub struct UseReference(pub Callback<()>);

impl TestReport {
    /// The report in a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Waiting => "self-test: waiting".into(),
            Self::Running => "self-test: running …".into(),
            Self::Found(test) => test.sentence(),
            Self::NotNeeded => {
                "no WebGPU in use: the reference engine runs, nothing to compare".into()
            }
            Self::NotPossible(reason) => format!("no self-test: {reason}"),
            Self::Failed(error) => format!("self-test failed: {error}"),
        }
    }

    /// How it is meant.
    pub fn mood(&self) -> Mood {
        match self {
            Self::Found(test) if test.agrees() => Mood::Good,
            Self::Found(_) | Self::Failed(_) => Mood::Bad,
            Self::Waiting | Self::Running | Self::NotNeeded | Self::NotPossible(_) => Mood::Plain,
        }
    }

    /// What all tests so far say together, some of which were not possible: a difference counts
    /// most, and agreement least, for it is not known of the others.
    fn of(worst: Option<SelfTest>, not_possible: Option<String>) -> Self {
        match (worst, not_possible) {
            (Some(test), None) => Self::Found(test),
            (Some(test), Some(_)) if !test.agrees() => Self::Found(test),
            (_, Some(reason)) => Self::NotPossible(reason),
            (None, None) => Self::NotPossible("no checkpoint is loaded".into()),
        }
    }
}

impl Reports {
    /// Tests the GPU on every loaded checkpoint of these lanes that is new to it, and reports what
    /// all tests so far say.
    pub async fn test(self, session: &Session, lanes: &[LaneChoice], notices: Notices) {
        let mut not_possible = None;
        for name in session.untested(lanes) {
            self.self_test.set(TestReport::Running);
            next_frame().await;
            let tested = session.self_test(&name).await;
            if !session.uses_gpu() {
                // The visitor gave the GPU up meanwhile; what runs instead is reported there.
                return;
            }
            match tested {
                Ok(()) => {}
                Err(error) if error.is_of_gpu() => {
                    notices.show(Topic::Engine, Notice::gpu_failed(&error));
                    return self.self_test.set(TestReport::Failed(error.to_string()));
                }
                Err(error) => not_possible = Some(format!("{name}: {error}")),
            }
        }
        if !session.uses_gpu() {
            return;
        }
        let report = TestReport::of(session.worst_test(), not_possible);
        match &report {
            TestReport::Found(test) if !test.agrees() => {
                notices.show(Topic::Engine, Notice::gpu_disagrees(&test.sentence()));
            }
            _ => {}
        }
        self.self_test.set(report);
    }

    /// Whether it is settled which engine runs: before that, no run may begin.
    pub fn is_ready(&self) -> bool {
        let is_open = self.engine.get() != EngineReport::Opening;
        let is_testing =
            |report: &TestReport| matches!(report, TestReport::Waiting | TestReport::Running);
        is_open && !self.self_test.with(is_testing)
    }
}

/// Everything that the start reports to.
#[derive(Clone, Copy)]
pub struct Startup {
    /// About engines.
    pub reports: Reports,
    /// About bytes.
    pub downloading: Downloading,
    /// About failures.
    pub notices: Notices,
}

impl Startup {
    /// Fetches and tests all that the first run needs.
    pub async fn start(self, session: Rc<Session>, lanes: Vec<LaneChoice>, engine: EngineChoice) {
        for lane in &lanes {
            // One that is missing keeps no other one from being tested.
            if let Err(error) = session.checkpoint(&lane.model, self.downloading).await {
                self.notices.show(Topic::Run, Notice::no_checkpoint(&error));
            }
        }
        self.open_engine(&session, engine).await;
        self.reports.test(&session, &lanes, self.notices).await;
    }

    /// Goes on with the reference engine.
    pub fn fall_back(self, session: &Session, reason: &str) {
        session.use_reference();
        self.notices.clear(Topic::Engine);
        let reason = reason.into();
        self.reports.engine.set(EngineReport::Reference { reason });
        self.reports.self_test.set(TestReport::NotNeeded);
    }

    async fn open_engine(self, session: &Session, engine: EngineChoice) {
        if engine == EngineChoice::Reference {
            return self.fall_back(session, "asked for in the address");
        }
        if let Some(obstacle) = webgpu_obstacle() {
            return self.fall_back(session, obstacle);
        }
        match session.open_gpu().await {
            Ok(adapter) => self.reports.engine.set(EngineReport::Gpu { adapter }),
            Err(error) => self.fall_back(session, &error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(first_divergence: Option<&str>) -> SelfTest {
        SelfTest {
            checkpoint: "a".into(),
            max_difference: 1e-6,
            first_divergence: first_divergence.map(String::from),
        }
    }

    #[test]
    fn what_could_not_be_tested_is_neither_good_nor_bad() {
        let reason = || Some("b: it has no token <bot>".to_string());
        let report = TestReport::of(None, reason());
        assert_eq!(report.mood(), Mood::Plain);
        assert!(report.sentence().contains("<bot>"), "{}", report.sentence());
        assert_eq!(TestReport::of(Some(test(None)), reason()), report);
        assert_eq!(TestReport::of(Some(test(None)), None).mood(), Mood::Good);
        let differs = Some(test(Some("layer 1")));
        assert_eq!(TestReport::of(differs, reason()).mood(), Mood::Bad);
        assert_eq!(TestReport::of(None, None).mood(), Mood::Plain);
    }
}
