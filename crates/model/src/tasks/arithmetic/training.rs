//! Stories to learn from.

use super::{Difficulty, Problem, token_id};
use crate::tasks::{
    Fingerprint,
    random::SplitMix64,
    supervision::{
        BatchSize, Extent, LatentTargets, StepToken, SupervisedQuestion, SupervisedText,
        not_withheld,
    },
};

/// Draws stories, each with its one question as many times as there are main questions, so that
/// every form of a batch gets it.
pub(super) fn draw_texts(
    random: &mut SplitMix64,
    extent: &Extent,
    size: &BatchSize,
    is_withheld: &dyn Fn(&Fingerprint) -> bool,
) -> Vec<SupervisedText> {
    let difficulty = Difficulty {
        steps: extent.hops[0]..=extent.hops[1],
    };
    let mut draw = || {
        let problem = Problem::generate(random.bits(), &difficulty);
        let fingerprint = problem.fingerprint();
        (problem, fingerprint)
    };
    let text = |_| {
        let story = not_withheld(is_withheld, &mut draw);
        supervised(&story, size.main_questions)
    };
    (0..size.texts).map(text).collect()
}

fn supervised(problem: &Problem, n_questions: usize) -> SupervisedText {
    let mut context = problem.encode().expect("the vocabulary has every word");
    // The text and its question are one; the last token alone has to wait for the context.
    let question = context.split_off(context.len() - 1);
    let steps = problem.step_tokens();
    let only = |ids: &Vec<u32>| ids.iter().copied().map(StepToken::only).collect();
    let question = SupervisedQuestion {
        question,
        steps: steps.iter().map(only).collect(),
        answer: problem.answer_tokens(),
        distractor: None,
        latent_targets: LatentTargets::Results(steps.iter().map(|ids| result(ids)).collect()),
        backward: Vec::new(),
    };
    SupervisedText {
        context,
        questions: vec![question; n_questions],
    }
}

/// The result of a step's tokens: its digits and the `>>` that ends it.
fn result(step: &[u32]) -> Vec<u32> {
    let equals = token_id("=");
    let before = step.iter().rposition(|&id| Some(id) == equals);
    step[before.map_or(0, |at| at + 1)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::arithmetic::Step;

    #[test]
    fn thoughts_about_a_story_hold_one_result_each() {
        let steps = [("4*12", 48), ("48-17", 31), ("31*4", 124)].map(|(expression, result)| Step {
            expression: expression.into(),
            result,
        });
        let problem = Problem {
            steps: steps.into(),
            answer: 124,
            ..Problem::generate(1, &Difficulty::OFFICIAL)
        };
        let text = supervised(&problem, 2);
        assert_eq!(text.questions[0], text.questions[1]);
        let ids = |tokens: &[&str]| -> Vec<u32> {
            let id = |token: &&str| token_id(token).expect("a token of every solution");
            tokens.iter().map(id).collect()
        };
        let expected = [
            &["4", "8", ">>"][..],
            &["3", "1", ">>"],
            &["1", "2", "4", ">>"],
        ];
        assert_eq!(
            text.questions[0].latent_targets,
            LatentTargets::Results(expected.map(ids).into())
        );
    }
}
