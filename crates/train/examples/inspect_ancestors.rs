//! Prints how well each layer of a saved run searches backward: `inspect_ancestors CONFIG STATE`.
use std::path::Path;

use burn::tensor::Device;
use latent_train::config::RunConfig;
use latent_train::llama::{Llama, QuestionCache};
use latent_train::objective::{ancestor_loss, asks, numbers, read_batch};
use latent_train::parameters::Parameters;
use latent_train::progress;
use latent_train::random::Random;
use latent_train::samples::{Level, Sample};
use latent_train::targets::Rows;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let config = RunConfig::load(Path::new(&args[1]))?;
    let device = Device::flex();
    let like = Parameters::init(&config.model, 64, 1, &device);
    let parameters = progress::load_weights(Path::new(&args[2]), like, &device)?;
    let model = Llama {
        config: &config.model,
        parameters,
        device: device.clone(),
    };
    let n_layers = config.model.n_layers + 1 - config.loss.ancestors_from_layer;
    for nodes in [[6, 8], [10, 14], [19, 27]] {
        let level = Level {
            nodes,
            hops: [1, 6],
            thoughts: 0,
        };
        let mut random = Random::new(77);
        let samples: Vec<Sample> = (0..32)
            .map(|_| Sample::draw(&mut random, &level, 4, 0))
            .collect();
        let mut rows = Rows::default();
        for (sample, ask) in asks(&samples) {
            sample
                .question_tokens(ask)
                .into_iter()
                .for_each(|id| rows.push_token(id, 1.0));
        }
        let mut batch = read_batch(&model, &samples);
        let inputs = model.embed(rows.into_tensor(&device));
        let residuals = batch.extend(&model, inputs, 4, &mut QuestionCache::default());
        let found = ancestor_loss(&model, &residuals, &samples, 4, &config.loss);
        let logits = numbers(found.logits);
        let per_layer = found.targets.len() / (n_layers);
        for layer in 0..n_layers {
            let (mut loss, mut floor, mut newest, mut n_newest) = (0.0, 0.0, 0.0, 0.0);
            for index in layer * per_layer..(layer + 1) * per_layer {
                let row = &logits[index * 64..(index + 1) * 64];
                let target = found.targets.row(index);
                let total: f32 = row.iter().map(|l| l.exp()).sum();
                let largest = target.iter().copied().fold(0.0, f32::max);
                let n_members = target.iter().filter(|t| **t > 0.0).count();
                let mut order: Vec<usize> = (0..64).collect();
                order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
                for (id, &t) in target.iter().enumerate().filter(|(_, t)| **t > 0.0) {
                    loss -= t * (row[id].exp() / total).ln();
                    floor -= t * t.ln();
                    if t == largest {
                        n_newest += 1.0;
                        if order[..n_members].contains(&id) {
                            newest += 1.0;
                        }
                    }
                }
            }
            println!(
                "nodes {nodes:?} layer {}: loss {:.3}, floor {:.3}, newest found {:.2}",
                layer + config.loss.ancestors_from_layer,
                loss / per_layer as f32,
                floor / per_layer as f32,
                newest / n_newest
            );
        }
    }
    Ok(())
}
