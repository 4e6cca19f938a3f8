//! The rows: a name, English, German.

use latent_model::address::Language;

macro_rules! words {
    ($($name:ident: $english:expr, $german:expr;)*) => {
        /// The page's texts in one language.
        #[derive(Debug)]
        #[allow(missing_docs)] // Each name is its English in short.
        pub struct Words {
            $(pub $name: &'static str,)*
        }

        static ENGLISH: Words = Words { $($name: $english,)* };
        static GERMAN: Words = Words { $($name: $german,)* };

        /// Name, English, German of every row.
        #[cfg(test)]
        pub(super) const ROWS: &[(&str, &str, &str)] = &[
            $((stringify!($name), $english, $german),)*
        ];
    };
}

impl Words {
    /// The texts in a language.
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }
}

words! {
    // Engines
    opening_gpu: "opening the GPU …", "öffnet die GPU …";
    measuring_engines: "measuring which engine is faster …", "misst, welche Engine schneller ist …";
    engine_gpu: "WebGPU · {adapter}", "WebGPU · {adapter}";
    engine_reference: "Reference engine on the CPU", "Referenz-Engine auf der CPU";
    engine_gpu_title: "Handwritten WGSL kernels on this adapter", "Handgeschriebene WGSL-Kernel auf diesem Adapter";
    engine_choice: "Engine", "Engine";
    engine_auto: "the faster one", "die schnellere";
    engine_choose_gpu: "GPU", "GPU";
    engine_choose_cpu: "CPU", "CPU";
    engine_measured: "Measured at the start, steps a second: GPU {gpu}, CPU {cpu}.", "Beim Start gemessen, Schritte je Sekunde: GPU {gpu}, CPU {cpu}.";
    no_gpu_used: "No GPU is used: {reason}", "Keine GPU in Gebrauch: {reason}";
    cpu_is_faster: "the CPU is faster here than {adapter}. {measured}", "die CPU ist hier schneller als {adapter}. {measured}";
    cpu_was_asked_for: "the CPU was chosen, on this page or by its address", "die CPU wurde gewählt, auf dieser Seite oder durch ihre Adresse";
    fallback_title: "Running on the reference engine, on the CPU. ", "Es rechnet die Referenz-Engine, auf der CPU. ";
    fallback_same_slower: "It computes the same, only more slowly. Why?", "Sie rechnet dasselbe, nur langsamer. Warum?";
    fallback_same_faster: "It computes the same, and faster here than the GPU. Why?", "Sie rechnet dasselbe, und hier schneller als die GPU. Warum?";
    fallback_same: "It computes the same. Why?", "Sie rechnet dasselbe. Warum?";

    // Arena
    arena: "Arena: many problems a lane", "Arena: viele Aufgaben je Bahn";
    arena_hint: "Every lane runs the same problems on this device; the shares are those that latent eval prints, with Wilson's 95 % interval.", "Jede Bahn rechnet dieselben Aufgaben auf diesem Gerät; die Anteile sind die von latent eval, mit Wilsons 95-%-Intervall.";
    arena_size: "Size", "Größe";
    arena_class: "class", "Klasse";
    arena_official: "official", "offiziell";
    arena_problems: "Problems", "Aufgaben";
    arena_samples: "Runs of each", "Läufe je Aufgabe";
    arena_sweep: "sweep thoughts 0 to 8", "Gedanken 0 bis 8 durchgehen";
    arena_start: "Start", "Start";
    arena_stop: "Stop", "Anhalten";
    arena_resume: "Resume", "Weiter";
    arena_csv: "Table as CSV", "Tabelle als CSV";
    arena_markdown: "Table as Markdown", "Tabelle als Markdown";
    arena_lane: "lane", "Bahn";
    arena_right: "right", "richtig";
    arena_interval: "share right (95 %)", "Anteil richtig (95 %)";
    arena_done: "runs", "Läufe";
    arena_malformed: "no answer", "keine Antwort";
    arena_steps: "thinking steps", "Denkschritte";
    arena_histogram: "right runs of a problem", "richtige Läufe je Aufgabe";
    arena_command: "the same on the command line", "dasselbe auf der Kommandozeile";
    arena_progress: "{done} of {total} runs, seed {seed}", "{done} von {total} Läufen, Seed {seed}";
    arena_p_right: "share right", "Anteil richtig";
    arena_thoughts: "thoughts", "Gedanken";
    arena_sweep_title: "Share right against the number of thoughts", "Anteil richtig gegen die Zahl der Gedanken";
    arena_failed: "The arena stopped: {error}", "Die Arena hat angehalten: {error}";
    arena_no_lanes: "There is no lane to run.", "Es gibt keine Bahn, die laufen könnte.";

    // Graph
    as_table: "As a table", "Als Tabelle";
    edit_graph: "Edit the graph", "Graph bearbeiten";
    edit_choose: "Choose a word, then another one: the arrow between them comes or goes.", "Ein Wort wählen, dann ein anderes: der Pfeil dazwischen kommt oder geht.";
    edit_chosen: "From {word}: choose where an arrow leads, or", "Von {word}: wählen, wohin ein Pfeil führt, oder";
    edit_root: "Start here", "Hier beginnen";
    edit_first: "First option", "Erste Möglichkeit";
    edit_second: "Second option", "Zweite Möglichkeit";
    edit_new_word: "Arrow to a new word", "Pfeil zu einem neuen Wort";
    graph_label: "The problem's graph: every arrow says that one thing is another", "Der Graph der Aufgabe: jeder Pfeil sagt, dass eines ein anderes ist";
    graph_as_table: "The graph as a table", "Der Graph als Tabelle";
    chart_as_table: "The chart as a table", "Das Diagramm als Tabelle";
    by_arrival: "Colour by first arrival", "Nach erstem Eintreffen färben";
    by_arrival_title: "Each word in the colour of the thought at which it first had 5 % of the shading lane's mind", "Jedes Wort in der Farbe des Gedankens, bei dem es zuerst 5 % hatte";
    arrived_with: "{name}: first with thought {n}", "{name}: zuerst bei Gedanke {n}";
    contemplation_has_no_frontier: "Contemplation tokens stand for words of a written solution, not for a search: no share of the graph is told.", "Kontemplations-Token stehen für Wörter einer geschriebenen Lösung, nicht für eine Suche: kein Anteil am Graphen.";

    // For a class
    for_a_class: "For a class", "Für eine Klasse";
    for_a_class_hint: "All of this is in the address: whoever opens it sees the page so.", "All das steht in der Adresse: wer sie öffnet, sieht die Seite so.";
    predict_first: "predict first", "zuerst vorhersagen";
    hide_answers: "cover the answers", "Antworten verdecken";
    hide_controls: "hide the controls", "Bedienung verbergen";
    run_at_once: "run at once when opened", "beim Öffnen gleich laufen";
    full_screen: "Full screen", "Vollbild";
    reveal: "Reveal the answers", "Antworten aufdecken";
    show_controls: "Show the controls", "Bedienung zeigen";
    covered: "covered", "verdeckt";
    your_answer: "Your prediction", "Deine Vorhersage";
    predict_asks: "What is the answer?", "Was ist die Antwort?";
    predict_commit: "Commit to an answer, and the run begins.", "Lege dich fest, dann beginnt der Lauf.";
    predict_again: "Predict again", "Neu vorhersagen";
    predicted: "Your prediction: {answer}.", "Deine Vorhersage: {answer}.";
    predicted_right: "Your prediction, {answer}, is right; {right} of {lanes} lanes are.", "Deine Vorhersage, {answer}, ist richtig; von {lanes} Bahnen sind es {right}.";
    predicted_wrong: "Your prediction, {answer}, is wrong; {right} of {lanes} lanes are right.", "Deine Vorhersage, {answer}, ist falsch; von {lanes} Bahnen sind {right} richtig.";
    commit_first: "Commit to an answer first", "Lege dich zuerst auf eine Antwort fest";
    language: "Language", "Sprache";

    // Without a network
    offline_kept: "Kept on this device: the page and the checkpoints that it has loaded work without a network.", "Auf diesem Gerät behalten: die Seite und die geladenen Checkpoints gehen ohne Netz.";
    offline_not_kept: "The page is not kept for use without a network: {reason}.", "Die Seite ist nicht für den Gebrauch ohne Netz behalten: {reason}.";
    update_waits: "A newer version of this page is here.", "Eine neuere Fassung dieser Seite ist da.";
    update_load: "Load it", "Laden";
}
