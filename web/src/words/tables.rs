//! German for the tables of `latent_model`, by their names there: strategies, settings, verdicts.
//! The names of methods are the same in both languages.

use latent_model::{
    address::{ChangeKind, Language},
    strategy::{COMPOSED, PartKind, Setting, Strategy},
    tasks::{Difficulty, Grade, Task},
};

use super::{current_language, words};

/// A strategy's sentence by its name.
const STRATEGIES: &[(&str, &str)] = &[
    (
        "token-cot",
        "Denkt in Wörtern und nimmt jedes Mal das wahrscheinlichste.",
    ),
    (
        "token-cot-sampled",
        "Denkt in Wörtern, die zufällig aus der Verteilung des Modells gezogen werden.",
    ),
    (
        "token-cot-cold-stop",
        "Kontrolle für Soft Thinking: einfach die wahrscheinlichsten Wörter, aber mit seiner Abbruchregel.",
    ),
    (
        "soft",
        "Denkt in Mischungen von Wörtern, nach Wahrscheinlichkeit gewichtet.",
    ),
    (
        "soft-gumbel",
        "Soft Thinking mit Gumbel-Softmax-Rauschen auf der Mischung.",
    ),
    (
        "soft-dirichlet",
        "Soft Thinking mit Gewichten, die um die Wahrscheinlichkeiten herum gezogen werden.",
    ),
    ("no-cot", "Antwortet sofort."),
    (
        "pause",
        "Wartet einige <pause>-Token lang und antwortet dann.",
    ),
    (
        "coconut",
        "Denkt in stetigen Gedanken: sein letzter verborgener Zustand ist seine nächste Eingabe.",
    ),
    (
        "coconut-classifier",
        "Coconut, dessen eigener Klassifikator jeden verborgenen Zustand ansieht und sagt, wann geantwortet wird.",
    ),
    (
        "ccot",
        "Denkt in wenigen Kontemplations-Token, die für eine ganze Kette von Wörtern stehen, bis es selbst sagt, dass es fertig ist.",
    ),
    (
        "ccot-fixed",
        "Kontrolle für CCOT: denkt in einer vorgegebenen Zahl von Kontemplations-Token.",
    ),
    (
        COMPOSED.name,
        "Phasen, die jemand zusammengesetzt hat, und dann die Antwort.",
    ),
];

/// A setting's label and its line by its key.
const SETTINGS: &[(&str, &str, &str)] = &[
    (
        "temperature",
        "Temperatur",
        "Teilt die Logits; 0 nimmt immer das Wahrscheinlichste. Paper: 0,6.",
    ),
    (
        "top_k",
        "Top-k",
        "Behält die k wahrscheinlichsten Token. Paper: 30.",
    ),
    (
        "top_p",
        "Top-p",
        "Behält die kleinste Menge von Token mit dieser Masse. Paper: 0,95.",
    ),
    (
        "min_p",
        "Min-p",
        "Lässt Token unter diesem Bruchteil des wahrscheinlichsten weg. Paper: 0,001 oder 0.",
    ),
    (
        "max_concepts",
        "Konzepte je Mischung",
        "Größte Zahl von Token, die zu einem Konzept-Token gemischt werden. Paper: 10 bis 15.",
    ),
    (
        "tau",
        "Gumbel-τ",
        "Temperatur von Gumbel-Softmax: klein ist fast ein Token, groß ist fast gleich verteilt. Paper: 0,5.",
    ),
    (
        "alpha",
        "Dirichlet-α",
        "Konzentration: klein ist viel Rauschen, groß ist keines. Paper: 4.",
    ),
    (
        "cold_entropy",
        "Entropie von Cold Stop",
        "Das Denken wird abgebrochen, wenn die Entropie (Nats) darunter bleibt; 0 ist aus. Paper: 0,01.",
    ),
    (
        "cold_patience",
        "Geduld von Cold Stop",
        "So viele Schritte in Folge. Paper: 256 bei Ketten aus Tausenden von Token; unsere haben ein Dutzend.",
    ),
    (
        "end_threshold",
        "Schwelle für das Ende",
        "Das Denken endet, sobald der Klassifikator mindestens so sicher ist. Trainiert ist er für 0,5.",
    ),
    (
        "thoughts",
        "Gedanken",
        "Zahl der stetigen Gedanken zwischen <bot> und <eot>. Paper: 6.",
    ),
    (
        "pauses",
        "Pausen",
        "Zahl der <pause>-Token vor der Antwort. Paper: so viele wie Gedanken.",
    ),
    (
        "contemplation_tokens",
        "Kontemplations-Token",
        "Zahl der Kontemplations-Token. Paper: r mal die der Kette, die nur kennt, wer sie schreibt.",
    ),
    (
        "max_chain",
        "Längste Kette",
        "Das Denken wird nach so vielen Schritten abgebrochen, wie für eine Kette aus so vielen Token stehen: r mal diese Zahl. Paper: 200.",
    ),
    (
        "max_think",
        "Längstes Denken",
        "Das Denken wird nach so vielen Schritten abgebrochen.",
    ),
    (
        "max_answer",
        "Längste Antwort",
        "Die Antwort wird nach so vielen Token abgebrochen.",
    ),
];

