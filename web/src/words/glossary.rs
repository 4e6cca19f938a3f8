//! The glossary: a word of this page and what it means, in both languages.

use latent_model::address::Language;

/// Word and meaning in English, then in German.
const GLOSSARY: &[[&str; 4]] = &[
    [
        "Lane",
        "One way of thinking about the problem: a checkpoint, a strategy and its settings.",
        "Bahn",
        "Eine Art, über die Aufgabe nachzudenken: ein Checkpoint, eine Strategie und ihre Einstellungen.",
    ],
    [
        "Step",
        "One input that a lane is fed, and the distribution over words that comes of it.",
        "Schritt",
        "Eine Eingabe, die einer Bahn eingespeist wird, und die Verteilung über Wörter, die daraus wird.",
    ],
    [
        "Concept token",
        "A weighted mean of word embeddings, fed as one input.",
        "Konzept-Token",
        "Ein gewichtetes Mittel von Einbettungen von Wörtern, als eine Eingabe eingespeist.",
    ],
    [
        "Thought",
        "A hidden state of the model, fed back as its next input; it is no word.",
        "Gedanke",
        "Ein verborgener Zustand des Modells, als nächste Eingabe wieder eingespeist; er ist kein Wort.",
    ],
    [
        "Contemplation token",
        "CCOT's thought: a state of an inner layer that stands for a part of a written solution.",
        "Kontemplations-Token",
        "Der Gedanke von CCOT: ein Zustand einer inneren Schicht, der für einen Teil einer geschriebenen Lösung steht.",
    ],
    [
        "Decoded",
        "What a thought's hidden state would say if it were asked for a word.",
        "Decodiert",
        "Was der verborgene Zustand eines Gedankens sagen würde, wenn man ihn nach einem Wort fragte.",
    ],
    [
        "Entropy",
        "How spread a distribution over words is; 0 nats is one word.",
        "Entropie",
        "Wie breit eine Verteilung über Wörter ist; 0 Nats sind ein Wort.",
    ],
    [
        "e^H, words at once",
        "How many equally likely words have the same entropy.",
        "e^H, Wörter zugleich",
        "Wie viele gleich wahrscheinliche Wörter dieselbe Entropie haben.",
    ],
    [
        "Temperature",
        "Divides the logits before probabilities are made of them: below 1 sharpens.",
        "Temperatur",
        "Teilt die Logits, bevor Wahrscheinlichkeiten daraus werden: unter 1 schärft.",
    ],
    [
        "Cold Stop",
        "Soft Thinking's stop rule: so many steps in a row with a low entropy end the thinking.",
        "Cold Stop",
        "Die Abbruchregel von Soft Thinking: so viele Schritte in Folge mit niedriger Entropie beenden das Denken.",
    ],
    [
        "Frontier",
        "The words as many arrows from the start as steps of a search were made.",
        "Front",
        "Die Wörter, die so viele Pfeile vom Start entfernt sind, wie Schritte einer Suche gemacht wurden.",
    ],
    [
        "Marker",
        "A token that separates phases, such as <think> or <eot>; forced by the program or chosen.",
        "Marke",
        "Ein Token, das Phasen trennt, etwa <think> oder <eot>; vom Programm gesetzt oder vom Modell gewählt.",
    ],
];

/// Each word with its meaning, in a language.
pub fn glossary(language: Language) -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_language = move |[word, meaning, wort, bedeutung]: &[&'static str; 4]| match language {
        Language::English => (*word, *meaning),
        Language::German => (*wort, *bedeutung),
    };
    GLOSSARY.iter().map(of_language)
}
