//! What one step learns from: which batch is drawn at which point of a run, and what its loss is.

use std::collections::BTreeMap;
use std::rc::Rc;

use burn::tensor::ExecutionError;

use crate::ccot::{self, Ccot, CcotConfig, CcotWeights, Pool, Reading};
use crate::config::{Level, RecallConfig, RunConfig};
use crate::example::Context;
use crate::llama::Llama;
use crate::method::{SequenceLayout, Stage};
use crate::objective::{BatchLoss, BatchSplit, Objective};
use crate::progress::Progress;
use crate::random::Random;
use crate::recall::{AncestorQuestions, SuccessorSets};
use crate::source::Source;

/// A batch, and with it what is minimized.
///
/// Here is where another objective joins: a variant with what it learns from, and its arm in
/// [`Batch::loss`].
pub enum Batch {
    /// Questions, laid out in one or several ways.
    Questions {
        /// What is read, with its questions.
        contexts: Vec<Context>,
        /// Which of them take which layout.
        splits: Vec<BatchSplit>,
    },
    /// Problems whose chains of thought contemplation tokens shall stand for.
    Contemplation {
        /// What the model has read of them.
        readings: Vec<Rc<Reading>>,
        /// What is learned.
        stage: ccot::Stage,
        /// How.
        config: CcotConfig,
    },
    /// The warm-up forward.
    Successors(SuccessorSets),
    /// The warm-up backward.
    Ancestors(AncestorQuestions),
}

impl Batch {
    /// The batch of a step, and whether its accuracy counts for the curriculum. `pool` holds what
    /// contemplation learns from.
    pub fn draw(
        config: &RunConfig,
        source: &Source,
        progress: &Progress,
        pool: &Pool,
        random: &mut Random,
    ) -> (Batch, bool) {
        if let Some(ccot) = &config.ccot {
            let batch = Batch::Contemplation {
                readings: pool.draw(config.batch.graphs * ccot.reuse, random),
                stage: ccot.stage(progress.step),
                config: ccot.clone(),
            };
            return (batch, true);
        }
        if let Some(recall) = progress.recall(config) {
            let batch = Batch::draw_recall(config, recall, source, progress.recall_stage, random);
            return (batch, true);
        }
        let curriculum = &config.curriculum;
        let current = progress.level;
        let reviews = current > 0 && random.uniform() < curriculum.review;
        let level = if reviews {
            random.below(current)
        } else {
            current
        };
        let contexts = source.contexts(config, &curriculum.levels[level], random);
        let varies = random.uniform() < curriculum.vary_thoughts;
        let stage = match &config.stages {
            Some(stages) => stages.draw(progress.step, random),
            None if varies => Stage::wordless(1 + random.below(curriculum.most_thoughts)),
            None => Stage::wordless(curriculum.levels[current].thoughts),
        };
        let splits = splits(config, stage);
        let batch = Batch::Questions { contexts, splits };
        (batch, !reviews && !varies)
    }

    fn draw_recall(
        config: &RunConfig,
        recall: &RecallConfig,
        source: &Source,
        stage: usize,
        random: &mut Random,
    ) -> Batch {
        let level = Level {
            nodes: recall.nodes[stage.min(1)],
            hops: [1, 4],
            dead_ends: false,
            thoughts: 0,
        };
        let graphs = source.graphs(random, &level, config.batch.graphs);
        if recall.backward {
            let questions = AncestorQuestions::draw(graphs, recall.sets, &config.loss, random);
            Batch::Ancestors(questions)
        } else {
            let largest_set = stage.max(1);
            let sets = SuccessorSets::draw(&graphs, recall.sets, largest_set, random);
            Batch::Successors(sets)
        }
    }

    /// Its loss, with nothing read from the device but what concept tokens are made of and where
    /// END stops. `adapters` are the weights that contemplation learns.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn loss(
        &self,
        objective: &Objective<'_>,
        model: &Llama<'_>,
        adapters: Option<&CcotWeights>,
    ) -> Result<BatchLoss, ExecutionError> {
        match self {
            Batch::Contemplation {
                readings,
                stage,
                config,
            } => {
                let ccot = Ccot {
                    config,
                    objective,
                    sizes: model.config,
                    base: &model.parameters,
                    weights: adapters.expect("a run of CCOT has its weights"),
                    device: &model.device,
                };
                let readings: Vec<&Reading> = readings.iter().map(Rc::as_ref).collect();
                ccot.loss(&readings, *stage).await
            }
            Batch::Questions { contexts, splits } => objective.loss(model, contexts, splits).await,
            Batch::Successors(sets) => Ok(sets.loss(model, objective.markers)),
            Batch::Ancestors(questions) => {
                Ok(questions.loss(model, objective.config, objective.markers))
            }
        }
    }
}

/// Deals the questions of each text to the layouts, in turn.
fn splits(config: &RunConfig, stage: Stage) -> Vec<BatchSplit> {
    let layouts = &config.layouts;
    let n_questions = config.batch.main_questions + config.batch.extra_questions;
    let mut counts: BTreeMap<SequenceLayout, usize> = BTreeMap::new();
    for question in 0..n_questions {
        *counts.entry(layouts[question % layouts.len()]).or_default() += 1;
    }
    let split = |(layout, n_examples)| BatchSplit {
        layout,
        stage,
        n_examples,
    };
    counts.into_iter().map(split).collect()
}
