//! The choice of an engine on the command line.

use anyhow::{Context, Result};
use clap::ValueEnum;
use latent_gpu::{AnyEngine, GpuContext};
use latent_model::{
    engine::{Engine, EngineError, Renew, Renewable},
    model::Model,
};

/// Where a run is computed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum EngineKind {
    /// Handwritten WGSL on the machine's GPU (or on a software adapter such as lavapipe).
    Gpu,
    /// Plain Rust on the CPU.
    Reference,
}

/// Opens the engine that was asked for; there is no silent fallback.
pub async fn open_engine(kind: EngineKind, model: &Model) -> Result<AnyEngine> {
    let context = match kind {
        EngineKind::Reference => None,
        EngineKind::Gpu => Some(
            GpuContext::request()
                .await
                .context("`--engine reference` would run on the CPU")?,
        ),
    };
    Ok(AnyEngine::open(model, context.as_ref(), None).await?)
}

/// The same for a measurement that takes long: where the device is lost, what is wrong is printed,
/// and the run goes on once on a new device of the same adapter; a second loss ends it.
pub async fn open_lasting_engine(kind: EngineKind, model: &Model) -> Result<Renewable<AnyEngine>> {
    let engine = open_engine(kind, model).await?;
    let name = engine.description();
    let mut model = Some(model.clone());
    let renew: Renew<AnyEngine> = Box::new(move |lost| {
        let (model, name) = (model.take(), name.clone());
        Box::pin(async move {
            let Some(model) = model else {
                return Err(lost);
            };
            eprintln!("{lost}; the run goes on, once, on a new device");
            let context = GpuContext::request().await?;
            let engine = AnyEngine::open(&model, Some(&context), None).await?;
            match engine.description() == name {
                true => Ok(engine),
                // What was measured would be another engine's from here on.
                false => Err(EngineError::DeviceLost(format!(
                    "{lost}; expected {name} again, found {}",
                    engine.description()
                ))),
            }
        })
    });
    Ok(Renewable::new(engine, renew))
}

/// Whether tests of the GPU are skipped, which is said.
#[cfg(test)]
pub fn skips_gpu() -> bool {
    let skips = std::env::var("LATENT_SKIP_GPU").is_ok_and(|value| value == "1");
    if skips {
        eprintln!("SKIPPED: LATENT_SKIP_GPU=1");
    }
    skips
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use latent_model::{
        engine::{LaneSpec, run_to_end},
        input::Input,
        record::StepRecord,
        strategy::{Settings, Strategy},
    };
    use pollster::block_on;

    use super::*;
    use crate::folder::load_model;

    /// Records until the run ends; the device is lost after each of the calls of `losses`.
    fn run(
        engine: &mut Renewable<AnyEngine>,
        lanes: &[LaneSpec],
        losses: &[usize],
    ) -> Result<Vec<StepRecord>, EngineError> {
        block_on(engine.begin(lanes))?;
        let mut all = Vec::new();
        for call in 1.. {
            let records = block_on(engine.advance(2))?;
            if records.is_empty() {
                break;
            }
            all.extend(records);
            if losses.contains(&call) {
                match engine.engine() {
                    AnyEngine::Gpu(gpu) => gpu.context().destroy(),
                    AnyEngine::Reference(_) => panic!("expected the GPU's engine"),
                }
            }
        }
        Ok(all)
    }

    #[test]
    fn a_measurement_goes_on_once_when_its_device_is_lost() {
        if skips_gpu() {
            return;
        }
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../public/models/prosqa-coconut"
        );
        let model = load_model(Path::new(path)).expect("a checkpoint that ships");
        let strategy = Strategy::by_name("coconut").expect("a strategy");
        let program =
            strategy.program(&Settings::default(), &model.tokenizer, model.capabilities());
        let lanes = [LaneSpec {
            inputs: Input::tokens(&[3, 4, 5]),
            program: program.expect("a program"),
            seed: 0,
            stream: 0,
            decode_thoughts: true,
        }];
        let open = |kind| block_on(open_lasting_engine(kind, &model)).expect("an engine");
        let mut reference = open(EngineKind::Reference);
        let whole = block_on(run_to_end(&mut reference, &lanes, 2, |_| {})).expect("a run");
        let tokens = |records: &[StepRecord]| Vec::from_iter(records.iter().map(|r| r.token));

        let mut engine = open(EngineKind::Gpu);
        let found = run(&mut engine, &lanes, &[2]).expect("a second device");
        assert_eq!(tokens(&found), tokens(&whole[0]));
        let lost = run(&mut engine, &lanes, &[1]).expect_err("there is no third device");
        assert!(matches!(lost, EngineError::DeviceLost(_)), "{lost}");

        let mut engine = open(EngineKind::Gpu);
        let lost = run(&mut engine, &lanes, &[1, 2]).expect_err("there is no third device");
        assert!(matches!(lost, EngineError::DeviceLost(_)), "{lost}");
    }
}
