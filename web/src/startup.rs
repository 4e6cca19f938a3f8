//! What happens when the page opens: checkpoints, GPU, self-test.

use std::rc::Rc;

use latent_model::address::{EngineChoice, LaneChoice};
use leptos::prelude::*;

use crate::{
    browser::{next_frame, webgpu_obstacle},
    gpu::Loss,
    load::Downloading,
    measurement::Measured,
    notice::{Notice, Notices, Topic},
    self_test::SelfTest,
    session::{Session, SessionError},
    words::{fill, words},
};

/// Which engine runs, as the header tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum EngineReport {
    /// Nothing is known yet.
    #[default]
    Opening,
    /// The GPU is open, and is measured beside the CPU.
    Measuring,
    /// On the GPU.
    Gpu {
        /// The adapter's name.
        adapter: String,
        /// What was measured, where something was.
        measured: Option<Measured>,
    },
    /// On the CPU.
    Reference(WhyReference),
    /// None is open: a recording plays.
    Playing,
}

/// Why the CPU runs and not the GPU.
#[derive(Clone, Debug, PartialEq)]
pub enum WhyReference {
    /// Somebody chose it.
    Asked,
    /// There is no GPU to be had.
    NoGpu(String),
    /// It was measured to be the faster one.
    Faster {
        /// The name of the adapter that is slower.
        adapter: String,
        /// Both speeds.
        measured: Measured,
    },
}

