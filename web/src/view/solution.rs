//! How a problem is solved, in words.

use latent_model::tasks::Problem;

use crate::words::{fill, words};

/// A worked solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// Its steps as the task's text.
    pub steps: Vec<String>,
    /// The right answer.
    pub answer: String,
    /// How many shortest ways the problem's graph has; these steps are one of them.
    pub n_ways: usize,
}

impl Solution {
    /// The solution of a problem.
    pub fn of(problem: &Problem) -> Self {
        Self {
            steps: problem.steps().to_vec(),
            answer: problem.answer().into(),
            n_ways: problem.graph().map_or(1, |graph| graph.ways.len()),
        }
    }

    /// `In 2 steps: Tom is a terpus. Every terpus is a gerpus. Answer: Tom is a gerpus.`
    pub fn sentence(&self) -> String {
        let Self {
            steps,
            answer,
            n_ways,
        } = self;
        let (n, n_ways_said) = (steps.len().to_string(), n_ways.to_string());
        let ways = ("ways", &*n_ways_said);
        let ways = match (n_ways, steps.len()) {
            (1, 1) => words().solution_one_step.to_string(),
            (1, _) => fill(words().solution_steps, &[("n", &n)]),
            (_, 1) => fill(words().solution_ways_one_step, &[ways]),
            _ => fill(words().solution_ways, &[ways, ("n", &n)]),
        };
        let parts = [
            ("ways", &*ways),
            ("steps", &steps.join(" ")),
            ("answer", answer),
        ];
        fill(words().solution, &parts)
    }
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::prosqa;

    use super::*;
    use crate::view::test_records::three_times_four;

    #[test]
    fn a_solution_tells_its_steps_its_answer_and_whether_there_are_others() {
        let text = "Tom is a terpus. Tom is a gorpus. Every terpus is a gerpus. \
                    Every gorpus is a gerpus. Bob is a lempus. Is Tom a gerpus or lempus?";
        let problem = prosqa::TASK.read(text).expect("decided");
        assert_eq!(
            Solution::of(&problem).sentence(),
            "2 shortest ways, one of them in 2 steps: Tom is a terpus. \
             Every terpus is a gerpus. Answer: Tom is a gerpus."
        );
        let problem = three_times_four();
        let sentence = Solution::of(&problem).sentence();
        assert_eq!(sentence, "In 1 step: <<3*4=12>> Answer: 12");
    }
}
