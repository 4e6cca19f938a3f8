//! The page's GPU: its device, and what takes its place when it is lost.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use gloo::storage::{LocalStorage, Storage};
use latent_gpu::{AnyEngine, GpuContext, GpuError, kernels::Table};
use latent_model::engine::{EngineError, Renewable};

use crate::{
    browser::{BREATHE, now_ms},
    session::Checkpoint,
};

/// Where the browser keeps which table of kernels its adapter runs best.
const TABLE_KEY: &str = "latent-playground.kernels";

/// Losses within this time are not chance.
const WATCH_MS: f64 = 60_000.0;

/// What became of the GPU when its device was lost.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// The run goes on, on a new device.
    Renewed(String),
    /// The run goes on with the CPU: there is no new device, it was lost, too, or it is another
    /// adapter's, which was not tested.
    GivenUp(String),
}

/// The device that engines share, if there is one.
#[derive(Default)]
pub struct Gpu {
    context: RefCell<Option<GpuContext>>,
    lost_at_ms: RefCell<Vec<f64>>,
    #[allow(clippy::type_complexity)] // Said nowhere else.
    on_loss: RefCell<Option<Box<dyn Fn(Loss)>>>,
}

/// A device of the browser's adapter, which nothing runs on yet.
pub struct Opened {
    /// The device, with the kernels that it runs best as far as that is known.
    pub context: GpuContext,
    /// Whether it is: by the adapter's kind, or since an earlier visit measured it.
    pub is_tuned: bool,
}

impl Opened {
    /// Opens the adapter.
    ///
    /// # Errors
    /// If there is none, or it gives no device that the kernels run on.
    pub async fn new() -> Result<Self, GpuError> {
        let context = GpuContext::request().await?;
        let kept: Option<String> = LocalStorage::get(TABLE_KEY).ok();
        let known = kept.and_then(|text| told_table(&text, &context.adapter_name()));
        // What another version has kept may not run here.
        let known = known.filter(|table| context.tables().contains(table));
        let table = known.unwrap_or(context.table());
        Ok(Self {
            is_tuned: known.is_some() || context.is_of_known_kind(),
            context: context.with_table(table),
        })
    }

    /// From now on it runs these kernels, on later visits, too.
    pub fn keep_table(&mut self, table: Table) {
        // A browser that keeps nothing measures again.
        let text = table_text(table, &self.context.adapter_name());
        let _ = LocalStorage::set(TABLE_KEY, text);
        self.context = self.context.with_table(table);
        self.is_tuned = true;
    }
}

impl Gpu {
    /// Engines that are made from now on run on this device.
    pub fn adopt(&self, context: GpuContext) {
        self.context.replace(Some(context));
    }

    /// No engine that is made from now on runs on it.
    pub fn close(&self) {
        self.context.replace(None);
    }

    /// Whether engines that are made now run on it.
    pub fn is_open(&self) -> bool {
        self.context.borrow().is_some()
    }

    /// Who hears of losses.
    pub fn on_loss(&self, hear: impl Fn(Loss) + 'static) {
        self.on_loss.replace(Some(Box::new(hear)));
    }

    /// An engine for a checkpoint where runs go now. It goes on elsewhere when its device is lost.
    pub async fn engine(
        self: &Rc<Self>,
        checkpoint: &Arc<Checkpoint>,
    ) -> Result<Renewable<AnyEngine>, GpuError> {
        let context = self.context.borrow().clone();
        let engine = self.made(checkpoint, context).await?;
        Ok(self.lasting(checkpoint, engine))
    }

    /// An engine of a checkpoint that goes on elsewhere when its device is lost.
    pub fn lasting(
        self: &Rc<Self>,
        checkpoint: &Arc<Checkpoint>,
        engine: AnyEngine,
    ) -> Renewable<AnyEngine> {
        let (gpu, checkpoint) = (self.clone(), checkpoint.clone());
        let renew = move |lost: EngineError| {
            let (gpu, checkpoint) = (gpu.clone(), checkpoint.clone());
            async move {
                let context = gpu.renewed(&lost).await;
                Ok(gpu.made(&checkpoint, context).await?)
            }
        };
        let renew = Box::new(move |lost| Box::pin(renew(lost)) as _);
        Renewable::new(engine, renew)
    }

    /// An engine on a device, or on what takes its place where it was lost: while nothing ran, or
    /// while the engine was made. The second loss in a minute leaves no device, so this ends.
    async fn made(
        &self,
        checkpoint: &Checkpoint,
        mut context: Option<GpuContext>,
    ) -> Result<AnyEngine, GpuError> {
        loop {
            match AnyEngine::open(&checkpoint.model, context.as_ref(), Some(BREATHE)).await {
                Err(lost @ GpuError::Lost(_)) => context = self.renewed(&lost.into()).await,
                engine => return engine,
            }
        }
    }

    /// The device that takes the place of one that was lost; `None` where the CPU does. What was tested
    /// and is named on the page is the adapter, so a device of another one does not take its place.
    async fn renewed(&self, lost: &EngineError) -> Option<GpuContext> {
        let known = self.context.borrow().clone()?;
        if known.check().is_ok() {
            // Another engine met the loss before.
            return Some(known);
        }
        let may_renew = is_first(&mut self.lost_at_ms.borrow_mut(), now_ms());
        let opened = match may_renew {
            true => Opened::new().await,
            false => Err(GpuError::Lost(lost.to_string())),
        };
        // The visitor may have given the GPU up meanwhile.
        self.context.borrow().as_ref()?;
        let expected = known.adapter_name();
        let loss = match opened {
            Ok(Opened { context, .. }) if context.adapter_name() == expected => {
                self.adopt(context);
                Loss::Renewed(lost.to_string())
            }
            Ok(Opened { context, .. }) => {
                let found = context.adapter_name();
                Loss::GivenUp(format!("{lost}; expected {expected} again, found {found}"))
            }
            Err(error) => Loss::GivenUp(error.to_string()),
        };
        if matches!(loss, Loss::GivenUp(_)) {
            self.close();
        }
        if let Some(hear) = &*self.on_loss.borrow() {
            hear(loss);
        }
        self.context.borrow().clone()
    }
}

/// A table as it is kept: what was found by another version, or of another adapter, is not known.
fn table_text(table: Table, adapter: &str) -> String {
    format!("{}\n{adapter}\n{}", env!("CARGO_PKG_VERSION"), table.name())
}

/// The table that a kept text tells of this adapter.
fn told_table(text: &str, adapter: &str) -> Option<Table> {
    let mut all = Table::ALL.into_iter();
    all.find(|table| table_text(*table, adapter) == text)
}

/// Whether a loss is the first one in a while, by the times of all so far.
fn is_first(lost_at_ms: &mut Vec<f64>, now_ms: f64) -> bool {
    lost_at_ms.retain(|at_ms| now_ms - at_ms < WATCH_MS);
    lost_at_ms.push(now_ms);
    lost_at_ms.len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_known_of_its_adapter_alone() {
        for table in Table::ALL {
            let kept = table_text(table, "a");
            assert_eq!(told_table(&kept, "a"), Some(table));
            assert_eq!(told_table(&kept, "b"), None);
        }
        assert_eq!(told_table("", "a"), None);
    }

    #[test]
    fn the_second_loss_within_a_minute_is_one_too_many() {
        let mut lost_at_ms = Vec::new();
        let mut at = |seconds: f64| is_first(&mut lost_at_ms, seconds * 1e3);
        assert!(at(5.0));
        assert!(!at(64.0));
        assert!(!at(100.0), "the one before is 36 s ago");
        assert!(at(161.0));
    }
}
