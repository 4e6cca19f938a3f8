//! What somebody can predict of a problem before it runs, and whether it was right.

use latent_model::tasks::Problem;

/// What there is to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choices {
    /// One of these; the index of the right one.
    Options(Vec<String>, usize),
    /// A text of one's own beside the right answer.
    Text(String),
}

impl Choices {
    /// What a problem leaves open: its graph's options where it has a graph.
    pub fn of(problem: &Problem) -> Self {
        match problem.graph() {
            Some(graph) => {
                let names = graph.options.map(|node| graph.nodes[node].name.clone());
                let right = graph.options.iter().position(|node| *node == graph.target);
                Self::Options(names.into(), right.unwrap_or_default())
            }
            None => Self::Text(problem.answer().into()),
        }
    }

    /// Whether a prediction is the right answer.
    pub fn is_right(&self, predicted: &str) -> bool {
        match self {
            Self::Options(names, right) => names[*right] == predicted,
            Self::Text(answer) => answer.trim() == predicted.trim(),
        }
    }
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::prosqa;

    use super::*;
    use crate::view::test_records::three_times_four;

    #[test]
    fn options_are_those_of_the_question_and_a_story_takes_a_number() {
        let text = "Tom is a terpus. Bob is a lempus. Is Tom a lempus or terpus?";
        let problem = prosqa::TASK.read(text).expect("decided");
        let choices = Choices::of(&problem);
        assert_eq!(
            choices,
            Choices::Options(vec!["lempus".into(), "terpus".into()], 1)
        );
        assert!(choices.is_right("terpus") && !choices.is_right("lempus"));
        let choices = Choices::of(&three_times_four());
        assert!(choices.is_right(" 12 ") && !choices.is_right("7"));
    }
}
