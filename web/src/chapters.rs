//! The tour: eight set-ups that each make one point, with a prediction to commit to before the run.

use latent_model::address::Language;

use crate::words::current_language;

/// A chapter of the tour.
#[derive(Debug)]
pub struct Chapter {
    /// The set-up, as the hash of an address.
    pub address: &'static str,
    /// What it says, in English.
    pub english: ChapterText,
    /// The same in German.
    pub german: ChapterText,
    /// The option that comes true.
    pub right: usize,
    /// The part of the page that it speaks of, by `data-testid`.
    pub speaks_of: &'static str,
    /// The verdicts that the lanes come to, as the grader words them; a test runs them.
    pub verdicts: &'static [&'static str],
}

/// What a chapter says, in one language.
#[derive(Debug)]
pub struct ChapterText {
    /// Its point in a few words.
    pub title: &'static str,
    /// What is seen, in two sentences.
    pub sentences: [&'static str; 2],
    /// What the visitor is asked before the run.
    pub asks: &'static str,
    /// What can be predicted.
    pub options: &'static [&'static str],
    /// What the run has shown.
    pub reveal: &'static str,
}

impl Chapter {
    /// What it says, in the page's language.
    pub fn text(&self) -> &ChapterText {
        match current_language() {
            Language::English => &self.english,
            Language::German => &self.german,
        }
    }
}

