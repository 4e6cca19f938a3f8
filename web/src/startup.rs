//! What happens when the page opens: checkpoints, GPU, self-test.

use std::rc::Rc;

use leptos::prelude::*;

use crate::{
    browser::next_frame,
    load::LoadError,
    notice::{Notice, Notices},
    page_state::{EngineChoice, LaneChoice},
    runner::Downloading,
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
    /// It could not run.
    Failed(String),
}

/// What the page shows of its engines; contexts of the header.
#[derive(Clone, Copy)]
pub struct Reports {
    /// Which engine runs.
    pub engine: RwSignal<EngineReport>,
    /// Whether it can be trusted.
    pub self_test: RwSignal<TestReport>,
}

impl Reports {
    /// Tests the GPU on every loaded checkpoint of these lanes that is new to it, and reports the
    /// worst of all tests so far.
    pub async fn test(self, session: &Session, lanes: &[LaneChoice], notices: Notices) {
        let mut worst = None;
        while let Some(name) = session.next_untested(lanes) {
            self.self_test.set(TestReport::Running);
            next_frame().await;
            let found = session.self_test(&name).await;
            if !session.uses_gpu() {
                // The visitor gave the GPU up meanwhile; what runs instead is reported there.
                return;
            }
            match found {
                Ok(Some(found)) => worst = Some(found),
                Ok(None) => return,
                Err(error) => {
                    notices.show(Notice::gpu_failed(&error));
                    return self.self_test.set(TestReport::Failed(error.to_string()));
                }
            }
        }
        if let Some(test) = worst {
            if !test.agrees() {
                notices.show(Notice::gpu_disagrees(&test.sentence()));
            }
            self.self_test.set(TestReport::Found(test));
        }
    }

    /// Whether it is settled which engine runs: before that, no run may begin.
    pub fn is_ready(&self) -> bool {
        let is_open = self.engine.get() != EngineReport::Opening;
        is_open
            && !matches!(
                self.self_test.get(),
                TestReport::Waiting | TestReport::Running
            )
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
        if let Err(error) = self.fetch(&session, &lanes).await {
            self.downloading.0.set(None);
            self.notices.show(Notice::missing_file(&error));
        }
        self.open_engine(&session, engine).await;
        self.test(&session, &lanes).await;
    }

    /// Goes on with the reference engine.
    pub async fn fall_back(self, session: Rc<Session>, reason: &str) {
        session.use_reference().await;
        self.reports.engine.set(EngineReport::Reference {
            reason: reason.into(),
        });
        self.reports.self_test.set(TestReport::NotNeeded);
    }

    async fn fetch(self, session: &Session, lanes: &[LaneChoice]) -> Result<(), LoadError> {
        for lane in lanes {
            let on_progress = |download| self.downloading.0.set(Some(download));
            session.checkpoint(&lane.model, on_progress).await?;
        }
        self.downloading.0.set(None);
        Ok(())
    }

    async fn open_engine(self, session: &Rc<Session>, engine: EngineChoice) {
        if engine == EngineChoice::Reference {
            return self
                .fall_back(session.clone(), "asked for in the address")
                .await;
        }
        match session.open_gpu().await {
            Ok(adapter) => self.reports.engine.set(EngineReport::Gpu { adapter }),
            Err(error) => self.fall_back(session.clone(), &error.to_string()).await,
        }
    }

    async fn test(self, session: &Session, lanes: &[LaneChoice]) {
        if session.uses_gpu() && session.next_untested(lanes).is_none() {
            let reason = "no checkpoint is loaded".to_string();
            return self.reports.self_test.set(TestReport::Failed(reason));
        }
        self.reports.test(session, lanes, self.notices).await;
    }
}
