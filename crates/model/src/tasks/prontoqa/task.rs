//! ProntoQA as a row of the table of tasks.

use super::{
    CONCEPTS, Difficulty, Form, MARKER, ParseError, Problem, Statement, Word,
    official::FORMATS,
    text::{normalizer, render, write_sketch},
    training, vocabulary,
};
use crate::tasks::{
    self, CanTeach, Fingerprint, Format, Graph, Judgement, Markers, Node, Picture, Task, TaskSpec,
    TextError,
    random::SplitMix64,
    sketch::Sketch,
    statements,
    supervision::{BatchSize, Extent, SupervisedText},
};

/// ProntoQA's row.
pub const TASK: Task = Task(&ProntoQa);

struct ProntoQa;

impl TaskSpec for ProntoQa {
    fn name(&self) -> &'static str {
        "prontoqa"
    }

    fn title(&self) -> &'static str {
        "ProntoQA"
    }

    fn vocabulary(&self) -> Vec<String> {
        vocabulary().collect()
    }

    fn markers(&self) -> Markers {
        MARKER
    }

    fn normalizer(&self) -> Vec<(String, &'static str)> {
        normalizer()
    }

    fn render_tokens(&self, tokens: &[&str]) -> String {
        render(tokens)
    }

    fn generate(&self, seed: u64, difficulty: tasks::Difficulty) -> tasks::Problem {
        let preset = difficulty.pick(Difficulty::CLASS, Difficulty::OFFICIAL);
        Problem::generate(seed, &preset).into()
    }

    fn parse(&self, text: &str) -> Result<tasks::Problem, TextError> {
        Ok(Problem::parse(text)?.into())
    }

    fn formats(&self) -> &'static [Format] {
        tasks::for_studies();
        &FORMATS
    }

    fn sketch(&self, text: &str) -> Result<Graph, TextError> {
        let problem = Problem::parse_undecided(text)?;
        Ok(Graph {
            ways: Vec::new(),
            ..graph(&problem)
        })
    }

    fn statements_graph(&self, text: &str) -> Result<Graph, TextError> {
        let (statements, asked) = Problem::parse_statements(text)?;
        let first = statements.first().ok_or(ParseError::NoQuestion)?;
        let asked = asked.unwrap_or(*first);
        // What it would be true of is not asked of a graph without ways.
        let problem = Problem {
            entity: asked.subject,
            query: asked.subject,
            is_true: true,
            statements,
        };
        Ok(Graph {
            is_asked: false,
            ways: Vec::new(),
            ..graph(&problem)
        })
    }

    fn write_sketch(&self, sketch: &Sketch) -> Result<String, TextError> {
        Ok(write_sketch(sketch)?)
    }

    fn fresh_word(&self, graph: &Graph) -> Option<String> {
        let mut concepts = CONCEPTS.iter();
        let fresh = concepts.find(|word| graph.node(word).is_none());
        fresh.map(|word| word.to_string())
    }

    fn answer_said(&self, _problem: &tasks::Problem, text: &str) -> Option<String> {
        let is_truth = matches!(Word::from_name(text), Some(Word::Truth(_)));
        is_truth.then(|| text.into())
    }

    fn picture(&self) -> Picture {
        Picture::Graph
    }

    fn complete_sentence(&self, pending: &mut Vec<String>) -> Option<Vec<String>> {
        statements::complete(self, pending)
    }

    fn judge_sentence(
        &self,
        words: &[&str],
        problem: Option<&tasks::Problem>,
    ) -> Option<Judgement> {
        statements::judge(words, problem)
    }

    fn draw_texts(
        &self,
        random: &mut SplitMix64,
        extent: &Extent,
        size: &BatchSize,
        is_withheld: &dyn Fn(&Fingerprint) -> bool,
    ) -> Vec<SupervisedText> {
        tasks::for_studies();
        training::draw_texts(random, extent, size, is_withheld)
    }

    fn can_teach(&self) -> CanTeach {
        CanTeach {
            several_questions: true,
            backward_search: true,
            statement_graphs: false,
        }
    }
}

impl From<ParseError> for TextError {
    fn from(error: ParseError) -> Self {
        Self(error.to_string())
    }
}

impl From<Problem> for tasks::Problem {
    fn from(problem: Problem) -> tasks::Problem {
        let claim = Statement {
            subject: problem.entity,
            object: problem.query,
            form: Form::Every,
        };
        let claim = claim.english();
        tasks::Problem {
            task: TASK,
            question: problem.question(),
            headline: format!("Is it true that {}?", claim.trim_end_matches('.')),
            answer: problem.answer(),
            steps: problem.steps(),
            question_tokens: Ok(problem.encode()),
            step_tokens: problem.step_tokens(),
            answer_tokens: problem.answer_tokens(),
            fingerprint: problem.fingerprint(),
            graph: Some(graph(&problem)),
        }
    }
}

/// The options are the asked property and its opposite, whether or not a statement names them.
fn graph(problem: &Problem) -> Graph {
    let mut words: Vec<Word> = Vec::new();
    let mut node = |word: Word| {
        let known = words.iter().position(|&known| known == word);
        known.unwrap_or_else(|| {
            words.push(word);
            words.len() - 1
        })
    };
    let root = node(problem.entity);
    let mut edge = |statement: &Statement| [node(statement.subject), node(statement.object)];
    let edges = problem.statements.iter().map(&mut edge).collect();
    let chain: Vec<[usize; 2]> = problem.chain().iter().map(edge).collect();
    let way = [root].into_iter().chain(chain.iter().map(|pair| pair[1]));
    let way: Vec<usize> = way.collect();
    let asked = node(problem.query);
    let opposite = node(problem.query.opposite().unwrap_or(problem.query));
    let node_of_word = |word: Word| Node {
        // A denied property is one token, `not-red`, and two words of English.
        name: word.to_string().replace('-', " "),
        word: word.to_string(),
        token: word.id(),
    };
    Graph {
        edges,
        is_asked: true,
        root,
        options: [asked, opposite],
        target: if problem.is_true { asked } else { opposite },
        ways: vec![way],
        nodes: words.into_iter().map(node_of_word).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Grade;

    #[test]
    fn only_the_right_answer_is_right() {
        let text = "Fae is a wumpus. Wumpuses are red. True or false: Fae is not red.";
        let problem = TASK.read(text).expect("a decided question");
        let cases = [
            ("### False", Grade::Right),
            ("Fae is a wumpus. ### True ### False ", Grade::Right),
            ("### True", Grade::Wrong),
            ("### false", Grade::Malformed),
            ("### False.", Grade::Malformed),
            ("### red", Grade::Malformed),
            ("False", Grade::Malformed),
            ("", Grade::Malformed),
        ];
        for (completion, expected) in cases {
            assert_eq!(problem.grade(completion), expected, "{completion:?}");
        }
    }
}