/// What a checkpoint lacks, by the catalogue's own words.
const LACKS: &[(&str, &str)] = &[
    (
        "Needs adapters that contemplate, which this checkpoint lacks",
        "Braucht Adapter, die kontemplieren; dieser Checkpoint hat keine",
    ),
    (
        "Needs a classifier that says when to stop, which this checkpoint lacks",
        "Braucht einen Klassifikator, der sagt, wann Schluss ist; dieser Checkpoint hat keinen",
    ),
];

/// The text that stands beside a name in a table, where the page is German. A test looks after
/// every name.
fn german(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    let found = table.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, german)| *german)
        .filter(|_| current_language() == Language::German)
}

/// A strategy's sentence.
pub fn strategy_summary(strategy: &'static Strategy) -> &'static str {
    german(STRATEGIES, strategy.name).unwrap_or(strategy.summary)
}

/// A setting's label and its line.
pub fn setting_words(setting: Setting) -> (&'static str, &'static str) {
    let spec = setting.spec();
    let found = SETTINGS.iter().find(|(key, ..)| *key == spec.key);
    match (current_language(), found) {
        (Language::German, Some((_, label, explanation))) => (label, explanation),
        _ => (spec.label, spec.explanation),
    }
}

/// A setting's label inside a lane's name, where English begins no word with a capital.
pub fn setting_in_name(setting: Setting) -> String {
    let (label, _) = setting_words(setting);
    match current_language() {
        Language::English => label.to_lowercase(),
        Language::German => label.into(),
    }
}

/// What a part of a composed strategy feeds.
pub fn part_word(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Words => words().part_words,
        PartKind::Sampled => words().part_sampled,
        PartKind::Mixtures => words().part_mixtures,
        PartKind::Noisy => words().part_noisy,
        PartKind::Thoughts => words().part_thoughts,
        PartKind::Pauses => words().part_pauses,
    }
}

/// What becomes of an input, in a word.
pub fn change_word(kind: &ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Zero => words().change_zero,
        ChangeKind::Noise(..) => words().change_noise,
        ChangeKind::Shuffle(_) => words().change_shuffle,
        ChangeKind::Freeze => words().change_freeze,
        ChangeKind::Nearest => words().change_nearest,
        ChangeKind::Force(_) => words().change_force,
        ChangeKind::Mix(_) => words().change_mix,
        ChangeKind::Swap(_) | ChangeKind::SwapProblem(..) => words().change_swap,
    }
}

/// How large problems are, in a word.
pub fn difficulty_word(difficulty: Difficulty) -> &'static str {
    match difficulty {
        Difficulty::Class => words().arena_class,
        Difficulty::Official => words().arena_official,
    }
}

/// A task's title.
pub fn task_title(task: Task) -> &'static str {
    match current_language() {
        Language::English => task.title(),
        Language::German => task.german_title(),
    }
}

/// What a checkpoint lacks for a strategy.
pub fn lacks_text(english: &'static str) -> &'static str {
    german(LACKS, english).unwrap_or(english)
}

/// The grader's word.
pub fn verdict_word(grade: Grade) -> &'static str {
    match grade {
        Grade::Right => words().right,
        Grade::Wrong => words().wrong,
        Grade::Malformed => words().malformed,
    }
}

#[cfg(test)]
mod tests {
    use latent_model::{
        catalogue::Entry,
        strategy::{SETTINGS as MODEL_SETTINGS, STRATEGIES as MODEL_STRATEGIES},
        tasks::prosqa,
    };

    use super::*;
    use crate::words::speak;

    /// A strategy or setting without German fails here.
    #[test]
    fn every_row_of_the_models_tables_has_its_german() {
        speak(Language::German);
        for strategy in MODEL_STRATEGIES.iter().chain([&COMPOSED]) {
            let found = strategy_summary(strategy);
            assert_ne!(found, strategy.summary, "{}", strategy.name);
        }
        for spec in MODEL_SETTINGS {
            let (_, explanation) = setting_words(spec.setting);
            assert_ne!(explanation, spec.explanation, "{}", spec.key);
        }
        let plain = Entry {
            name: "a".into(),
            title: String::new(),
            task: prosqa::TASK,
            summary: String::new(),
            strategies: Vec::new(),
            params: 0,
            bytes: 0,
            adapters: Vec::new(),
        };
        for english in MODEL_STRATEGIES.iter().filter_map(|row| plain.lacks(row)) {
            assert_ne!(lacks_text(english), english);
        }
        speak(Language::English);
        let first = &MODEL_STRATEGIES[0];
        assert_eq!(strategy_summary(first), first.summary);
    }
}