impl WhyReference {
    /// The reason as a clause.
    pub fn text(&self) -> String {
        match self {
            Self::Asked => words().cpu_was_asked_for.into(),
            Self::NoGpu(reason) => reason.clone(),
            Self::Faster { adapter, measured } => fill(
                words().cpu_is_faster,
                &[("adapter", adapter), ("measured", &measured.sentence())],
            ),
        }
    }
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
    /// A recording plays.
    Playing,
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

/// What to do when the visitor chooses an engine.
#[derive(Clone, Copy)]
pub struct UseEngine(pub Callback<EngineChoice>);

impl TestReport {
    /// The report in a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Waiting => words().test_waits.into(),
            Self::Running => words().test_runs.into(),
            Self::Found(test) => test.sentence(),
            Self::NotNeeded => words().test_not_needed.into(),
            Self::Playing => words().test_plays.into(),
            Self::NotPossible(reason) => fill(words().test_not_possible, &[("reason", reason)]),
            Self::Failed(error) => fill(words().test_failed, &[("error", error)]),
        }
    }

    /// How it is meant.
    pub fn mood(&self) -> Mood {
        match self {
            Self::Found(test) if test.agrees() => Mood::Good,
            Self::Found(_) | Self::Failed(_) => Mood::Bad,
            Self::Waiting
            | Self::Running
            | Self::NotNeeded
            | Self::Playing
            | Self::NotPossible(_) => Mood::Plain,
        }
    }

    /// What all tests so far say together, some of which were not possible: a difference counts
    /// most, and agreement least, for it is not known of the others.
    fn of(worst: Option<SelfTest>, not_possible: Option<String>) -> Self {
        match (worst, not_possible) {
            (Some(test), None) => Self::Found(test),
            (Some(test), Some(_)) if !test.agrees() => Self::Found(test),
            (_, Some(reason)) => Self::NotPossible(reason),
            (None, None) => Self::NotPossible(words().test_no_checkpoint.into()),
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
                session.use_reference();
                self.engine.set(EngineReport::Reference(WhyReference::NoGpu(
                    words().gpu_disagrees.into(),
                )));
            }
            _ => {}
        }
        self.self_test.set(report);
    }

    /// Whether it is settled which engine runs: before that, no run may begin.
    pub fn is_ready(&self) -> bool {
        let is_open = !matches!(
            self.engine.get(),
            EngineReport::Opening | EngineReport::Measuring
        );
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
        self.reports.engine.set(EngineReport::Opening);
        self.reports.self_test.set(TestReport::Waiting);
        for lane in &lanes {
            // One that is missing keeps no other one from being tested.
            if let Err(error) = session.checkpoint(&lane.model, self.downloading).await {
                self.notices.show(Topic::Run, Notice::no_checkpoint(&error));
            }
        }
        self.change_engine(session, lanes, engine).await;
    }

    /// Nothing is opened, for a recording plays.
    pub fn play(self) {
        self.reports.engine.set(EngineReport::Playing);
        self.reports.self_test.set(TestReport::Playing);
    }

    /// Opens the engine of a choice, measures where the choice is to, and tests what opens.
    pub async fn change_engine(
        self,
        session: Rc<Session>,
        lanes: Vec<LaneChoice>,
        engine: EngineChoice,
    ) {
        self.notices.clear(Topic::Engine);
        if engine == EngineChoice::Reference {
            return self.fall_back(&session, WhyReference::Asked);
        }
        if let Some(obstacle) = webgpu_obstacle() {
            return self.fall_back(&session, WhyReference::NoGpu(obstacle.into()));
        }
        self.reports.engine.set(EngineReport::Opening);
        self.reports.self_test.set(TestReport::Waiting);
        let adapter = match session.open_gpu().await {
            Ok(adapter) => adapter,
            Err(error) => {
                return self.fall_back(&session, WhyReference::NoGpu(error.to_string()));
            }
        };
        let measured = match engine {
            EngineChoice::Auto => self.measure(&session, &lanes).await,
            EngineChoice::Gpu | EngineChoice::Reference => Ok(None),
        };
        if !session.uses_gpu() {
            // The visitor gave the GPU up meanwhile.
            return;
        }
        match measured {
            Ok(Some(measured)) if measured.prefers_cpu() => {
                return self.fall_back(&session, WhyReference::Faster { adapter, measured });
            }
            Ok(measured) => self
                .reports
                .engine
                .set(EngineReport::Gpu { adapter, measured }),
            Err(error) => {
                return self.fall_back(&session, WhyReference::NoGpu(error.to_string()));
            }
        }
        self.reports.test(&session, &lanes, self.notices).await;
    }

    /// Both engines on the first checkpoint that is there; nothing is known without one.
    async fn measure(
        self,
        session: &Session,
        lanes: &[LaneChoice],
    ) -> Result<Option<Measured>, SessionError> {
        let mut names = lanes.iter().map(|lane| &lane.model);
        let Some(name) = names.find(|name| session.loaded(name).is_some()) else {
            return Ok(None);
        };
        self.reports.engine.set(EngineReport::Measuring);
        next_frame().await;
        session.measure(name).await
    }

    /// Says what becomes of the GPU when it is lost.
    pub fn watch(self, session: &Session) {
        session.gpu.on_loss(move |loss| {
            self.notices.show(Topic::Engine, Notice::gpu_lost(&loss));
            if let Loss::GivenUp(why) = loss {
                let why = WhyReference::NoGpu(why);
                self.reports.engine.set(EngineReport::Reference(why));
                self.reports.self_test.set(TestReport::NotNeeded);
            }
        });
    }

    fn fall_back(self, session: &Session, why: WhyReference) {
        session.use_reference();
        self.reports.engine.set(EngineReport::Reference(why));
        self.reports.self_test.set(TestReport::NotNeeded);
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
    fn a_fallback_says_why_and_what_was_measured() {
        let measured = Measured {
            gpu: 90.4,
            cpu: 1130.0,
        };
        let adapter = "SwiftShader".to_string();
        let text = WhyReference::Faster { adapter, measured }.text();
        let expected = "the CPU is faster here than SwiftShader. Measured at the start, steps a \
                        second: GPU 90, CPU 1130.";
        assert_eq!(text, expected);
        let text = WhyReference::NoGpu("this browser has no WebGPU".into()).text();
        assert_eq!(text, "this browser has no WebGPU");
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
