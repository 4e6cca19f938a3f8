//! ProsQA as a row of the table of tasks.

use super::{
    CONCEPTS, Difficulty, MARKER, ParseError, Problem, Symbol,
    official::FORMATS,
    text::{normalizer, render, write_sketch},
    training::draw_graphs,
    vocabulary,
};
use crate::tasks::{
    self, CanTeach, Fingerprint, Format, Graph, Judgement, Markers, Node, Picture, Task, TaskSpec,
    TextError,
    random::SplitMix64,
    sketch::Sketch,
    statements,
    supervision::{BatchSize, Extent, StatementGraph, SupervisedText},
};

/// ProsQA's row.
pub const TASK: Task = Task(&ProsQa);

struct ProsQa;

impl TaskSpec for ProsQa {
    fn name(&self) -> &'static str {
        "prosqa"
    }

    fn title(&self) -> &'static str {
        "ProsQA"
    }

    fn vocabulary(&self) -> Vec<String> {
        vocabulary().map(String::from).collect()
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
        Ok(graph(&problem, Vec::new()))
    }

    fn statements_graph(&self, text: &str) -> Result<Graph, TextError> {
        let (problem, is_asked) = Problem::parse_statements(text)?;
        Ok(Graph {
            is_asked,
            ..graph(&problem, Vec::new())
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

    fn official_file(&self) -> Option<&'static str> {
        Some("prosqa_valid.json")
    }

    /// A text about another root is no answer.
    fn answer_said(&self, problem: &tasks::Problem, text: &str) -> Option<String> {
        let root = problem.answer.split(' ').next();
        let words: Vec<&str> = text.trim_end_matches('.').split_whitespace().collect();
        let is_answer = matches!(words[..], [subject, "is", "a", _] if Some(subject) == root);
        is_answer.then(|| text.into())
    }

    /// Words come in pairs, subject and object: the choice is at every second one.
    fn branch_points(&self, problem: &tasks::Problem, words: &[&str]) -> Vec<usize> {
        let Some(graph) = problem.graph() else {
            return Vec::new();
        };
        let successors = graph.successors();
        let branches = |word: &str| {
            let node = graph.node(word);
            node.is_some_and(|node| successors.of(node).len() > 1)
        };
        let pairs = words.chunks_exact(2).enumerate();
        pairs
            .filter(|(_, pair)| branches(pair[0]))
            .map(|(index, _)| 2 * index + 1)
            .collect()
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
        let graphs = draw_graphs(random, extent, size, is_withheld);
        let text = |graph: &StatementGraph| {
            let mut text = graph.supervised(random);
            // So that each form gets questions of every kind.
            random.shuffle(&mut text.questions);
            text
        };
        graphs.iter().map(text).collect()
    }

    /// Of `X Y` what has been reached.
    fn kept_ranks(&self, step: &[u32]) -> Vec<u8> {
        (1..=step.len())
            .map(|at| u8::from(at < step.len()))
            .collect()
    }

    fn draw_graphs(
        &self,
        random: &mut SplitMix64,
        extent: &Extent,
        size: &BatchSize,
        is_withheld: &dyn Fn(&Fingerprint) -> bool,
    ) -> Option<Vec<StatementGraph>> {
        tasks::for_studies();
        Some(draw_graphs(random, extent, size, is_withheld))
    }

    fn can_teach(&self) -> CanTeach {
        CanTeach {
            several_questions: true,
            backward_search: true,
            statement_graphs: true,
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
        let ways = problem.shortest_paths();
        let path: &[usize] = ways.first().map_or(&[], Vec::as_slice);
        let name = |node: usize| problem.symbols[node].name();
        let [a, b] = problem.options().map(name);
        tasks::Problem {
            task: TASK,
            question: problem.question(),
            headline: format!("Is {} a {a} or a {b}?", name(problem.root)),
            answer: problem.answer(),
            steps: problem.steps(path),
            question_tokens: Ok(problem.encode()),
            step_tokens: problem.step_tokens(path),
            answer_tokens: problem.answer_tokens(),
            fingerprint: problem.fingerprint(),
            graph: Some(graph(&problem, ways)),
        }
    }
}

fn graph(problem: &Problem, ways: Vec<Vec<usize>>) -> Graph {
    let node = |symbol: &Symbol| Node {
        name: symbol.name().into(),
        word: symbol.name().into(),
        token: symbol.id(),
    };
    Graph {
        nodes: problem.symbols.iter().map(node).collect(),
        edges: problem.edges.clone(),
        is_asked: true,
        root: problem.root,
        options: problem.options(),
        target: problem.target,
        ways,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Grade;

    fn problem() -> tasks::Problem {
        let text = "Tom is a terpus. Bob is a gerpus. Is Tom a gerpus or terpus?";
        TASK.read(text).expect("a decided question")
    }

    #[test]
    fn only_the_right_answer_is_right() {
        let cases = [
            ("### Tom is a terpus.", Grade::Right),
            ("Tom is a gerpus. ### Tom is a terpus.", Grade::Right),
            ("### Tom is a gerpus.", Grade::Wrong),
            ("### Tom is a lempus.", Grade::Wrong),
            ("### Tom is a terpus", Grade::Wrong),
            ("### Bob is a terpus.", Grade::Malformed),
            ("Tom is a terpus.", Grade::Malformed),
            ("### Tom", Grade::Malformed),
            ("", Grade::Malformed),
        ];
        for (completion, expected) in cases {
            assert_eq!(problem().grade(completion), expected, "{completion:?}");
        }
    }

    #[test]
    fn objects_of_a_subject_with_several_are_chosen() {
        let text = "Tom is a terpus. Tom is a gorpus. Every terpus is a gerpus. Bob is a lempus. \
                    Is Tom a gerpus or lempus?";
        let problem = TASK.read(text).expect("a decided question");
        let words = ["Tom", "terpus", "terpus", "gerpus", "Tom", "gorpus", "Tom"];
        assert_eq!(problem.branch_points(&words), [1, 5]);
    }
}