/// All chapters, in order.
pub const CHAPTERS: &[Chapter] = &[
    Chapter {
        address: "problem=class:4&lanes=prosqa-cot:token-cot;prosqa-cot:token-cot-sampled,temperature=1;prosqa-cot:token-cot-sampled,temperature=1;prosqa-cot:token-cot-sampled,temperature=1&seed=1&speed=4",
        english: ChapterText {
            title: "Words must choose",
            sentences: [
                "A chain of thought in words says one statement after the other, so at every fork of the graph it has to choose.",
                "The first lane takes the likeliest word each time; the three others draw a word at random from the same model.",
            ],
            asks: "The shortest way has 3 statements. How many does the greedy lane say?",
            options: &["3", "4", "5"],
            reveal: "Five: at the first fork the likeliest word is not the one on the shortest way. The last lane draws fompus at the second fork, runs into a dead end, and answers with a word that was no option.",
        },
        german: ChapterText {
            title: "Wörter müssen wählen",
            sentences: [
                "Eine Gedankenkette in Wörtern sagt eine Aussage nach der anderen, also muss sie an jeder Gabelung des Graphen wählen.",
                "Die erste Bahn nimmt jedes Mal das wahrscheinlichste Wort; die drei anderen ziehen ein Wort zufällig aus demselben Modell.",
            ],
            asks: "Der kürzeste Weg hat 3 Aussagen. Wie viele sagt die erste Bahn?",
            options: &["3", "4", "5"],
            reveal: "Fünf: an der ersten Gabelung ist das wahrscheinlichste Wort nicht das auf dem kürzesten Weg. Die letzte Bahn zieht an der zweiten Gabelung fompus, gerät in eine Sackgasse und antwortet mit einem Wort, das nicht zur Wahl stand.",
        },
        right: 2,
        speaks_of: "lanes",
        verdicts: &["right", "right", "right", "wrong"],
    },
    Chapter {
        address: "problem=class:4&lanes=prosqa-cot:token-cot-cold-stop;prosqa-cot:soft;prosqa-soft:soft&seed=1&speed=4",
        english: ChapterText {
            title: "Soft Thinking is nearly greedy",
            sentences: [
                "Soft Thinking feeds the mixture of all likely words instead of one of them.",
                "The first two lanes have the same weights; only the third model was trained to think in mixtures.",
            ],
            asks: "Of the middle lane's ten thinking steps, how many are real mixtures, with less than 98.5 % of one word?",
            options: &["two", "five", "all ten"],
            reveal: "Two: a model trained on words is nearly sure at almost every step, so its mixtures are words and it takes the same way as the first lane. Only the model that was trained to mix mixes.",
        },
        german: ChapterText {
            title: "Soft Thinking ist fast wie die Wörter",
            sentences: [
                "Soft Thinking speist die Mischung aller wahrscheinlichen Wörter ein statt eines von ihnen.",
                "Die ersten beiden Bahnen haben dieselben Gewichte; nur das dritte Modell wurde darauf trainiert, in Mischungen zu denken.",
            ],
            asks: "Wie viele der zehn Denkschritte der mittleren Bahn sind echte Mischungen, mit weniger als 98,5 % eines Worts?",
            options: &["zwei", "fünf", "alle zehn"],
            reveal: "Zwei: ein auf Wörter trainiertes Modell ist sich bei fast jedem Schritt fast sicher, also sind seine Mischungen Wörter, und es geht denselben Weg wie die erste Bahn. Nur das Modell, das zu mischen gelernt hat, mischt.",
        },
        right: 0,
        speaks_of: "lanes",
        verdicts: &["right", "right", "right"],
    },
    Chapter {
        address: "problem=class:24&lanes=prosqa-cot:soft;prosqa-cot:soft-gumbel;prosqa-cot:soft-gumbel;prosqa-cot:soft-gumbel;prosqa-cot:soft-gumbel;prosqa-cot:soft-gumbel&seed=1&speed=4",
        english: ChapterText {
            title: "Noise is a lottery at the fork",
            sentences: [
                "Gumbel noise on the mixture makes Soft Thinking try other ways: five lanes draw five times.",
                "Each noisy step shows two bars: the probabilities before the noise, and what was fed.",
            ],
            asks: "How many of the five noisy lanes are right?",
            options: &["one", "three", "all five"],
            reveal: "Three. At the fork the draw decides, to either side; plain Soft Thinking blends both ways and is wrong here. Over many problems such a lottery gains nothing: the table under Evidence has both methods with their intervals.",
        },
        german: ChapterText {
            title: "Rauschen ist ein Los an der Gabelung",
            sentences: [
                "Gumbel-Rauschen auf der Mischung lässt Soft Thinking andere Wege versuchen: fünf Bahnen ziehen fünfmal.",
                "Jeder Schritt mit Rauschen zeigt zwei Balken: die Wahrscheinlichkeiten vor dem Rauschen, und was eingespeist wurde.",
            ],
            asks: "Wie viele der fünf Bahnen mit Rauschen liegen richtig?",
            options: &["eine", "drei", "alle fünf"],
            reveal: "Drei. An der Gabelung entscheidet das Los, nach beiden Seiten; Soft Thinking ohne Rauschen vermengt beide Wege und liegt hier falsch. Über viele Aufgaben bringt ein solches Los nichts: die Tabelle unter Belege zeigt beide Verfahren mit ihren Intervallen.",
        },
        right: 1,
        speaks_of: "lanes",
        verdicts: &["wrong", "right", "wrong", "wrong", "right", "right"],
    },
    Chapter {
        address: "problem=class:4&lanes=prosqa-coconut:coconut&seed=1&speed=1",
        english: ChapterText {
            title: "A thought holds the frontier",
            sentences: [
                "Coconut feeds back its last hidden state, which stands for no single word.",
                "The shading shows the words that each thought decodes to; the line below the graph compares them with a breadth-first search.",
            ],
            asks: "Which words are shaded after the second thought?",
            options: &[
                "one word",
                "only words two arrows away",
                "all words within two arrows",
            ],
            reveal: "All words within two arrows of the start. The thought chooses none of them: it holds the whole search, one step wider with each thought.",
        },
        german: ChapterText {
            title: "Ein Gedanke hält die Front",
            sentences: [
                "Coconut speist seinen letzten verborgenen Zustand wieder ein, der für kein einzelnes Wort steht.",
                "Die Schattierung zeigt die Wörter, zu denen jeder Gedanke decodiert; die Zeile unter dem Graphen vergleicht sie mit einer Breitensuche.",
            ],
            asks: "Welche Wörter sind nach dem zweiten Gedanken schattiert?",
            options: &[
                "ein Wort",
                "nur Wörter, die zwei Pfeile entfernt sind",
                "alle Wörter bis zu zwei Pfeile entfernt",
            ],
            reveal: "Alle Wörter bis zu zwei Pfeile vom Start. Der Gedanke wählt keines von ihnen: er hält die ganze Suche, mit jedem Gedanken einen Schritt weiter.",
        },
        right: 2,
        speaks_of: "problem-panel",
        verdicts: &["right"],
    },
    Chapter {
        address: "problem=class:13&lanes=prosqa-unified:coconut,thoughts=0;prosqa-unified:coconut,thoughts=1;prosqa-unified:coconut,thoughts=2;prosqa-unified:coconut,thoughts=3;prosqa-unified:coconut,thoughts=4;prosqa-unified:token-cot&seed=1&speed=4",
        english: ChapterText {
            title: "How many thoughts are enough",
            sentences: [
                "The answer is four arrows away, and a chain in words takes eight steps to say it.",
                "Five lanes have 0 to 4 thoughts of the same model.",
            ],
            asks: "What is the fewest number of thoughts that gives the right answer?",
            options: &["one", "two", "four"],
            reveal: "Two, although the answer is in neither of them: the layers of the transformer finish the search when the question is answered.",
        },
        german: ChapterText {
            title: "Wie viele Gedanken genügen",
            sentences: [
                "Die Antwort ist vier Pfeile entfernt, und eine Kette in Wörtern braucht acht Schritte, um sie zu sagen.",
                "Fünf Bahnen haben 0 bis 4 Gedanken desselben Modells.",
            ],
            asks: "Mit wie vielen Gedanken mindestens kommt die richtige Antwort heraus?",
            options: &["einem", "zwei", "vier"],
            reveal: "Zwei, obwohl die Antwort in keinem der beiden ist: die Schichten des Transformers führen die Suche zu Ende, wenn die Frage beantwortet wird.",
        },
        right: 1,
        speaks_of: "lanes",
        verdicts: &["wrong", "wrong", "right", "right", "right", "right"],
    },
    Chapter {
        address: "problem=class:11&lanes=prosqa-coconut:coconut;prosqa-unified:coconut;prosqa-unified:token-cot&seed=1&speed=1",
        english: ChapterText {
            title: "When the wave leaks",
            sentences: [
                "A thought is no exact search: from the third thought on, words that cannot be reached are in it too.",
                "They are hatched, and counted as outside in the line below the graph.",
            ],
            asks: "The right answer, fompus, is two arrows away. Which lane fails?",
            options: &["the first", "the second", "the third"],
            reveal: "The first: up to half of its later thoughts lies outside. The second leaks too and is right all the same, so what leaks does not have to decide.",
        },
        german: ChapterText {
            title: "Wenn die Welle leckt",
            sentences: [
                "Ein Gedanke ist keine genaue Suche: vom dritten Gedanken an sind auch Wörter darin, die nicht zu erreichen sind.",
                "Sie sind schraffiert und zählen in der Zeile unter dem Graphen als außerhalb.",
            ],
            asks: "Die richtige Antwort, fompus, ist zwei Pfeile entfernt. Welche Bahn scheitert?",
            options: &["die erste", "die zweite", "die dritte"],
            reveal: "Die erste: bis zur Hälfte ihrer späteren Gedanken liegt außerhalb. Die zweite leckt auch und liegt trotzdem richtig; was ausläuft, muss also nicht entscheiden.",
        },
        right: 0,
        speaks_of: "problem-panel",
        verdicts: &["wrong", "right", "right"],
    },
    Chapter {
        address: "task=arithmetic&problem=class:3&lanes=arithmetic-cot:token-cot;arithmetic-cot:soft;arithmetic-cot:soft,cold_patience=72;arithmetic-coconut-paper:coconut;arithmetic-coconut:coconut;arithmetic-no-cot:no-cot&seed=1&speed=8",
        english: ChapterText {
            title: "Where words win",
            sentences: [
                "In a word problem every step is a computation whose result the next one needs.",
                "Six lanes solve the same story: words, Soft Thinking with and without its stop rule, two kinds of Coconut, and an answer at once.",
            ],
            asks: "How many of the six are wrong?",
            options: &["one", "three", "five"],
            reveal: "Three: Soft Thinking that its stop rule cuts off inside a computation, Coconut as it was published, and the answer at once.",
        },
        german: ChapterText {
            title: "Wo Wörter gewinnen",
            sentences: [
                "In einer Textaufgabe ist jeder Schritt eine Rechnung, deren Ergebnis der nächste braucht.",
                "Sechs Bahnen lösen dieselbe Geschichte: Wörter, Soft Thinking mit und ohne seine Abbruchregel, zwei Arten von Coconut und eine sofortige Antwort.",
            ],
            asks: "Wie viele der sechs liegen falsch?",
            options: &["eine", "drei", "fünf"],
            reveal: "Drei: Soft Thinking, das seine Abbruchregel mitten in einer Rechnung abschneidet, Coconut, wie es veröffentlicht wurde, und die sofortige Antwort.",
        },
        right: 1,
        speaks_of: "lanes",
        verdicts: &["right", "malformed", "right", "wrong", "right", "wrong"],
    },
    Chapter {
        address: "problem=class:8&lanes=prosqa-coconut:coconut;prosqa-pause-as-thought:pause&seed=8&speed=4&shade=1&analysis=yes",
        english: ChapterText {
            title: "Does a thought cause the answer?",
            sentences: [
                "Both lanes are right. The second one thinks in pauses, the same token again and again: it is the control.",
                "Below, “Replace each state” puts in the states of the same problem with its two options exchanged, one at a time, and shows how far each moves the answer.",
            ],
            asks: "In how many of the two lanes does any state of the thinking move the answer by a tenth or more?",
            options: &["in neither", "in one", "in both"],
            reveal: "In one. In the lane of thoughts, what the second thought leaves after the last layer moves the answer 77 % of the way to the other one, and through the third thought it goes on. In the lane of pauses no state of the thinking moves it by a hundredth; only in the answer's own words it does. What nobody knows yet is how far the picture of a search explains what thoughts do: such frontiers are found in models without any thoughts too (arXiv 2606.12689), superposition only in models trained from scratch, as ours are (arXiv 2604.06374), and thoughts may be placeholders or shortcuts (arXiv 2512.21711).",
        },
        german: ChapterText {
            title: "Verursacht ein Gedanke die Antwort?",
            sentences: [
                "Beide Bahnen liegen richtig. Die zweite denkt in Pausen, immer demselben Token: sie ist die Kontrolle.",
                "Unten setzt „Jeden Zustand ersetzen“ die Zustände derselben Aufgabe mit vertauschten Möglichkeiten ein, einen nach dem anderen, und zeigt, wie weit jeder die Antwort verschiebt.",
            ],
            asks: "In wie vielen der beiden Bahnen verschiebt irgendein Zustand des Denkens die Antwort um ein Zehntel oder mehr?",
            options: &["in keiner", "in einer", "in beiden"],
            reveal: "In einer. In der Bahn der Gedanken verschiebt, was der zweite Gedanke nach der letzten Schicht hinterlässt, die Antwort zu 77 % zur anderen hin, und über den dritten Gedanken geht es weiter. In der Bahn der Pausen verschiebt sie kein Zustand des Denkens auch nur um ein Hundertstel; erst in den Wörtern der Antwort selbst geschieht es. Was noch niemand weiß, ist, wie weit das Bild einer Suche erklärt, was Gedanken tun: solche Fronten finden sich auch in Modellen ganz ohne Gedanken (arXiv 2606.12689), Überlagerung nur in von Grund auf trainierten Modellen, wie es unsere sind (arXiv 2604.06374), und Gedanken mögen Platzhalter oder Abkürzungen sein (arXiv 2512.21711).",
        },
        right: 1,
        speaks_of: "analysis",
        verdicts: &["right", "right"],
    },
];

