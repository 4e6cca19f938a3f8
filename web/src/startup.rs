//! What happens when the page opens: checkpoints, GPU, self-test.

use std::rc::Rc;

use futures::future::join;
use latent_model::address::{EngineChoice, LaneChoice};
use leptos::prelude::*;

use crate::{
    browser::{next_frame, webgpu_obstacle},
    candidate::{Candidate, Verdict},
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
    /// On the CPU, while the GPU is measured and tested.
    Trying,
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
    /// Tests the GPU on each of these checkpoints that is loaded and new to it, and reports what all
    /// tests so far say.
    pub async fn test(self, session: &Session, names: &[&str], notices: Notices) {
        let mut not_possible = None;
        for name in session.untested(names) {
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
        match report {
            TestReport::Found(test) if !test.agrees() => self.disagrees(session, test, notices),
            report => self.self_test.set(report),
        }
    }

    /// Says that the GPU computes something else than the CPU, which runs from now on.
    fn disagrees(self, session: &Session, test: SelfTest, notices: Notices) {
        notices.show(Topic::Engine, Notice::gpu_disagrees(&test.sentence()));
        session.use_reference();
        let why = WhyReference::NoGpu(words().gpu_disagrees.into());
        self.engine.set(EngineReport::Reference(why));
        self.self_test.set(TestReport::Found(test));
    }

    /// Whether a run may begin: the CPU's at once, the GPU's when it is tested.
    pub fn is_ready(&self) -> bool {
        self.engine.get() == EngineReport::Trying || self.is_settled()
    }

    /// Whether it is settled which engine runs.
    pub fn is_settled(&self) -> bool {
        let is_open = !matches!(
            self.engine.get(),
            EngineReport::Opening | EngineReport::Trying
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
    /// Fetches and tests all that the first run needs; the adapter is tested while weights come.
    pub async fn start(self, session: Rc<Session>, lanes: Vec<LaneChoice>, engine: EngineChoice) {
        let choice = session.next_choice();
        self.reports.engine.set(EngineReport::Opening);
        self.reports.self_test.set(TestReport::Waiting);
        let opens = engine == EngineChoice::Gpu && webgpu_obstacle().is_none();
        let opening = async {
            match opens {
                true => Some(self.open(&session, choice).await),
                false => None,
            }
        };
        let (_, opened) = join(self.fetch(&session, &lanes), opening).await;
        self.run_on(session, lanes, (engine, choice), opened).await;
    }

    async fn fetch(self, session: &Session, lanes: &[LaneChoice]) {
        for lane in lanes {
            // One that is missing keeps no other one from being tested.
            if let Err(error) = session.checkpoint(&lane.model, self.downloading).await {
                self.notices.show(Topic::Run, Notice::no_checkpoint(&error));
            }
        }
    }

    /// Nothing is opened, for a recording plays.
    pub fn play(self) {
        self.reports.engine.set(EngineReport::Playing);
        self.reports.self_test.set(TestReport::Playing);
    }

    /// Has the engine of a choice run.
    pub async fn change_engine(
        self,
        session: Rc<Session>,
        lanes: Vec<LaneChoice>,
        engine: EngineChoice,
    ) {
        let choice = session.next_choice();
        self.run_on(session, lanes, (engine, choice), None).await;
    }

    /// Has the engine of a choice run, once it is tested. Where the choice is the faster one, runs go
    /// to the CPU until it is known which that is. `opened` is what came of opening the GPU, where that
    /// was done.
    async fn run_on(
        self,
        session: Rc<Session>,
        lanes: Vec<LaneChoice>,
        (engine, choice): (EngineChoice, u32),
        opened: Option<Result<(), SessionError>>,
    ) {
        if session.check_choice(choice).is_err() {
            return;
        }
        self.notices.clear(Topic::Engine);
        if engine == EngineChoice::Reference {
            return self.fall_back(&session, WhyReference::Asked);
        }
        if let Some(obstacle) = webgpu_obstacle() {
            return self.fall_back(&session, WhyReference::NoGpu(obstacle.into()));
        }
        self.reports.self_test.set(TestReport::Waiting);
        if engine == EngineChoice::Auto {
            return self.try_gpu(session, &lanes, choice).await;
        }
        let opened = match opened {
            Some(opened) => opened,
            None => self.open(&session, choice).await,
        };
        match opened {
            Ok(()) => {}
            Err(_) if session.check_choice(choice).is_err() => return,
            Err(error) => {
                return self.fall_back(&session, WhyReference::NoGpu(error.to_string()));
            }
        }
        let names: Vec<&str> = lanes.iter().map(|lane| &*lane.model).collect();
        self.reports.test(&session, &names, self.notices).await;
    }

    /// Opens the GPU and tests its adapter.
    async fn open(self, session: &Session, choice: u32) -> Result<(), SessionError> {
        self.reports.engine.set(EngineReport::Opening);
        let context = session.open_gpu(choice).await?;
        self.reports.engine.set(EngineReport::Gpu {
            adapter: context.adapter_name(),
            measured: None,
        });
        self.reports.self_test.set(TestReport::Running);
        session.test_adapter(&context).await?;
        session.check_choice(choice)
    }

    /// Has the CPU run while the GPU is measured and tested, and then the faster one of them.
    async fn try_gpu(self, session: Rc<Session>, lanes: &[LaneChoice], choice: u32) {
        session.use_reference();
        self.reports.engine.set(EngineReport::Trying);
        // A run that begins with the page comes first.
        next_frame().await;
        let tried = self.tried(&session, lanes, choice).await;
        match tried {
            Ok(()) => {}
            Err(_) if session.check_choice(choice).is_err() => {}
            Err(error) => self.fall_back(&session, WhyReference::NoGpu(error.to_string())),
        }
    }

    async fn tried(
        self,
        session: &Rc<Session>,
        lanes: &[LaneChoice],
        choice: u32,
    ) -> Result<(), SessionError> {
        let mut candidate = Candidate::new(session.clone(), choice).await?;
        let adapter = candidate.adapter();
        // Nothing is known of the speed without a checkpoint.
        let mut names = lanes.iter().map(|lane| &*lane.model);
        let measured = match names.find(|name| session.loaded(name).is_some()) {
            Some(name) => Some(candidate.measure(name).await?),
            None => None,
        };
        if let Some(measured) = measured.filter(|measured| measured.prefers_cpu()) {
            self.fall_back(session, WhyReference::Faster { adapter, measured });
            return Ok(());
        }
        self.reports.self_test.set(TestReport::Running);
        match candidate.pass().await? {
            Verdict::Wrong(test) => self.reports.disagrees(session, test, self.notices),
            Verdict::Adopted(not_possible) => {
                let report = EngineReport::Gpu { adapter, measured };
                self.reports.engine.set(report);
                let report = TestReport::of(session.worst_test(), not_possible);
                self.reports.self_test.set(report);
            }
        }
        Ok(())
    }

    /// Tests the GPU on a checkpoint that is loaded and new to it.
    pub async fn test(self, session: &Session, name: &str) {
        self.reports.test(session, &[name], self.notices).await;
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
