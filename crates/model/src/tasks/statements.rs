//! What tasks have in common whose sentences are statements of two words.

use super::{Judgement, Problem, TaskSpec};

/// Takes the last two words if they are a statement; the second one of a pair that is none may
/// begin the next statement.
pub(super) fn complete(task: &dyn TaskSpec, pending: &mut Vec<String>) -> Option<Vec<String>> {
    let words: Vec<&str> = pending.iter().map(String::as_str).collect();
    // Only a pair that is a statement is rendered with a full stop.
    if task.render_tokens(&words).ends_with('.') {
        return Some(std::mem::take(pending));
    }
    if pending.len() == 2 {
        pending.remove(0);
    }
    None
}

/// Whether the problem states what a sentence says.
pub(super) fn judge(words: &[&str], problem: Option<&Problem>) -> Option<Judgement> {
    let graph = problem?.graph()?;
    let (holds, reason) = match *words {
        [subject, object] if graph.states(subject, object) => (true, "The problem says so"),
        _ => (false, "The problem does not say this"),
    };
    Some(Judgement { holds, reason })
}
