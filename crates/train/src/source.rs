//! Where lessons come from: a task's generator, with everything withheld that is evaluated on.

use std::collections::HashSet;

use latent_model::tasks::supervision::{BatchSize, StatementGraph};
use latent_model::tasks::{Difficulty, Fingerprint, Problem, Task};

use crate::config::{Level, RunConfig};
use crate::evaluation::held_out;
use crate::lesson::Passage;
use crate::random::Random;

/// A task's generator, and the problems that a run is measured with.
pub struct Source {
    task: Task,
    /// Problems to evaluate on, each list with its name.
    pub held_out: Vec<(String, Vec<Problem>)>,
    withheld: HashSet<Fingerprint>,
}

impl Source {
    /// Takes the problems of the official file, where there is one (its name and its text), and
    /// generates the others held out.
    ///
    /// # Errors
    /// If the text is none of the task's.
    pub fn new(config: &RunConfig, official: Option<(&str, &str)>) -> anyhow::Result<Source> {
        let (task, n) = (config.task, config.evaluation.problems);
        let mut lists: Vec<(String, Vec<Problem>)> = Difficulty::ALL
            .into_iter()
            .map(|size| (size.name().to_string(), held_out(task, size, n)))
            .collect();
        let mut withheld: HashSet<Fingerprint> = HashSet::new();
        if let Some((name, text)) = official {
            let problems = task.load(text)?.problems;
            withheld.extend(problems.iter().map(Problem::fingerprint).cloned());
            // A file of another vocabulary is only kept apart from, not evaluated on.
            if problems.iter().all(|problem| problem.encode().is_ok()) {
                lists.push((name.to_string(), problems));
            }
        }
        let generated = lists.iter().flat_map(|(_, problems)| problems);
        withheld.extend(generated.map(Problem::fingerprint).cloned());
        Ok(Source {
            task,
            held_out: lists,
            withheld,
        })
    }

    /// Graphs of statements with one question each.
    ///
    /// # Panics
    /// If the task has none, which [`RunConfig`] is checked for.
    pub fn graphs(
        &self,
        random: &mut Random,
        level: &Level,
        n_graphs: usize,
    ) -> Vec<StatementGraph> {
        let size = BatchSize {
            texts: n_graphs,
            main_questions: 1,
            extra_questions: 0,
        };
        let is_withheld = |fingerprint: &Fingerprint| self.withheld.contains(fingerprint);
        let graphs = self
            .task
            .draw_graphs(random, &level.extent(), &size, &is_withheld);
        graphs.expect("a recall of statements that the config's check has let pass")
    }

    /// A batch of lessons at a level.
    pub fn passages(&self, config: &RunConfig, level: &Level, random: &mut Random) -> Vec<Passage> {
        let size = BatchSize {
            texts: config.batch.graphs,
            main_questions: config.batch.main_questions,
            extra_questions: config.batch.extra_questions,
        };
        let is_withheld = |fingerprint: &Fingerprint| self.withheld.contains(fingerprint);
        let texts = self
            .task
            .draw_texts(random, &level.extent(), &size, &is_withheld);
        let weighted = texts.iter().map(|text| Passage::new(text, &config.loss));
        weighted.collect()
    }
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::TASKS;

    use super::*;
    use crate::config::BatchConfig;
    use crate::lesson::{Distribution, LossConfig};

    /// FNV-1a, 64 bits.
    fn digest(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    }

    /// Everything that a batch teaches, in order; a weight as its bits.
    fn told(passages: &[Passage], n_layers: usize) -> Vec<u32> {
        let weights = |set: &Distribution| -> Vec<u32> {
            set.iter().flat_map(|(id, w)| [*id, w.to_bits()]).collect()
        };
        let mut told = Vec::new();
        for passage in passages {
            told.extend(&passage.context);
            for lesson in &passage.lessons {
                told.extend(&lesson.question);
                told.push(lesson.steps.len() as u32);
                for word in lesson.steps.iter().flatten() {
                    told.push(word.id);
                    told.extend(weights(&word.targets));
                }
                told.push(lesson.stop_weight.to_bits());
                told.extend(lesson.answer.iter().chain(&lesson.rival));
                (0..9).for_each(|thought| told.extend(weights(&lesson.reach(thought))));
                for goal in &lesson.goals {
                    told.push(goal.position as u32);
                    let last = goal.by_steps.len() - 1;
                    for layer in 0..n_layers {
                        told.extend(weights(&goal.by_steps[layer.min(last)]));
                    }
                }
            }
        }
        told
    }

    /// Two batches of every task, and the random number behind them: a config and its seed stand
    /// for the same run as when the published weights were trained.
    #[test]
    fn batches_of_a_seed_stay_as_they_are() {
        let whole = include_str!("../configs/prosqa-cot.toml");
        let mut config: RunConfig = toml::from_str(whole).expect("a whole config");
        config.evaluation.problems = 5;
        config.loss = LossConfig {
            gamma: 0.6,
            floor: 0.15,
            reach: 1.0,
            ancestors: 1.0,
            ancestors_from_layer: 1,
            markers: 0.1,
        };
        let mut found = Vec::new();
        for &task in TASKS {
            config.task = task;
            let source = Source::new(&config, None).expect("no file is read");
            config.batch = BatchConfig {
                graphs: 3,
                main_questions: 2,
                extra_questions: if task.can_teach().several_questions {
                    2
                } else {
                    0
                },
            };
            let level = Level {
                nodes: [19, 27],
                hops: [3, 5],
                dead_ends: true,
                thoughts: 0,
            };
            let mut random = Random::new(7);
            let mut numbers = Vec::new();
            for _ in 0..2 {
                let passages = source.passages(&config, &level, &mut random);
                numbers.extend(told(&passages, 6));
            }
            numbers.push(random.bits() as u32);
            found.push((
                task.name(),
                digest(numbers.iter().flat_map(|n| n.to_le_bytes())),
            ));
        }
        let expected = [
            ("prosqa", 4734977059379241685),
            ("prontoqa", 9347153117307316339),
            ("arithmetic", 11663370104126240836),
        ];
        assert_eq!(found, expected);
    }
}
