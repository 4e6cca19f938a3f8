//! A GPU that runs may go to: it is measured beside the CPU and tested, while they go to the CPU.

use std::{rc::Rc, sync::Arc};

use latent_gpu::{AnyEngine, GpuContext, kernels::Table, self_test::test_model};

use crate::{
    browser::BREATHE,
    gpu::Opened,
    measurement::{Measured, clearly_fastest, steps_per_second},
    self_test::SelfTest,
    session::{Checkpoint, Session, SessionError, self_test_of_adapter},
};

/// A device that no run goes to yet.
pub struct Candidate {
    session: Rc<Session>,
    /// Of the visitor's choice that it is of.
    choice: u32,
    opened: Opened,
    tried: Vec<Tried>,
}

/// A checkpoint on the device.
pub struct Tried {
    /// Its name.
    pub name: String,
    /// What was loaded under that name.
    pub checkpoint: Arc<Checkpoint>,
    /// Its engine, if one could be made.
    pub engine: Option<AnyEngine>,
    /// What the self-test found, or why there was none, which says nothing of the GPU.
    pub found: Option<Result<SelfTest, String>>,
}

/// What became of a candidate that was not slower than the CPU.
pub enum Verdict {
    /// Runs go to the GPU from now on. Some checkpoint may not have been tested, for this reason.
    Adopted(Option<String>),
    /// It computes something else than the CPU.
    Wrong(SelfTest),
}

impl Candidate {
    /// Opens the adapter, of the visitor's choice of this number.
    ///
    /// # Errors
    /// If there is no adapter that the kernels run on.
    pub async fn new(session: Rc<Session>, choice: u32) -> Result<Self, SessionError> {
        let opened = Opened::new().await?;
        session.check_choice(choice)?;
        Ok(Self {
            session,
            choice,
            opened,
            tried: Vec::new(),
        })
    }

    /// The adapter's name.
    pub fn adapter(&self) -> String {
        self.opened.context.adapter_name()
    }

    /// Both engines on a loaded checkpoint. An adapter that does not tell its kind runs the kernels
    /// that are measured to be its best, from then on and on later visits, too.
    ///
    /// # Errors
    /// If either engine fails, or another choice was made meanwhile.
    pub async fn measure(&mut self, name: &str) -> Result<Measured, SessionError> {
        let checkpoint = self.session.loaded(name).ok_or(SessionError::NotBegun)?;
        let reference = AnyEngine::reference(&checkpoint.model).with_breaks(BREATHE);
        let (_, cpu) = self.timed(&checkpoint, reference).await?;
        let engine = self.made(&checkpoint, &self.opened.context).await?;
        let (engine, mut gpu) = self.timed(&checkpoint, engine).await?;
        self.tried.push(Tried {
            name: name.into(),
            checkpoint: checkpoint.clone(),
            engine: Some(engine),
            found: None,
        });
        if !self.opened.is_tuned {
            gpu = self.tune(&checkpoint, gpu).await?;
        }
        Ok(Measured { gpu, cpu })
    }

    /// Tries the other tables of kernels beside the one that the device runs, which does `rate` steps a
    /// second; the rate of the one that it runs from now on.
    async fn tune(&mut self, checkpoint: &Checkpoint, rate: f64) -> Result<f64, SessionError> {
        let own = self.opened.context.table();
        let mut rates = Vec::new();
        let tables = self.opened.context.tables().into_iter();
        for table in tables.filter(|table| *table != own) {
            match self.rate(checkpoint, table).await {
                Ok(rate) => rates.push((table, rate)),
                // Kernels that do not run are not the best, unless there is no device left for any.
                Err(error) => {
                    self.session.check_choice(self.choice)?;
                    self.opened.context.check().map_err(|_| error)?;
                }
            }
        }
        let (table, rate) = clearly_fastest((own, rate), &rates);
        self.opened.keep_table(table);
        if table != own {
            self.tried.clear();
        }
        Ok(rate)
    }

    /// Steps a second of a table of kernels.
    async fn rate(&self, checkpoint: &Checkpoint, table: Table) -> Result<f64, SessionError> {
        let context = self.opened.context.with_table(table);
        let engine = self.made(checkpoint, &context).await?;
        Ok(self.timed(checkpoint, engine).await?.1)
    }

