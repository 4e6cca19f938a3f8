//! How fast this device decodes: every engine that there is, by one lane and by several, beside
//! what the device can do at best.

use std::rc::Rc;

use latent_gpu::{
    AnyEngine, GpuContext,
    ceiling::{MatmulShape, copies, quickest},
};
use latent_model::{
    engine::{Engine, Renewable, pace::Job},
    model::Model,
    parity::sample_prompt,
};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    browser::{BREATHE, now_seconds, sleep_ms},
    session::{Session, SessionError},
    startup::Startup,
    view::speed::{Roofs, SpeedReport, SpeedRow, Work},
    words::{fill, words},
};

/// Lanes that are measured.
const LANES: [usize; 3] = [1, 4, 8];
/// Tokens of the prompt.
const N_TOKENS: usize = 32;
/// Steps that count.
const N_STEPS: usize = 16;

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SpeedStatus {
    /// Nobody has asked.
    #[default]
    Waiting,
    /// What is being measured.
    Measuring(String),
    /// Done.
    Done(SpeedReport),
    /// Why it ended by itself.
    Failed(String),
}

/// Measures on demand, on engines of its own.
#[derive(Clone, Copy)]
pub struct Speed {
    /// How far it is.
    pub status: RwSignal<SpeedStatus>,
    session: StoredValue<Rc<Session>, LocalStorage>,
    startup: Startup,
}

impl Speed {
    /// Nothing has been measured yet.
    pub fn new(session: Rc<Session>, startup: Startup) -> Self {
        Self {
            status: RwSignal::default(),
            session: StoredValue::new_local(session),
            startup,
        }
    }

    /// Measures with a loaded checkpoint.
    pub fn measure(self, checkpoint: String) {
        self.status.set(SpeedStatus::Measuring(String::new()));
        spawn_local(async move {
            let found = self.measured(&checkpoint).await;
            self.status.set(match found {
                Ok(report) => SpeedStatus::Done(report),
                Err(error) => SpeedStatus::Failed(error.to_string()),
            });
        });
    }

    /// Says what comes, and lets the page show it.
    async fn say(self, what: String) {
        self.status.set(SpeedStatus::Measuring(what));
        sleep_ms(0.0).await;
    }

    async fn measured(self, name: &str) -> Result<SpeedReport, SessionError> {
        let session = self.session.get_value();
        let checkpoint = session.loaded(name).ok_or(SessionError::NotBegun)?;
        // A GPU that computes something else has no speed.
        self.startup.test(&session, name).await;
        let model = &checkpoint.model;
        let mut report = SpeedReport {
            checkpoint: name.into(),
            n_parameters: model.weights.n_parameters(),
            format: model.weights.format.name().into(),
            browser: window().navigator().user_agent().unwrap_or_default(),
            parity: session.worst_test().map(|test| test.sentence()),
            ..SpeedReport::default()
        };
        if session.uses_gpu() {
            let mut engine = session.open_engine(&checkpoint).await?;
            self.rows(model, (&mut engine, Renewable::engine_mut), &mut report)
                .await?;
            if let AnyEngine::Gpu(engine) = engine.engine() {
                let context = engine.context().clone();
                self.say(words().speed_best.into()).await;
                let kernels = context.table().name();
                report.adapter = Some(format!("{}, kernels {kernels}", context.adapter_name()));
                report.roofs = Some(roofs(&context, model).await?);
            }
        }
        let mut reference = AnyEngine::reference(model).with_breaks(BREATHE);
        self.rows(model, (&mut reference, |engine| engine), &mut report)
            .await?;
        Ok(report)
    }

    /// Measures an engine; `inner` is the one that it runs on now.
    async fn rows<E: Engine>(
        self,
        model: &Model,
        (engine, inner): (&mut E, fn(&mut E) -> &mut AnyEngine),
        report: &mut SpeedReport,
    ) -> Result<(), SessionError> {
        let prompt = sample_prompt(model, N_TOKENS);
        for n_lanes in LANES {
            let (name, lanes) = (engine.description(), n_lanes.to_string());
            let what = fill(words().speed_of, &[("engine", &name), ("lanes", &lanes)]);
            self.say(what).await;
            let job = Job::tokens(n_lanes, N_STEPS, N_STEPS);
            // The first round builds pipelines and fills caches.
            job.run(engine, &prompt, now_seconds).await?;
            let round = job.run(engine, &prompt, now_seconds).await?;
            report.rows.push(SpeedRow {
                engine: name,
                n_lanes,
                seconds_a_step: round.seconds,
                first_token_seconds: round.first_token,
                work: work(inner(engine)).await?,
            });
        }
        Ok(())
    }
}

/// What an engine's next step asks of the device, where it is declared.
async fn work(engine: &mut AnyEngine) -> Result<Option<Work>, SessionError> {
    let cursors = engine.cursors().await?;
    let AnyEngine::Gpu(engine) = engine else {
        return Ok(None);
    };
    let costs = engine.step_costs(&cursors);
    Ok(Some(Work {
        bytes: costs.iter().map(|(_, cost)| cost.bytes() as f64).sum(),
        flops: costs.iter().map(|(_, cost)| cost.flops as f64).sum(),
    }))
}

/// A copy within the device, and the quickest matmul at the model's largest shape of a layer, by as
/// many lanes as are measured at most.
async fn roofs(context: &GpuContext, model: &Model) -> Result<Roofs, SessionError> {
    let (n_bytes, copied) = copies(context, now_seconds).await?;
    let fastest_copy = copied.into_iter().fold(f64::INFINITY, f64::min);
    let config = &model.config;
    let shape = MatmulShape {
        n_inputs: config.hidden_size,
        n_outputs: config.q_width() + 2 * config.kv_width(),
        n_rows: LANES[LANES.len() - 1],
        // Out of a cache: this roof is of what is computed, the copy's of what is moved.
        n_matrices: 1,
        format: model.weights.format,
    };
    let best = quickest(context, shape, now_seconds).await?;
    Ok(Roofs {
        bytes_per_second: n_bytes as f64 / fastest_copy,
        flops_per_second: best.cost.flops as f64 / best.seconds,
    })
}
