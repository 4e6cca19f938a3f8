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

    // Compose
    compose: "Compose a strategy", "Eine Strategie zusammensetzen";
    compose_name: "Name", "Name";
    compose_add: "+ part", "+ Teil";
    compose_kind: "What this part feeds", "Was dieser Teil einspeist";
    compose_steps: "At most so many steps", "Höchstens so viele Schritte";
    compose_remove: "Remove this part", "Diesen Teil entfernen";
    compose_hint: "The parts follow each other, then comes the answer. Part and name are in the address.", "Die Teile folgen einander, dann kommt die Antwort. Teile und Name stehen in der Adresse.";
    composed_option: "Composed …", "Zusammengesetzt …";
    part_words: "words", "Wörter";
    part_sampled: "words, drawn", "Wörter, gezogen";
    part_mixtures: "mixtures", "Mischungen";
    part_noisy: "mixtures with noise", "Mischungen mit Rauschen";
    part_thoughts: "thoughts", "Gedanken";
    part_pauses: "pauses", "Pausen";

    // Models that are brought
    open_model: "Open a model of your own", "Ein eigenes Modell öffnen";
    open_model_hint: "Drop a folder of Hugging Face's, its files or a .gguf anywhere on this page, or pick them here. Nothing of it leaves this device. Llama, Qwen2, Qwen3 and GPT-2 run.", "Lege einen Ordner von Hugging Face, seine Dateien oder eine .gguf irgendwo auf dieser Seite ab, oder wähle sie hier. Nichts davon verlässt dieses Gerät. Llama, Qwen2, Qwen3 und GPT-2 laufen.";
    open_files: "Files, or a .gguf", "Dateien oder eine .gguf";
    open_folder: "A folder", "Ein Ordner";
    open_address: "From an address", "Von einer Adresse";
    load: "Load", "Laden";
    address_alone: "An address that you type is the only thing that this page ever asks another host for.", "Eine Adresse, die du eingibst, ist das Einzige, wonach diese Seite je einen anderen Server fragt.";
    address_asks: "Load will ask {host}, which then knows your network address and what you load. Nothing else of this page leaves it.", "„Laden“ fragt {host}; der Server erfährt dann deine Netzadresse und was du lädst. Sonst verlässt nichts diese Seite.";
    address_https: "An address begins with https://.", "Eine Adresse beginnt mit https://.";
    format: "Weights", "Gewichte";
    format_fitting: "as the device allows", "wie das Gerät erlaubt";
    format_title: "How matrices are kept: f32 is exact; f16 and int8 take half and a quarter of it and are nearly so. It holds for the next model that is opened.", "Wie Matrizen gehalten werden: f32 ist genau; f16 und int8 brauchen die Hälfte und ein Viertel davon und sind es fast. Es gilt für das nächste Modell, das geöffnet wird.";
    use_model: "Use", "Benutzen";
    forget_model: "Clear", "Löschen";
    kept: "kept here", "hier behalten";
    only_now: "only until the page is closed", "nur bis die Seite geschlossen wird";
    beside_the_page: "{size}, comes with this page", "{size}, kommt mit dieser Seite";
    kept_in_files: "Kept in this browser's private files for this page; it works without a network.", "In den privaten Dateien dieses Browsers für diese Seite behalten; es geht ohne Netz.";
    kept_in_cache: "This browser gives the page no private files, so the models are kept in its Cache Storage; they work without a network.", "Dieser Browser gibt der Seite keine privaten Dateien, daher liegen die Modelle in seinem Cache Storage; es geht ohne Netz.";
    no_storage: "this browser keeps nothing for this page", "dieser Browser behält nichts für diese Seite";
    storage_full: "the storage is full: {needed} needed, {room} left", "der Speicher ist voll: {needed} nötig, {room} übrig";
    not_kept_title: "The model runs, but is not kept", "Das Modell läuft, wird aber nicht behalten";
    not_kept: "It is there until the page is closed: {reason}.", "Es ist da, bis die Seite geschlossen wird: {reason}.";
    not_forgotten: "The model could not be cleared", "Das Modell ließ sich nicht löschen";
    not_opened: "The model was not opened", "Das Modell wurde nicht geöffnet";
    open_again: "Nothing of it was kept. Open it again whenever you like.", "Nichts davon wurde behalten. Öffne es wieder, wann du willst.";
    open_check_network: "Check the network, then load it again. A host must allow other pages to read its files (CORS).", "Prüfe das Netz und lade es noch einmal. Ein Server muss anderen Seiten erlauben, seine Dateien zu lesen (CORS).";
    open_check_address: "Check the address: it must be the folder that holds config.json, or a .gguf file.", "Prüfe die Adresse: sie muss der Ordner mit config.json sein, oder eine .gguf-Datei.";
    open_another: "What was on the page is as it was. Open another file.", "Was auf der Seite war, ist wie vorher. Öffne eine andere Datei.";
    dropped_files: "what was dropped", "das Abgelegte";
    stop_loading: "Stop", "Anhalten";
    time_left: "{seconds} s left", "noch {seconds} s";
    recorded_runs: "No model at hand? These runs were recorded, and play without one:", "Kein Modell zur Hand? Diese Läufe wurden aufgezeichnet und spielen ohne eines:";
    chat: "Say it in the model's chat", "Im Chat des Modells sagen";
    chat_title: "On: the text is put into the model's chat template, as a question to it. Off: the model goes on with the text.", "An: der Text kommt in die Chat-Vorlage des Modells, als Frage an es. Aus: das Modell schreibt den Text weiter.";
    chat_off: "Switch \"Say it in the model's chat\" off, or open a model that was taught to chat.", "Schalte „Im Chat des Modells sagen“ aus, oder öffne ein Modell, das chatten gelernt hat.";
    said_in_chat: "Said to the model in its chat template.", "Dem Modell in seiner Chat-Vorlage gesagt.";
    goes_on: "The model goes on with this text.", "Das Modell schreibt diesen Text weiter.";
    kept_share: "The kept tokens, at most 32, hold {share} of the probability", "Die behaltenen Token, höchstens 32, haben {share} der Wahrscheinlichkeit";
    boxes_text: "Below is the text that a language model of your own reads; no model here is needed to watch a recording.", "Unten steht der Text, den ein eigenes Sprachmodell liest; für eine Aufzeichnung ist hier kein Modell nötig.";

    // Recordings
    playing: "A recording plays, made by {engine} with version {version}: nothing is computed here.", "Eine Aufzeichnung läuft, von {engine} mit Version {version}: hier wird nichts gerechnet.";
    playing_leave: "Compute it here", "Hier rechnen";
    recording_save: "Run as a recording", "Lauf als Aufzeichnung";
    recording_open: "Play a recording", "Aufzeichnung abspielen";
    recording_fails: "The recording cannot be played", "Die Aufzeichnung lässt sich nicht abspielen";
    engine_plays: "A recording", "Eine Aufzeichnung";
    test_plays: "a recording plays: nothing to compare", "eine Aufzeichnung läuft: nichts zu vergleichen";

    // The page
    tagline: "one small transformer, several ways to think", "ein kleiner Transformer, mehrere Arten zu denken";
    large_title: "Large letters, for a projector", "Große Schrift, für einen Beamer";
    large: "Large letters", "Große Schrift";
    theme_title: "Light or dark", "Hell oder dunkel";
    theme_label: "Switch between light and dark", "Zwischen hell und dunkel wechseln";
    the_run: "The run", "Der Lauf";
    pause: "❚❚ Pause", "❚❚ Pause";
    go_on: "▶ Go on", "▶ Weiter";
    run_again: "▶ Run again", "▶ Noch einmal";
    run: "▶ Run", "▶ Starten";
    step_title: "One step of every lane", "Ein Schritt jeder Bahn";
    step: "Step", "Schritt";
    reset_title: "Forget this run; problem and lanes stay", "Diesen Lauf vergessen; Aufgabe und Bahnen bleiben";
    reset: "Reset", "Zurücksetzen";
    speed: "Speed", "Tempo";
    thoughts_title: "Continuous thoughts of every lane that has any; where the lanes differ, all move together and keep their distance", "Stetige Gedanken jeder Bahn, die welche hat; wo sie sich unterscheiden, rücken alle gemeinsam und behalten ihren Abstand";
    thoughts: "Thoughts", "Gedanken";
    seed_title: "Seed of the noise: the same seed gives the same run", "Seed des Rauschens: derselbe Seed gibt denselben Lauf";
    seed: "Seed", "Seed";
    copy_title: "The address holds problem, lanes, settings and seed", "Die Adresse enthält Aufgabe, Bahnen, Einstellungen und Seed";
    task: "Task", "Aufgabenart";
    task_title: "What kind of problem", "Welche Art von Aufgabe";
    source_label: "Source of the problem", "Herkunft der Aufgabe";
    drawn_class: "Drawn: class size", "Gezogen: Klassengröße";
    drawn_official: "Drawn: official size", "Gezogen: offizielle Größe";
    number_title: "Number of the drawn problem", "Nummer der gezogenen Aufgabe";
    number: "No.", "Nr.";
    next: "Next", "Nächste";
    typed_label: "The problem and its question in English", "Die Aufgabe und ihre Frage auf Englisch";
    known_words: "The words that the lanes know", "Die Wörter, die die Bahnen kennen";
    whole_text: "The whole text", "Der ganze Text";
    first_one: "One question, asked of several lanes: each is the same small transformer, thinking in another way.", "Eine Frage an mehrere Bahnen: jede ist derselbe kleine Transformer, der auf andere Art denkt.";
    first_three: "Press Run, and watch what each lane has in mind, step by step.", "Starte, und sieh Schritt für Schritt, was jede Bahn im Sinn hat.";
    start_tour: "Start the tour", "Rundgang beginnen";
    dismiss_lines: "Dismiss these lines", "Diese Zeilen ausblenden";
    lane_settings_title: "Checkpoint, sampler settings and what this is", "Checkpoint, Sampler-Einstellungen und was das ist";
    remove_lane: "Remove this lane", "Diese Bahn entfernen";
    run_without: "Run without", "Ohne laufen lassen";
    checkpoint: "Checkpoint", "Checkpoint";
    how_often_right: "How often it was right", "Wie oft es richtig lag";
    numbers_title: "Thinking steps, the mean of their entropies at temperature 1 (as of how many equally likely words), and time in the engine", "Denkschritte, das Mittel ihrer Entropien bei Temperatur 1 (als wie viele gleich wahrscheinliche Wörter) und Zeit in der Engine";
    not_begun: "not begun", "nicht begonnen";
    done: "done", "fertig";
    reading: "reading the problem", "liest die Aufgabe";
    answering_decoder: "answering (decoder)", "antwortet (Decoder)";
    answering: "answering", "antwortet";
    contemplating: "contemplating (generator)", "kontempliert (Generator)";
    thinking_words: "thinking in words", "denkt in Wörtern";
    thinking_mixtures: "thinking in mixtures", "denkt in Mischungen";
    thinking_hidden: "thinking in hidden states", "denkt in verborgenen Zuständen";
    waiting: "waiting", "wartet";
    lanes: "Lanes", "Bahnen";
    lane_shown: "Lane that is shown", "Bahn, die gezeigt wird";
    add_lane_title: "Add a lane beside these", "Eine Bahn daneben stellen";
    add_lane: "+ lane", "+ Bahn";
    to_defaults: "Back to the defaults", "Zurück zu den Vorgaben";
    no_graph_yet: "The graph appears here when the text is a whole problem.", "Der Graph erscheint hier, sobald der Text eine ganze Aufgabe ist.";
    shaded_title: "The dots below a word are all lanes at once", "Die Punkte unter einem Wort sind alle Bahnen zugleich";
    shaded_by: "Shaded by", "Schattiert von";
    step_before: "The step before", "Der Schritt davor";
    step_before_title: "The step before (←)", "Der Schritt davor (←)";
    step_shown: "Step that is shown", "Schritt, der gezeigt wird";
    step_after: "The step after", "Der Schritt danach";
    step_after_title: "The step after (→)", "Der Schritt danach (→)";
    follow: "Follow", "Folgen";
    show_way: "For the teacher: show the way", "Für Lehrende: den Weg zeigen";
    chart_title: "Entropy of each step", "Entropie jedes Schritts";
    samplers_title: "What each lane's sampler draws from, at its temperature: thin lines. Cold Stop looks at these.", "Woraus der Sampler jeder Bahn zieht, bei seiner Temperatur: dünne Linien. Darauf schaut Cold Stop.";
    samplers_too: "the sampler's too", "auch die des Samplers";
    chart_label: "Entropy in nats, at temperature 1, at each step of every lane", "Entropie in Nats, bei Temperatur 1, bei jedem Schritt jeder Bahn";
    chart_empty: "Press Run: a curve for each lane", "Starten: eine Kurve je Bahn";
    chart_marks: "A answer begins · ❄ Cold Stop", "A Antwort beginnt · ❄ Cold Stop";
    chart_axis: "entropy H, nats (temperature 1)", "Entropie H, Nats (Temperatur 1)";
    chart_words: "words at once, e^H", "Wörter zugleich, e^H";
    shade_by_lane: "Shade the graph by this lane", "Den Graphen nach dieser Bahn schattieren";
    take_away: "Take away", "Mitnehmen";
    run_json: "Run as JSON", "Lauf als JSON";
    run_csv: "Run as CSV", "Lauf als CSV";
    frame: "Frame for another page", "Rahmen für eine andere Seite";
    tour: "Tour", "Rundgang";
    before: "Before", "Zurück";
    end_of_tour: "End of the tour", "Ende des Rundgangs";
    next_chapter: "Next chapter", "Nächstes Kapitel";
    leave_tour: "Leave the tour", "Rundgang verlassen";
    leave_tour_title: "Leave the tour; the set-up stays", "Den Rundgang verlassen; der Aufbau bleibt";
    go_on_reference: "Go on with the reference engine", "Mit der Referenz-Engine weitermachen";
    dismiss: "Dismiss", "Ausblenden";
    copy_link: "Copy link", "Link kopieren";
    copied: "Copied", "Kopiert";
    copy_from_bar: "Copy it from the address bar", "Aus der Adresszeile kopieren";
    one_a_second: "1 step a second", "1 Schritt je Sekunde";
    so_many_a_second: "{n} steps a second", "{n} Schritte je Sekunde";
    as_fast: "as fast as it goes", "so schnell es geht";
    status_idle: "idle", "bereit";
    status_running: "running", "läuft";
    status_paused: "paused", "angehalten";
    status_done: "done", "fertig";
    step_number: "Step {n}", "Schritt {n}";
    newest: "Newest", "Neuester";
    fetching_accuracies: "How often it was right: fetching …", "Wie oft es richtig lag: wird geladen …";
    boxes_graph: "Boxes are things, an arrow says that one is another: follow the arrows from the thick box to one of the two dashed ones.", "Kästen sind Dinge, ein Pfeil sagt, dass eines ein anderes ist: folge den Pfeilen vom dicken Kasten zu einem der beiden gestrichelten.";
    boxes_story: "The story below is all that a lane reads; its last line is the question.", "Die Geschichte unten ist alles, was eine Bahn liest; ihre letzte Zeile ist die Frage.";

    // Interventions
    at_this_step: "What to do at this step", "Was bei diesem Schritt zu tun ist";
    after_step: "A copy of this lane in which, after step {n}:", "Eine Kopie dieser Bahn, in der nach Schritt {n}:";
    no_room: " (there is no room for another lane)", " (für eine weitere Bahn ist kein Platz)";
    do_zero: "nothing is fed (zeros)", "nichts eingespeist wird (Nullen)";
    do_noise: "noise is added", "Rauschen dazukommt";
    do_shuffle: "its numbers are shuffled", "die Zahlen gemischt werden";
    do_freeze: "the input before is repeated", "die Eingabe davor wiederholt wird";
    do_nearest: "the nearest word is fed", "das nächste Wort eingespeist wird";
    do_swap: "another lane's input is fed …", "die Eingabe einer anderen Bahn …";
    do_force: "this word is fed", "dieses Wort eingespeist wird";
    lane_number: "of lane {n}", "von Bahn {n}";
    go_on_thinking: "Think on from there", "Von dort weiterdenken";
    go_on_answering: "Answer from there", "Von dort antworten";
    mix_by_hand: "The mixture by hand", "Die Mischung von Hand";
    do_mix: "Feed this mixture", "Diese Mischung einspeisen";
    take_back: "Take this change back", "Diese Änderung zurücknehmen";
    run_settings: "Settings of the run", "Einstellungen des Laufs";
    close_sheet: "Close", "Schließen";
}