    /// Steps a second of an engine, which comes back. Runs go on while a GPU builds its pipelines, and
    /// wait for the moment that counts.
    async fn timed(
        &self,
        checkpoint: &Checkpoint,
        mut engine: AnyEngine,
    ) -> Result<(AnyEngine, f64), SessionError> {
        if let AnyEngine::Gpu(_) = engine {
            steps_per_second(&checkpoint.model, &mut engine).await?;
            self.session.check_choice(self.choice)?;
        }
        let alone = self.session.engines().await;
        let rate = steps_per_second(&checkpoint.model, &mut engine).await?;
        drop(alone);
        self.session.check_choice(self.choice)?;
        Ok((engine, rate))
    }

    async fn made(
        &self,
        checkpoint: &Checkpoint,
        context: &GpuContext,
    ) -> Result<AnyEngine, SessionError> {
        Ok(AnyEngine::open(&checkpoint.model, Some(context), Some(BREATHE)).await?)
    }

    /// Tests the adapter, and the GPU on every checkpoint that is loaded, also meanwhile. Where the
    /// engines agree on all of them, runs go to the GPU from then on.
    ///
    /// # Errors
    /// If the GPU fails, or another choice was made meanwhile.
    pub async fn pass(mut self) -> Result<Verdict, SessionError> {
        let session = self.session.clone();
        let adapter = self_test_of_adapter(&self.opened.context).await?;
        if !adapter.agrees() {
            return Ok(Verdict::Wrong(adapter));
        }
        loop {
            session.check_choice(self.choice)?;
            // Nobody begins a run between the last look and the change.
            let alone = session.engines().await;
            let Some((name, checkpoint)) = self.untested() else {
                session.check_choice(self.choice)?;
                let reason = session.adopt(self.opened.context, adapter, self.tried);
                drop(alone);
                return Ok(Verdict::Adopted(reason));
            };
            drop(alone);
            match self.test(name, checkpoint).await? {
                Some(wrong) if !wrong.agrees() => return Ok(Verdict::Wrong(wrong)),
                _ => {}
            }
        }
    }

    /// A checkpoint that is loaded, and neither tested nor past testing.
    fn untested(&self) -> Option<(String, Arc<Checkpoint>)> {
        let mut loaded = self.session.all_loaded().into_iter();
        loaded.find(|(name, checkpoint)| {
            let is_it = |tried: &Tried| tried.is_of(name, checkpoint) && tried.found.is_some();
            !self.tried.iter().any(is_it)
        })
    }

    /// Tests the GPU on a checkpoint; `None` where that is not possible.
    async fn test(
        &mut self,
        name: String,
        checkpoint: Arc<Checkpoint>,
    ) -> Result<Option<SelfTest>, SessionError> {
        let mut tried = self.tried.iter();
        let place = tried.position(|tried| tried.is_of(&name, &checkpoint));
        let known = place.and_then(|place| self.tried.swap_remove(place).engine);
        let (engine, found) = match self.tested(&name, &checkpoint, known).await {
            Ok((engine, found)) => (Some(engine), Ok(found)),
            Err(error) if error.is_of_gpu() => return Err(error),
            Err(error) => (None, Err(format!("{name}: {error}"))),
        };
        self.tried.push(Tried {
            name,
            checkpoint,
            engine,
            found: Some(found.clone()),
        });
        Ok(found.ok())
    }

    async fn tested(
        &self,
        name: &str,
        checkpoint: &Checkpoint,
        known: Option<AnyEngine>,
    ) -> Result<(AnyEngine, SelfTest), SessionError> {
        let mut engine = match known {
            Some(engine) => engine,
            None => self.made(checkpoint, &self.opened.context).await?,
        };
        let AnyEngine::Gpu(gpu) = &mut engine else {
            return Err(SessionError::NotBegun);
        };
        let verdict = test_model(&checkpoint.model, gpu, BREATHE).await?;
        Ok((engine, SelfTest::new(name, verdict)))
    }
}

impl Tried {
    /// Whether it is of what is loaded under this name.
    fn is_of(&self, name: &str, checkpoint: &Arc<Checkpoint>) -> bool {
        self.name == name && Arc::ptr_eq(&self.checkpoint, checkpoint)
    }
}
