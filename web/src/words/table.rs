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
    trying_gpu: "Reference engine on the CPU, the GPU is being tried …", "Referenz-Engine auf der CPU, die GPU wird erprobt …";
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
    webgpu_needs_https: "WebGPU needs https or localhost, and this page came over plain http", "WebGPU braucht https oder localhost, und diese Seite kam über bloßes http";
    no_webgpu: "this browser has no WebGPU", "dieser Browser hat kein WebGPU";
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
    fill_screen: "full screen at the first click", "Vollbild beim ersten Klick";
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
    composed: "Composed", "Zusammengesetzt";
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
    brought_from: "A model that was brought here: {from}", "Ein mitgebrachtes Modell: {from}";
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
    cannot_chat: "The model cannot be spoken to", "Mit dem Modell lässt sich nicht sprechen";
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
    drawn_class: "Drawn: class size", "Gezogen: Klasse";
    drawn_official: "Drawn: official size", "Gezogen: offiziell";
    official_problem: "Official: {title}", "Offiziell: {title}";
    typed: "Typed", "Eingetippt";
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
    how_often_right: "How often it was right otherwise", "Wie oft es sonst richtig lag";
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
    do_swap_problem: "another problem's input is fed", "die Eingabe einer anderen Aufgabe kommt";
    other_problem_label: "Number of the other problem", "Nummer der anderen Aufgabe";
    lane_number: "of lane {n}", "von Bahn {n}";
    go_on_thinking: "Think on from there", "Von dort weiterdenken";
    go_on_answering: "Answer from there", "Von dort antworten";
    mix_by_hand: "The mixture by hand", "Die Mischung von Hand";
    do_mix: "Feed this mixture", "Diese Mischung einspeisen";
    take_back: "Take this change back", "Diese Änderung zurücknehmen";
    run_settings: "Settings of the run", "Einstellungen des Laufs";
    close_sheet: "Close", "Schließen";

    // Messages
    panel_comes: "Coming …", "Kommt …";
    panel_missing: "The panel cannot be opened", "Das Feld lässt sich nicht öffnen";
    panel_missing_advice: "Check the network, then try again there. If that does not help, reload the page: the site may have a newer version.", "Das Netz prüfen, dann dort noch einmal versuchen. Hilft das nicht, die Seite neu laden: es mag eine neuere Version geben.";
    fetch_again: "Try again", "Noch einmal versuchen";
    loading_lists: "Loading the list of checkpoints …", "Lädt die Liste der Checkpoints …";
    lists_missing: "The page did not load all of its files", "Die Seite hat nicht alle ihre Dateien geladen";
    lists_missing_advice: "Check the network, then reload the page.", "Das Netz prüfen, dann die Seite neu laden.";
    address_not_understood: "The address was not understood", "Die Adresse wurde nicht verstanden";
    address_not_understood_advice: "The page opened with its default lanes instead. The address stays as it is until you change something on the page.", "Die Seite hat stattdessen ihre üblichen Bahnen geöffnet. Die Adresse bleibt, wie sie ist, bis du auf der Seite etwas änderst.";
    address_changed_nothing: "Nothing on the page was changed.", "Auf der Seite wurde nichts geändert.";
    left_out: "Not everything of the address is on this page", "Nicht alles aus der Adresse ist auf dieser Seite";
    left_out_advice: "All else in it was kept. The address stays as it is until you change something on the page.", "Alles andere daraus wurde übernommen. Die Adresse bleibt, wie sie ist, bis du auf der Seite etwas änderst.";
    left_out_task: "No checkpoint of the task {task} ships with this page, so no lane can run on it; there are some of: {known}.", "Zur Aufgabenart {task} liegt dieser Seite kein Checkpoint bei, also kann keine Bahn darauf laufen; es gibt welche zu: {known}.";
    left_out_lane: "Lane {n} ({label}) was left out: {model} is a checkpoint of the task {of}, and the page's task is {task}.", "Bahn {n} ({label}) wurde weggelassen: {model} ist ein Checkpoint der Aufgabenart {of}, und die der Seite ist {task}.";
    left_out_rest: "The address has {n} lanes and a page holds {most}; the rest was left out.", "Die Adresse hat {n} Bahnen, und eine Seite fasst {most}; der Rest wurde weggelassen.";
    left_out_source: "Lane {n} looked at lane {of}, which was left out; it runs on its own.", "Bahn {n} sah auf Bahn {of}, die weggelassen wurde; sie läuft für sich.";
    checkpoint_not_here: "A checkpoint is not on this site", "Ein Checkpoint ist nicht auf dieser Website";
    checkpoint_not_loaded: "A checkpoint did not load", "Ein Checkpoint ließ sich nicht laden";
    checkpoint_unusable: "A checkpoint cannot be used", "Ein Checkpoint ist nicht zu gebrauchen";
    checkpoint_advice: "Choose another one in the lane's settings, or remove the lane.", "In den Einstellungen der Bahn einen anderen wählen oder die Bahn entfernen.";
    network_advice: "Check the network and press Run again.", "Das Netz prüfen und noch einmal starten.";
    unreadable_problem: "The model cannot read this problem", "Das Modell kann diese Aufgabe nicht lesen";
    unreadable_problem_advice: "Change the word in the problem's text, then press Run.", "Das Wort im Text der Aufgabe ändern, dann starten.";
    lane_cannot_run: "A lane cannot run", "Eine Bahn kann nicht laufen";
    lane_cannot_run_advice: "Change the lane's settings or remove it, then press Run.", "Die Einstellungen der Bahn ändern oder sie entfernen, dann starten.";
    run_stopped: "The run stopped", "Der Lauf hat angehalten";
    run_stopped_advice: "Press Run to begin again.", "Starten, um neu zu beginnen.";
    gpu_too_small: "This GPU has no room for the lanes", "Diese GPU hat keinen Platz für die Bahnen";
    gpu_too_small_advice: "Remove lanes or choose smaller checkpoints, or go on with the reference engine, which computes the same on the CPU.", "Bahnen entfernen oder kleinere Checkpoints wählen, oder mit der Referenz-Engine weitermachen, die dasselbe auf der CPU rechnet.";
    gpu_stopped: "The GPU stopped working", "Die GPU arbeitet nicht mehr";
    gpu_stopped_advice: "Reload the page to try the GPU again, or go on with the reference engine, which computes the same on the CPU. Nothing that you set or typed is lost.", "Die Seite neu laden, um es noch einmal mit der GPU zu versuchen, oder mit der Referenz-Engine weitermachen, die dasselbe auf der CPU rechnet. Nichts von dem, was du eingestellt oder getippt hast, geht verloren.";
    gpu_renewed: "The GPU's device was lost", "Das Gerät der GPU ging verloren";
    gpu_renewed_advice: "What ran was taken up on a new device, from the inputs that were recorded.", "Was lief, wurde auf einem neuen Gerät fortgesetzt, aus den aufgezeichneten Eingaben.";
    gpu_given_up: "The GPU was lost, and the CPU goes on", "Die GPU ging verloren, und die CPU macht weiter";
    gpu_given_up_advice: "What ran was taken up by the reference engine, from the inputs that were recorded.", "Was lief, wurde von der Referenz-Engine fortgesetzt, aus den aufgezeichneten Eingaben.";
    gpu_disagrees: "The GPU computes something else than the CPU", "Die GPU rechnet etwas anderes als die CPU";
    gpu_disagrees_advice: "Runs go to the reference engine, on the CPU; please report the adapter's name.", "Es rechnet die Referenz-Engine, auf der CPU; bitte den Namen des Adapters melden.";
    loading_file: "Loading {name}: {received}", "Lädt {name}: {received}";
    loading_file_of: "Loading {name}: {received} of {total}", "Lädt {name}: {received} von {total}";
    no_verdict: "No verdict: {reason}", "Kein Urteil: {reason}";
    no_graph_no_verdict: "No graph and no verdict: {reason}", "Kein Graph und kein Urteil: {reason}";

    // Self-test
    test_waits: "self-test: waiting", "Selbsttest: wartet";
    test_runs: "self-test: running …", "Selbsttest: läuft …";
    test_not_needed: "no WebGPU in use: the reference engine runs, nothing to compare", "kein WebGPU in Gebrauch: die Referenz-Engine läuft, nichts zu vergleichen";
    test_not_possible: "no self-test: {reason}", "kein Selbsttest: {reason}";
    test_failed: "self-test failed: {error}", "Selbsttest misslungen: {error}";
    test_no_checkpoint: "no checkpoint is loaded", "kein Checkpoint ist geladen";
    test_agrees: "GPU agrees with CPU, max difference {difference} in {checkpoint}", "GPU und CPU stimmen überein, größter Unterschied {difference} in {checkpoint}";
    test_disagrees: "GPU disagrees with CPU at {what}, max difference {difference} in {checkpoint}", "GPU und CPU unterscheiden sich bei {what}, größter Unterschied {difference} in {checkpoint}";

    // Tour
    chapter_head: "{n} of {total}: {title}", "{n} von {total}: {title}";
    chapter_commit: "Commit to an answer, and the run begins. Space goes on without one.", "Lege dich fest, dann beginnt der Lauf. Die Leertaste geht ohne weiter.";
    chapter_runs: "Running …", "Läuft …";
    chapter_as_predicted: "As you predicted. {reveal}", "Wie vorhergesagt. {reveal}";
    chapter_otherwise: "You predicted: {option}. {reveal}", "Vorhergesagt: {option}. {reveal}";

    // Lanes
    lane_named: "Lane {name}", "Bahn {name}";
    settings_of_lane: "Settings of lane {n}", "Einstellungen von Bahn {n}";
    remove_lane_n: "Remove lane {n}", "Bahn {n} entfernen";
    strategy_of_lane: "Strategy of lane {n}", "Strategie von Bahn {n}";
    untrained: "⚠ {model} was not trained for this strategy.", "⚠ {model} wurde für diese Strategie nicht trainiert.";
    ended_early: "Ended early by Cold Stop, after {n} thinking steps.", "Von Cold Stop früh beendet, nach {n} Denkschritten.";
    contemplates_with: "CCOT: the base reads the problem, the generator contemplates and the decoder answers. What is fed is the state after layer ℓ = {layer}, counted from 0; r = {ratio} steps stand for each token of a written solution.", "CCOT: die Basis liest die Aufgabe, der Generator kontempliert und der Decoder antwortet. Eingespeist wird der Zustand nach Schicht ℓ = {layer}, von 0 an gezählt; r = {ratio} Schritte stehen für jedes Token einer geschriebenen Lösung.";
    adapters: "Adapters (r)", "Adapter (r)";
    accuracy: "{problems}: {value} % right (n {n}, 95 % interval {low}–{high} %)", "{problems}: {value} % richtig (n {n}, 95-%-Intervall {low}–{high} %)";
    accuracy_not_measured: "How often it was right with this strategy was not measured.", "Wie oft es mit dieser Strategie richtig lag, wurde nicht gemessen.";
    accuracies_unknown: "How often it was right is not known: {error}", "Wie oft es richtig lag, ist nicht bekannt: {error}";
    lane_numbers: "{n} thinking{entropy} · {seconds} s", "{n} Denkschritte{entropy} · {seconds} s";
    lane_mean_entropy: " · ⌀ {nats} nats, {words} words", " · ⌀ {nats} Nats, {words} Wörter";
    change_at: "{change} at {step}", "{change} bei {step}";
    change_zero: "zero", "Nullen";
    change_noise: "noise", "Rauschen";
    change_shuffle: "shuffle", "gemischt";
    change_freeze: "freeze", "wiederholt";
    change_nearest: "nearest", "nächstes Wort";
    change_force: "force", "erzwungen";
    change_mix: "mix", "Mischung";
    change_swap: "swap", "Tausch";
    fork: "from lane {lane} step {step}", "von Bahn {lane} Schritt {step}";
    fork_answering: "from lane {lane} step {step}, answering", "von Bahn {lane} Schritt {step}, mit der Antwort";
    lane_draws: "draws {n}", "Ziehungen {n}";
    change_problem: "swap with problem {seed} ({size}) at {step}", "Tausch mit Aufgabe {seed} ({size}) bei {step}";
    change_not_made: ": not done, the run ended at step {n}", ": nicht geschehen, der Lauf endete bei Schritt {n}";
    same_answer: "The same answer as lane {n}, without it.", "Dieselbe Antwort wie Bahn {n}, ohne das.";
    other_answer: "Another answer than lane {n}, without it.", "Eine andere Antwort als Bahn {n}, ohne das.";
    right: "right", "richtig";
    wrong: "wrong", "falsch";
    malformed: "malformed", "keine Antwort";
    announce_no_verdict: "no verdict", "kein Urteil";
    announce_lane: "Lane {name}: {verdict}.", "Bahn {name}: {verdict}.";
    announce_done: "The run is done. {lanes}", "Der Lauf ist fertig. {lanes}";
    as_number: "{label}, as a number", "{label}, als Zahl";
    step_reached: " · step {n}", " · Schritt {n}";

    // Steps
    row_marker: "marker", "Marke";
    row_word: "word", "Wort";
    row_mixture: "mixture", "Mischung";
    row_thought: "thought {n}, decoded", "Gedanke {n}, decodiert";
    row_pause: "pause", "Pause";
    row_answer: "word of the answer", "Wort der Antwort";
    row_sentence: "Step {n}, {kind}: {words}", "Schritt {n}, {kind}: {words}";
    row_entropy: "entropy {nats} nats", "Entropie {nats} Nats";
    mark_forced: "forced", "gesetzt";
    mark_chosen: "chosen", "gewählt";
    mark_cold_stop: "Cold Stop", "Cold Stop";
    mark_classifier: "classifier", "Klassifikator";
    mark_cap: "full length", "volle Länge";
    mark_forced_why: "The program put this marker here; the model was not asked.", "Das Programm hat diese Marke gesetzt; das Modell wurde nicht gefragt.";
    mark_chosen_why: "The model chose this marker itself, which ends the phase.", "Das Modell hat diese Marke selbst gewählt; sie beendet die Phase.";
    mark_cold_stop_why: "The entropy stayed low for long enough, so thinking was ended.", "Die Entropie blieb lange genug niedrig, also wurde das Denken beendet.";
    mark_classifier_why: "The model's own classifier said that it had thought enough.", "Der eigene Klassifikator des Modells sagte, es habe genug gedacht.";
    mark_cap_why: "The phase had used all its steps.", "Die Phase hatte alle ihre Schritte verbraucht.";
    row_entropy_title: "Entropy at temperature 1, in nats: as of {words} equally likely words{sampler}", "Entropie bei Temperatur 1, in Nats: wie von {words} gleich wahrscheinlichen Wörtern{sampler}";
    row_sampler_title: "; {nats} nats at the sampler's temperature", "; {nats} Nats bei der Temperatur des Samplers";
    enough: "enough: {share}", "genug: {share}";
    enough_title: "How sure the model's own classifier is that it has thought enough", "Wie sicher der eigene Klassifikator des Modells ist, dass es genug gedacht hat";
    norms: "‖h‖ {norm} · words {mean}", "‖h‖ {norm} · Wörter {mean}";
    norms_title: "Norm of this hidden state, beside the mean norm of a word's embedding", "Norm dieses verborgenen Zustands, neben der mittleren Norm der Einbettung eines Worts";
    search_over: "search over", "Suche vorbei";
    search_ring: "search: {words}", "Suche: {words}";
    search_title: "The frontier of a breadth-first search after as many steps, and where this thought's mass lies", "Die Front einer Breitensuche nach ebenso vielen Schritten, und wo die Masse dieses Gedankens liegt";
    before_noise: "before noise", "vor dem Rauschen";
    before_noise_title: "Probabilities before the noise", "Wahrscheinlichkeiten vor dem Rauschen";
    fed: "fed", "eingespeist";
    all_others: "all others", "alle anderen";
    stands_for: "for {word}", "für {word}";
    stands_for_title: "The token of the written solution that the contemplation token read in this row was trained to stand for; it decodes to what comes after", "Das Token der geschriebenen Lösung, für das das Kontemplations-Token steht, das in dieser Zeile gelesen wird; dekodiert wird, was danach kommt";

    // Shares of the graph
    mass_title: "Reachable: a way of arrows leads there from the start. Frontier: as many arrows away as thoughts were made. Outside: no way leads there (hatched), or no word of the problem.", "Erreichbar: vom Start führt ein Weg aus Pfeilen dorthin. Front: so viele Pfeile entfernt, wie Gedanken gemacht wurden. Außerhalb: kein Weg führt hin (schraffiert), oder kein Wort der Aufgabe.";
    mass_thought: "Thought {n}: {mass}", "Gedanke {n}: {mass}";
    mass_step: "Step {n}: {mass}", "Schritt {n}: {mass}";
    mass_reachable: "{share} reachable", "{share} erreichbar";
    mass_frontier: "{share} on the frontier", "{share} auf der Front";
    mass_on_way: "{share} on a shortest way", "{share} auf einem kürzesten Weg";
    mass_outside: "{share} outside", "{share} außerhalb";
    not_reachable: "not reachable", "nicht erreichbar";
    head_word: "word", "Wort";
    head_arrows_to: "arrows to", "Pfeile zu";
    head_arrows_from: "arrows from the start", "Pfeile vom Start";
    node_unreached: ", which the start does not reach", ", vom Start nicht erreichbar";
    node_start: "{name} (start)", "{name} (Start)";
    node_option: "{name} (option)", "{name} (Möglichkeit)";
    solution: "{ways}: {steps} Answer: {answer}", "{ways}: {steps} Antwort: {answer}";
    solution_one_step: "In 1 step", "In 1 Schritt";
    solution_steps: "In {n} steps", "In {n} Schritten";
    solution_ways_one_step: "{ways} shortest ways, one of them in 1 step", "{ways} kürzeste Wege, einer davon in 1 Schritt";
    solution_ways: "{ways} shortest ways, one of them in {n} steps", "{ways} kürzeste Wege, einer davon in {n} Schritten";

    // Chart
    chart_cold_stop: "Cold Stop ended thinking here: the sampler's entropy stayed low for long enough", "Cold Stop hat das Denken hier beendet: die Entropie des Samplers blieb lange genug niedrig";
    chart_answer: "Thinking ends, the answer begins", "Das Denken endet, die Antwort beginnt";
    chart_sampler: "Entropy at the sampler's temperature", "Entropie bei der Temperatur des Samplers";
    chart_step: "step", "Schritt";
    legend_at: "at step {n}: nats, words", "bei Schritt {n}: Nats, Wörter";
    legend_newest: "newest, or ⌀ of the thinking: nats, words", "Neuester, oder ⌀ des Denkens: Nats, Wörter";

    // Take away and evidence
    png_failed: "The browser did not draw the picture; the SVG has it too.", "Der Browser hat das Bild nicht gezeichnet; im SVG ist es auch.";
    graph_svg: "graph as SVG", "Graph als SVG";
    graph_png: "graph as PNG", "Graph als PNG";
    chart_svg: "chart as SVG", "Diagramm als SVG";
    chart_png: "chart as PNG", "Diagramm als PNG";
    frame_copied: "The frame's HTML is on the clipboard.", "Das HTML des Rahmens ist in der Zwischenablage.";
    take_away_hint: "The address holds the whole set-up and what is shown of it: the step, the shading lane, letters and theme. Add &run=yes and the run begins by itself.", "Die Adresse enthält den ganzen Aufbau und was davon gezeigt wird: den Schritt, die schattierende Bahn, Schrift und Farben. Mit &run=yes beginnt der Lauf von selbst.";
    evidence: "Evidence", "Belege";
    evidence_fetching: "Fetching …", "Wird geladen …";
    evidence_failed: "The measurements could not be fetched: {error}", "Die Messungen ließen sich nicht laden: {error}";
    case_study: "Case study:", "Fallstudie:";
    case_study_link: "One thought is too few, two or more are enough: a problem of {n} steps", "Ein Gedanke ist zu wenig, zwei oder mehr genügen: eine Aufgabe mit {n} Schritten";
    thoughts_figure: "Accuracy against the number of continuous thoughts, with 95 % bands", "Anteil richtig gegen die Zahl der stetigen Gedanken, mit 95-%-Bändern";
    evidence_how: "Accuracy in percent with its 95 % interval; our models have about a million parameters. Made by", "Anteil richtig in Prozent mit 95-%-Intervall; unsere Modelle haben etwa eine Million Parameter. Gemacht mit";
    study_figure: "Jensen-Shannon divergences between what follows a mixture and what follows its words", "Jensen-Shannon-Divergenzen zwischen dem, was einer Mischung folgt, und dem, was ihren Wörtern folgt";
    study_problems: "problems", "Aufgaben";
    study_first: "JS to the 1st word, nats", "JS zum 1. Wort, Nats";
    study_second: "JS to the 2nd word, nats", "JS zum 2. Wort, Nats";
    study_rouge: "ROUGE-L to greedy words", "ROUGE-L zu den wahrscheinlichsten Wörtern";
    study_how: "Over steps that mix two words or more, with bootstrapped 95 % intervals over problems. Made by", "Über Schritte, die zwei Wörter oder mehr mischen, mit 95-%-Bootstrap-Intervallen über Aufgaben. Gemacht mit";
    not_trained: "not trained", "nicht trainiert";
    not_measured: "not measured", "nicht gemessen";
    evidence_tokens: "thinking + answer tokens", "Denk- + Antworttoken";
    evidence_paper: "paper", "Paper";
    evidence_checkpoint: "checkpoint", "Checkpoint";
    evidence_table: "{suite}: table of {task}", "{suite}: Tabelle zu {task}";

    // How fast is this device
    device_speed: "How fast is this device?", "Wie schnell ist dieses Gerät?";
    speed_hint: "Decodes with the first lane's checkpoint on every engine that there is, by one lane and by several, and measures what the GPU can do at best. It takes some seconds, and longer with a large model; nothing leaves this device.", "Decodiert mit dem Checkpoint der ersten Bahn auf jeder vorhandenen Engine, mit einer Bahn und mit mehreren, und misst, was die GPU bestenfalls kann. Das dauert einige Sekunden, mit einem großen Modell länger; nichts verlässt dieses Gerät.";
    speed_measure: "Measure", "Messen";
    speed_measuring: "Measuring: {what} …", "Misst: {what} …";
    speed_of: "{engine}, lanes: {lanes}", "{engine}, Bahnen: {lanes}";
    speed_best: "a copy, and the quickest matmul", "eine Kopie und das schnellste Matrixprodukt";
    speed_failed: "It could not be measured: {error}", "Es ließ sich nicht messen: {error}";
    speed_checkpoint: "{checkpoint}, matrices in {format}.", "{checkpoint}, Matrizen in {format}.";
    parameters: "parameters", "Parameter";
    speed_roofs: "A copy on the GPU moves {copy} GB/s, its quickest matmul does {best} GFLOP/s.", "Eine Kopie auf der GPU bewegt {copy} GB/s, ihr schnellstes Matrixprodukt schafft {best} GFLOP/s.";
    speed_no_gpu: "No WebGPU is in use: the reference engine alone, without a roof.", "WebGPU ist nicht in Gebrauch: die Referenz-Engine allein, ohne Dach.";
    speed_engine: "engine", "Engine";
    speed_lanes: "lanes", "Bahnen";
    speed_tokens: "tokens/s in all", "Token/s zusammen";
    speed_first: "first token, ms", "erstes Token, ms";
    speed_share: "of the roof, %", "vom Dach, %";
    speed_intensity: "FLOP for every byte", "FLOP je Byte";
    speed_chart: "Roofline: FLOP a second against FLOP for every byte that is moved. The line is what the GPU can do at best; the points are this model's steps, by lanes.", "Roofline: FLOP je Sekunde gegen FLOP je bewegtem Byte. Die Linie ist, was die GPU bestenfalls kann; die Punkte sind Schritte dieses Modells, nach Bahnen.";
    speed_copy: "Copy report", "Bericht kopieren";

    // What am I looking at
    guide: "What am I looking at?", "Was sehe ich hier?";
    guide_inputs: "A transformer reads vectors, one a position. Usually each is the embedding of a word. But it can also be fed a mixture of words (a concept token), or its own last hidden state (a continuous thought), which stands for no word at all. Every lane reads the same problem and differs only in what it is fed while it thinks.", "Ein Transformer liest Vektoren, einen je Stelle. Sonst ist jeder die Einbettung eines Worts. Man kann ihm aber auch eine Mischung von Wörtern einspeisen (ein Konzept-Token) oder seinen eigenen letzten verborgenen Zustand (einen stetigen Gedanken), der für gar kein Wort steht. Jede Bahn liest dieselbe Aufgabe; sie unterscheiden sich nur darin, was ihnen beim Denken eingespeist wird.";
    guide_graph: "Where the problem is a graph, every arrow says that one thing is another, and the question asks which of the two marked ends follows from the start. The shading shows how much of each word is in the step that you look at: one word in token chain of thought, several in a mixture, and in a thought the words that its hidden state decodes to. Words that the start does not reach are hatched. The line below the graph measures the step: how much of it lies on words that can be reached, on the frontier (as many arrows away as thoughts were made), on a shortest way, and outside. A word problem is a story; what a lane computes in words stands below it, digits joined and checked.", "Wo die Aufgabe ein Graph ist, sagt jeder Pfeil, dass eines ein anderes ist, und gefragt ist, welches der beiden markierten Enden aus dem Start folgt. Die Schattierung zeigt, wie viel von jedem Wort in dem Schritt steckt, den man ansieht: ein Wort bei einer Gedankenkette in Token, mehrere bei einer Mischung, und bei einem Gedanken die Wörter, zu denen sein verborgener Zustand decodiert. Wörter, die der Start nicht erreicht, sind schraffiert. Die Zeile unter dem Graphen misst den Schritt: wie viel davon auf erreichbaren Wörtern liegt, auf der Front (so viele Pfeile entfernt, wie Gedanken gemacht wurden), auf einem kürzesten Weg und außerhalb. Eine Textaufgabe ist eine Geschichte; was eine Bahn in Wörtern rechnet, steht darunter, Ziffern verbunden und geprüft.";
    guide_chart: "The chart shows the entropy H of each step's distribution at temperature 1, for every lane alike, before any truncation or noise. e^H is how many equally likely words have that entropy: how many words at once. For a word it tells how unsure the choice was, for a thought how broad it is. A lane's sampler draws at a temperature of its own; its entropy is a thin line on demand, and it is what Cold Stop looks at.", "Das Diagramm zeigt die Entropie H der Verteilung jedes Schritts bei Temperatur 1, für alle Bahnen gleich, vor jedem Abschneiden oder Rauschen. e^H ist, wie viele gleich wahrscheinliche Wörter diese Entropie haben: wie viele Wörter zugleich. Bei einem Wort sagt sie, wie unsicher die Wahl war, bei einem Gedanken, wie breit er ist. Der Sampler einer Bahn zieht bei einer eigenen Temperatur; seine Entropie ist auf Wunsch eine dünne Linie, und auf sie schaut Cold Stop.";
    guide_lanes: "The lanes", "Die Bahnen";
    guide_glossary: "Glossary", "Glossar";
    guide_source: "The source of this page", "Der Quelltext dieser Seite";

    // Analysis
    analysis: "Look inside: causes, layers, mixtures, noise", "Hineinschauen: Ursachen, Schichten, Mischungen, Rauschen";
    analysis_hint: "Each lane of the finished run is run once more on an engine of its own and asked at every step; the run above stays as it is.", "Jede Bahn des fertigen Laufs läuft noch einmal auf einer eigenen Engine und wird bei jedem Schritt gefragt; der Lauf oben bleibt, wie er ist.";
    analysis_waits: "Waits for a finished run.", "Wartet auf einen fertigen Lauf.";
    analysis_not_possible: "A recording plays: there is no model here that could be asked.", "Eine Aufzeichnung läuft: hier ist kein Modell, das man fragen könnte.";
    analysis_looks: "Asking …", "Fragt …";
    analysis_done: "All steps have been asked about.", "Alle Schritte sind befragt.";
    analysis_failed: "The analysis stopped: {error}", "Die Analyse hat angehalten: {error}";
    analysis_lane: "Lane that is looked into", "Bahn, in die man hineinschaut";
    js: "What follows a mixture, and what follows its words", "Was einer Mischung folgt, und was ihren Wörtern folgt";
    js_hint: "Jensen-Shannon divergence in nats, 0 to 0.693, over the whole vocabulary at the run's temperature: between what follows the mixture and what would follow its first, second or third word alone; and between the weights with and without noise. Near 0, the mixture is that word.", "Jensen-Shannon-Divergenz in Nats, 0 bis 0,693, über das ganze Vokabular bei der Temperatur des Laufs: zwischen dem, was der Mischung folgt, und dem, was ihrem ersten, zweiten oder dritten Wort allein folgen würde; und zwischen den Gewichten mit und ohne Rauschen. Nahe 0 ist die Mischung dieses Wort.";
    js_label: "Jensen-Shannon divergences at each step, nats", "Jensen-Shannon-Divergenzen bei jedem Schritt, Nats";
    js_empty: "This lane mixes no words", "Diese Bahn mischt keine Wörter";
    js_top1: "1st word", "1. Wort";
    js_top2: "2nd word", "2. Wort";
    js_top3: "3rd word", "3. Wort";
    js_noised: "noised, clean", "mit und ohne Rauschen";
    patch: "Does a state cause the answer?", "Verursacht ein Zustand die Antwort?";
    patch_hint: "At one step and after one layer, the state of this lane is replaced by that of another run, and the lane goes on from there (activation patching). Each cell is a run of its own.", "Bei einem Schritt und nach einer Schicht wird der Zustand dieser Bahn durch den eines anderen Laufs ersetzt, und die Bahn läuft von dort weiter (Activation Patching). Jede Zelle ist ein eigener Lauf.";
    patch_source: "States of", "Zustände von";
    patch_twin: "this problem, its two options exchanged", "dieser Aufgabe mit vertauschten Möglichkeiten";
    patch_problem: "problem {seed}", "Aufgabe {seed}";
    patch_start: "Replace each state", "Jeden Zustand ersetzen";
    patch_stop: "Stop", "Anhalten";
    patch_progress: "{done} of {total} states replaced", "{done} von {total} Zuständen ersetzt";
    patch_failed: "Patching stopped: {error}", "Das Ersetzen hat angehalten: {error}";
    patch_no_source: "There is no run to take states from: add a lane of the same checkpoint.", "Es gibt keinen Lauf, von dem Zustände zu nehmen wären: eine Bahn desselben Checkpoints hinzufügen.";
    patch_keys: "How each state moves the answer: arrow keys choose a cell", "Wie jeder Zustand die Antwort verschiebt: Pfeiltasten wählen eine Zelle";
    patch_moved: "moved to the other run's answer", "zur Antwort des anderen Laufs verschoben";
    patch_lost: "lost by the lane's own answer", "von der eigenen Antwort verloren";
    patch_moved_told: "This lane answers “{own}”, the other run “{other}”. A cell says how much of the difference of their logits moves to the other answer: 0 % as if nothing was replaced, 100 % as in the other run.", "Diese Bahn antwortet „{own}“, der andere Lauf „{other}“. Eine Zelle sagt, wie viel vom Abstand ihrer Logits zur anderen Antwort wandert: 0 % wie ohne Eingriff, 100 % wie im anderen Lauf.";
    patch_lost_told: "This lane answers “{own}” with probability {p}. A cell says how much of that is lost.", "Diese Bahn antwortet „{own}“ mit Wahrscheinlichkeit {p}. Eine Zelle sagt, wie viel davon verloren geht.";
    patch_same: "Both runs answer “{own}”, this lane with probability {p}. A cell says how much of that is lost.", "Beide Läufe antworten „{own}“, diese Bahn mit Wahrscheinlichkeit {p}. Eine Zelle sagt, wie viel davon verloren geht.";
    patch_control: "It is the control: it thinks in pauses, the same token whatever its states are, so a state reaches later steps through attention alone.", "Sie ist die Kontrolle: sie denkt in Pausen, demselben Token, was auch immer ihre Zustände sind; ein Zustand erreicht spätere Schritte also nur durch die Attention.";
    patch_choose: "Choose a cell to see what it answers and its cone: outlined is what the state reaches, the layers above, the steps after, and by the arrows the next thought.", "Eine Zelle wählen, um ihre Antwort und ihren Kegel zu sehen: umrandet ist, was der Zustand erreicht, die Schichten darüber, die Schritte danach und, den Pfeilen nach, der nächste Gedanke.";
    patch_cell: "{position}, layer {layer}: the lane answers “{answer}”. Moved: {moved}. Probability of “{own}” {p_own} (before {before}), of the other answer {p_other}. It reaches {n} other states.", "{position}, Schicht {layer}: die Bahn antwortet „{answer}“. Verschoben: {moved}. Wahrscheinlichkeit von „{own}“ {p_own} (vorher {before}), der anderen Antwort {p_other}. Er erreicht {n} andere Zustände.";
    pins: "Tokens that are followed through the layers", "Token, die durch die Schichten verfolgt werden";
    pins_told: "Probability after each layer, {position}:", "Wahrscheinlichkeit nach jeder Schicht, {position}:";
    pins_layer: "layer", "Schicht";
    lens: "What each layer would say", "Was jede Schicht sagen würde";
    lens_hint: "The logit lens at temperature 1: the state after each layer, read through the final norm and the LM head. A column for what is fed at each step, thoughts too; the last layer stands above.", "Die Logit-Linse bei Temperatur 1: der Zustand nach jeder Schicht, gelesen durch die letzte Norm und den LM-Kopf. Eine Spalte je Eingabe, auch für Gedanken; die letzte Schicht steht oben.";
    lens_keys: "What each layer would say: arrow keys choose a cell", "Was jede Schicht sagen würde: Pfeiltasten wählen eine Zelle";
    lens_colour: "Colour", "Farbe";
    lens_probability: "probability of the final token", "Wahrscheinlichkeit des letzten Tokens";
    lens_rank: "rank of the final token", "Rang des letzten Tokens";
    lens_entropy: "entropy", "Entropie";
    lens_divergence: "KL to the last layer", "KL zur letzten Schicht";
    lens_choose: "Choose a cell to see its most probable tokens; a click or the Enter key follows the first one through the layers.", "Eine Zelle wählen, um ihre wahrscheinlichsten Token zu sehen; ein Klick oder die Eingabetaste verfolgt das erste durch die Schichten.";
    lens_cell: "{position}, layer {layer}: {top}. The final token has probability {probability}, rank {rank}; entropy {entropy} nats, KL to the last layer {divergence} nats.", "{position}, Schicht {layer}: {top}. Das letzte Token hat Wahrscheinlichkeit {probability}, Rang {rank}; Entropie {entropy} Nats, KL zur letzten Schicht {divergence} Nats.";
    lens_json: "Lens as JSON, for logitlenskit", "Linse als JSON, für logitlenskit";
    lens_layer: "layer {n}", "Schicht {n}";
    lens_fed: "fed", "eingespeist";
    position_thought: "thought {n}", "Gedanke {n}";
    stages: "The distribution of the step", "Die Verteilung des Schritts";
    stage: "Shown", "Gezeigt";
    stage_raw: "raw", "roh";
    stage_tempered: "after temperature", "nach der Temperatur";
    stage_truncated: "truncated", "abgeschnitten";
    stage_noised: "as it is fed", "wie eingespeist";
    stage_label: "Step {n}, {stage}: T = {temperature}{noise}", "Schritt {n}, {stage}: T = {temperature}{noise}";
    stage_no_noise: ", no noise", ", kein Rauschen";
    draws: "What noise would make of it", "Was Rauschen daraus machen würde";
    draws_hint: "{n} draws on the step's mixture: how often each word would have which weight, 0 left to 1 right; the line is its weight without noise.", "{n} Ziehungen auf der Mischung des Schritts: wie oft jedes Wort welches Gewicht hätte, 0 links bis 1 rechts; der Strich ist sein Gewicht ohne Rauschen.";
    draws_no_mixture: "This step feeds no mixture: noise has nothing to weigh here.", "Dieser Schritt speist keine Mischung ein: hier hat Rauschen nichts zu gewichten.";
    draws_token: "{word}: {clean} without noise, {mean} on average with it", "{word}: {clean} ohne Rauschen, im Mittel {mean} damit";
    strips: "Beside the greedy words", "Neben den wahrscheinlichsten Wörtern";
    strips_hint: "What each lane says, markers left out; marked is what stands in the same order in the first lane of greedy words (ROUGE-L).", "Was jede Bahn sagt, ohne Marken; markiert ist, was in derselben Reihenfolge in der ersten Bahn mit den wahrscheinlichsten Wörtern steht (ROUGE-L).";
    strips_no_greedy: "There is no lane of greedy words (Token CoT) to compare with.", "Es gibt keine Bahn mit den wahrscheinlichsten Wörtern (Token CoT) zum Vergleich.";
    strip_partner: "word {n} of the greedy lane", "Wort {n} der Vergleichsbahn";
    strip_itself: "these are the greedy words", "das sind die wahrscheinlichsten Wörter";
    strip_equal: "the same words", "dieselben Wörter";
    strip_rouge: "ROUGE-L F1 {f1}", "ROUGE-L F1 {f1}";
}
