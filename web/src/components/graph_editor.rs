//! The graph by hand: arrows, the start and the options; every edit is a text that is typed.

use latent_model::tasks::sketch::{Edit, edited_text};
use leptos::prelude::*;

use crate::{
    page_signals::PageSignals,
    page_state::ProblemChoice,
    words::{fill, words},
};

/// Whether the graph is edited, and from which word; it outlives the drawings of its edits.
#[derive(Clone, Copy)]
pub struct GraphEditor {
    /// Whether clicks edit.
    pub is_on: RwSignal<bool>,
    /// The word that an edit begins at.
    pub selected: RwSignal<Option<String>>,
    /// Why the last edit was refused.
    refusal: RwSignal<Option<String>>,
    signals: PageSignals,
}

impl GraphEditor {
    /// Switched off.
    pub fn new(signals: PageSignals) -> Self {
        Self {
            is_on: RwSignal::new(false),
            selected: RwSignal::new(None),
            refusal: RwSignal::new(None),
            signals,
        }
    }

    /// A node was pressed: the first one is chosen, a second one gives or takes an arrow.
    pub fn press(self, word: &str) {
        self.refusal.set(None);
        match self.selected.get_untracked() {
            None => self.selected.set(Some(word.into())),
            Some(selected) if selected == word => self.selected.set(None),
            Some(subject) => self.apply(&Edit::Toggle {
                subject,
                object: word.into(),
            }),
        }
    }

    /// Puts the edited text in place of the problem's.
    pub fn apply(self, edit: &Edit) {
        let task = self.signals.task.get_untracked();
        let text = self.signals.question.with_untracked(|q| q.text.clone());
        match edited_text(task, &text, edit) {
            Ok(text) => {
                self.refusal.set(None);
                self.signals.choose_problem(ProblemChoice::Typed(text));
            }
            Err(reason) => self.refusal.set(Some(reason.to_string())),
        }
    }
}

/// The switch, and what can be done with the chosen word.
#[component]
pub fn EditorBar(editor: GraphEditor) -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    let fresh = move || {
        signals.question.with_untracked(|question| {
            let graph = question.graph()?;
            question.task.fresh_word(graph)
        })
    };
    let with_selected = move |edit: fn(String) -> Edit| {
        move |_| {
            if let Some(word) = editor.selected.get_untracked() {
                editor.apply(&edit(word));
            }
        }
    };
    let add_word = move |_| {
        if let (Some(subject), Some(object)) = (editor.selected.get_untracked(), fresh()) {
            editor.apply(&Edit::Toggle { subject, object });
        }
    };
    let told = move || match editor.selected.get() {
        None => words().edit_choose.to_string(),
        Some(word) => fill(words().edit_chosen, &[("word", &word)]),
    };
    let lacks_word = move || editor.selected.with(Option::is_none);
    let toggle = move |event| {
        editor.is_on.set(event_target_checked(&event));
        editor.selected.set(None);
    };
    view! {
        <div class="editor-bar" data-testid="editor-bar">
            <label class="switch">
                <input type="checkbox" data-testid="edit-graph" prop:checked=editor.is_on on:change=toggle/>
                {words().edit_graph}
            </label>
            <Show when=move || editor.is_on.get()>
                <span class="hint" role="status" data-testid="edit-says">{told}</span>
                <button data-testid="edit-root" disabled=lacks_word on:click=with_selected(Edit::Root)>
                    {words().edit_root}
                </button>
                <button
                    data-testid="edit-option-0"
                    disabled=lacks_word
                    on:click=with_selected(|word| Edit::Option(0, word))
                >
                    {words().edit_first}
                </button>
                <button
                    data-testid="edit-option-1"
                    disabled=lacks_word
                    on:click=with_selected(|word| Edit::Option(1, word))
                >
                    {words().edit_second}
                </button>
                <button data-testid="edit-new-word" disabled=lacks_word on:click=add_word>
                    {words().edit_new_word}
                </button>
                {move || editor.refusal.get().map(|text| view! {
                    <span class="warning" role="alert" data-testid="edit-refused">{text}</span>
                })}
            </Show>
        </div>
    }
}
