//! A graph that people edit: statements and a question in words, whether or not they decide it.

use super::{Graph, Problem, Task, TextError};

/// Statements and a question about them as words of the vocabulary, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// `[subject, object]` of each statement.
    pub statements: Vec<[String; 2]>,
    /// What the question is about.
    pub root: String,
    /// What it leaves open.
    pub options: [String; 2],
}

/// What people do to a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Takes the statement away if it is there, else says it last.
    Toggle {
        /// Its subject.
        subject: String,
        /// Its object.
        object: String,
    },
    /// Asks about another word.
    Root(String),
    /// Puts another word in place of an option, 0 or 1.
    Option(usize, String),
}

impl Sketch {
    /// What a graph says.
    pub fn of(graph: &Graph) -> Self {
        let word = |node: usize| graph.nodes[node].word.clone();
        Self {
            statements: graph.edges.iter().map(|edge| edge.map(word)).collect(),
            root: word(graph.root),
            options: graph.options.map(word),
        }
    }

    /// The same after an edit.
    pub fn edited(mut self, edit: &Edit) -> Self {
        match edit {
            Edit::Toggle { subject, object } => {
                let statement = [subject.clone(), object.clone()];
                let n_before = self.statements.len();
                self.statements.retain(|known| *known != statement);
                if self.statements.len() == n_before {
                    self.statements.push(statement);
                }
            }
            Edit::Root(word) => self.root = word.clone(),
            // Two options that are the same would ask nothing: they change places.
            Edit::Option(place, word) => {
                if self.options[1 - place] == *word {
                    self.options.swap(0, 1);
                }
                self.options[*place] = word.clone();
            }
        }
        self
    }
}

/// The text of a problem after an edit of its graph; whether it is decided then is not asked.
///
/// # Errors
/// If the text has no statements and question, or the edit makes a sentence that the task lacks.
pub fn edited_text(task: Task, text: &str, edit: &Edit) -> Result<String, TextError> {
    let graph = task.sketch(&crate::text::clean(text))?;
    task.write_sketch(&Sketch::of(&graph).edited(edit))
}