/// The chapter of this number, counted from 1.
pub fn chapter(number: usize) -> Option<&'static Chapter> {
    CHAPTERS.get(number.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalogue::shipped_catalogue, page_state::PageState};

    #[test]
    fn every_chapter_opens_whole_and_can_be_predicted() {
        let catalogue = shipped_catalogue();
        for chapter in CHAPTERS {
            let opened =
                PageState::from_hash(chapter.address, &catalogue).expect(chapter.english.title);
            assert!(opened.left_out.is_empty(), "{opened:?}");
            assert_eq!(opened.state.lanes.len(), chapter.verdicts.len());
            for text in [&chapter.english, &chapter.german] {
                assert_eq!(text.options.len(), chapter.english.options.len());
                assert!(chapter.right < text.options.len());
            }
            assert_ne!(chapter.english.title, chapter.german.title);
            assert_ne!(chapter.english.reveal, chapter.german.reveal);
            let ships = |name: &str| catalogue.entry(name).is_some();
            assert!(opened.state.lanes.iter().all(|lane| ships(&lane.model)));
        }
        let last = CHAPTERS.last().expect("chapters");
        assert!(last.english.reveal.contains("What nobody knows"));
        assert!(last.german.reveal.contains("Was noch niemand weiß"));
        assert!(chapter(0).is_none() && chapter(CHAPTERS.len() + 1).is_none());
        assert_eq!(
            chapter(1).map(|chapter| chapter.address),
            Some(CHAPTERS[0].address)
        );
    }
}