/// The same question about statements in which its two options have changed places, so that the
/// other one follows. Token for token it differs in these two alone: the counterpart that patching
/// asks for (symmetric token replacement, arXiv 2309.16042). `None` for problems without a graph.
pub fn twin(problem: &Problem) -> Option<Problem> {
    let task = problem.task();
    let mut sketch = Sketch::of(&task.sketch(problem.question()).ok()?);
    let [first, second] = &sketch.options;
    for word in sketch.statements.iter_mut().flatten() {
        if word == first {
            word.clone_from(second);
        } else if word == second {
            word.clone_from(first);
        }
    }
    task.read(&task.write_sketch(&sketch).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::{Difficulty, Picture, TASKS, prontoqa, prosqa};

    const TEXT: &str = "Tom is a terpus. Every terpus is a gerpus. Bob is a lempus. \
                        Is Tom a gerpus or lempus?";

    fn toggled(task: Task, text: &str, subject: &str, object: &str) -> Result<String, TextError> {
        let edit = Edit::Toggle {
            subject: subject.into(),
            object: object.into(),
        };
        edited_text(task, text, &edit)
    }

    #[test]
    fn an_edge_comes_and_goes_and_the_rest_stays_as_it_stood() {
        let more = toggled(prosqa::TASK, TEXT, "gerpus", "lempus").expect("a statement");
        let expected = "Tom is a terpus. Every terpus is a gerpus. Bob is a lempus. \
                        Every gerpus is a lempus. Is Tom a gerpus or lempus?";
        assert_eq!(more, expected);
        let again = toggled(prosqa::TASK, &more, "gerpus", "lempus").expect("a statement");
        assert_eq!(again, TEXT);
    }

    #[test]
    fn an_edited_graph_is_graded_by_the_search_and_may_be_undecided() {
        let task = prosqa::TASK;
        let other = toggled(task, TEXT, "terpus", "gerpus").expect("a statement");
        assert!(task.read(&other).is_err(), "neither option follows now");
        let graph = task.sketch(&other).expect("it is a graph all the same");
        assert_eq!((graph.edges.len(), graph.ways.len()), (2, 0));
        let other = toggled(task, &other, "terpus", "lempus").expect("a statement");
        let problem = task.read(&other).expect("decided again");
        assert_eq!(problem.answer(), "Tom is a lempus.");
    }

    #[test]
    fn root_and_options_are_what_is_asked() {
        let root = edited_text(prosqa::TASK, TEXT, &Edit::Root("Bob".into()));
        let problem = prosqa::TASK.read(&root.expect("a name"));
        assert_eq!(problem.expect("decided").answer(), "Bob is a lempus.");
        let option = Edit::Option(1, "gerpus".into());
        let swapped = edited_text(prosqa::TASK, TEXT, &option).expect("a concept");
        assert!(swapped.ends_with("Is Tom a lempus or gerpus?"), "{swapped}");
        let text = "Fae is a wumpus. Wumpuses are red. True or false: Fae is red.";
        let denied = edited_text(prontoqa::TASK, text, &Edit::Option(0, "not-red".into()));
        let problem = prontoqa::TASK.read(&denied.expect("a property"));
        assert_eq!(problem.expect("decided").answer(), "False");
    }

    #[test]
    fn what_no_sentence_says_is_refused_by_name() {
        let error = toggled(prosqa::TASK, TEXT, "gerpus", "Bob").expect_err("no concept");
        assert!(error.to_string().contains("\"Bob\""), "{error}");
        let text = "Fae is a wumpus. Wumpuses are red. True or false: Fae is red.";
        let error = toggled(prontoqa::TASK, text, "red", "wumpus").expect_err("no concept");
        assert!(error.to_string().contains("\"red\""), "{error}");
        let error = edited_text(prontoqa::TASK, text, &Edit::Root("wumpus".into()));
        assert!(error.is_err_and(|error| error.to_string().contains("\"wumpus\"")));
    }

    #[test]
    fn a_sketch_of_every_problem_writes_it_again() {
        for task in TASKS.iter().filter(|task| task.picture() == Picture::Graph) {
            for seed in 0..20 {
                let problem = task.generate(seed, Difficulty::Class);
                let graph = task.sketch(problem.question()).expect("its own text");
                let text = task
                    .write_sketch(&Sketch::of(&graph))
                    .expect("its own words");
                let again = task.read(&text).expect("decided as before");
                assert_eq!(again.answer(), problem.answer());
                assert_eq!(again.encode(), problem.encode(), "{text}");
                let fresh = task.fresh_word(&graph).expect("there are more words");
                assert_eq!(graph.node(&fresh), None);
            }
        }
    }
    #[test]
    fn a_twin_differs_in_its_options_and_has_the_other_answer() {
        for task in TASKS {
            for seed in 0..50 {
                let problem = task.generate(seed, Difficulty::Official);
                let Some(twin) = twin(&problem) else {
                    assert_eq!(task.picture(), Picture::Story);
                    continue;
                };
                assert_ne!(twin.answer(), problem.answer(), "{} {seed}", task.name());
                assert_eq!(twin.headline(), problem.headline());
                let tokens = [&problem, &twin].map(|p| p.encode().expect("known").to_vec());
                assert_eq!(tokens[0].len(), tokens[1].len(), "{}", twin.question());
                let graph = problem.graph().expect("it has a twin");
                let options = graph.options.map(|node| graph.nodes[node].token);
                let pairs = tokens[0].iter().zip(&tokens[1]);
                let changed: Vec<_> = pairs.filter(|(a, b)| a != b).collect();
                assert!(!changed.is_empty());
                for (a, b) in changed {
                    assert!(options.contains(a) && options.contains(b));
                }
            }
        }
    }
}
