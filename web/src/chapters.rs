//! The tour: seven set-ups that each make one point, with a prediction to commit to before the run.

/// A chapter of the tour.
#[derive(Debug)]
pub struct Chapter {
    /// Its point in a few words.
    pub title: &'static str,
    /// The set-up, as the hash of an address.
    pub address: &'static str,
    /// What is seen, in two sentences.
    pub sentences: [&'static str; 2],
    /// What the visitor is asked before the run.
    pub asks: &'static str,
    /// What can be predicted.
    pub options: &'static [&'static str],
    /// The option that comes true.
    pub right: usize,
    /// What the run has shown.
    pub reveal: &'static str,
    /// The part of the page that it speaks of, by `data-testid`.
    pub speaks_of: &'static str,
    /// The verdicts that the lanes come to, as the grader words them; a test runs them.
    pub verdicts: &'static [&'static str],
}

/// All chapters, in order.
pub const CHAPTERS: &[Chapter] = &[
    Chapter {
        title: "Words must choose",
        address: "problem=class:4&lanes=prosqa-cot:token-cot;prosqa-cot:token-cot-sampled,temperature=1;prosqa-cot:token-cot-sampled,temperature=1;prosqa-cot:token-cot-sampled,temperature=1&seed=1&speed=4",
        sentences: [
            "A chain of thought in words says one statement after the other, so at every fork of the graph it has to choose.",
            "The first lane takes the likeliest word each time; the three others draw a word at random from the same model.",
        ],
        asks: "The shortest way has 3 statements. How many does the greedy lane say?",
        options: &["3", "4", "5"],
        right: 2,
        reveal: "Five: at the first fork the likeliest word is not the one on the shortest way. The last lane draws fompus there, runs into a dead end, and answers with a word that was no option.",
        speaks_of: "lanes",
        verdicts: &["right", "right", "right", "wrong"],
    },
    Chapter {
        title: "Soft Thinking is nearly greedy",
        address: "problem=class:4&lanes=prosqa-cot:token-cot-cold-stop;prosqa-cot:soft;prosqa-soft:soft&seed=1&speed=4",
        sentences: [
            "Soft Thinking feeds the mixture of all likely words instead of one of them.",
            "The first two lanes have the same weights; only the third model was trained to think in mixtures.",
        ],
        asks: "Of the middle lane's ten thinking steps, how many are real mixtures, with less than 98.5 % of one word?",
        options: &["two", "five", "all ten"],
        right: 0,
        reveal: "Two: a model trained on words is nearly sure at almost every step, so its mixtures are words and it takes the same way as the first lane. Only the model that was trained to mix mixes.",
        speaks_of: "lanes",
        verdicts: &["right", "right", "right"],
    },
    Chapter {
        title: "Noise is a lottery at the fork",
        address: "problem=class:24&lanes=prosqa-cot:soft;prosqa-cot:soft-gumbel;prosqa-cot:soft-gumbel;prosqa-cot:soft-gumbel;prosqa-cot:soft-gumbel;prosqa-cot:soft-gumbel&seed=1&speed=4",
        sentences: [
            "Gumbel noise on the mixture makes Soft Thinking try other ways: five lanes draw five times.",
            "Each noisy step shows two bars: the probabilities before the noise, and what was fed.",
        ],
        asks: "How many of the five noisy lanes are right?",
        options: &["one", "three", "all five"],
        right: 1,
        reveal: "Three. At the fork the draw decides, to either side; plain Soft Thinking blends both ways and is wrong here. Over many problems such a lottery gains nothing: the table under Evidence has both methods with their intervals.",
        speaks_of: "lanes",
        verdicts: &["wrong", "right", "wrong", "wrong", "right", "right"],
    },
    Chapter {
        title: "A thought holds the frontier",
        address: "problem=class:4&lanes=prosqa-coconut:coconut&seed=1&speed=1",
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
        right: 2,
        reveal: "All words within two arrows of the start. The thought chooses none of them: it holds the whole search, one step wider with each thought.",
        speaks_of: "problem-panel",
        verdicts: &["right"],
    },
    Chapter {
        title: "How many thoughts are enough",
        address: "problem=class:13&lanes=prosqa-unified:coconut,thoughts=0;prosqa-unified:coconut,thoughts=1;prosqa-unified:coconut,thoughts=2;prosqa-unified:coconut,thoughts=3;prosqa-unified:coconut,thoughts=4;prosqa-unified:token-cot&seed=1&speed=4",
        sentences: [
            "The answer is four arrows away, and a chain in words takes eight steps to say it.",
            "Five lanes have 0 to 4 thoughts of the same model.",
        ],
        asks: "What is the fewest number of thoughts that gives the right answer?",
        options: &["one", "two", "four"],
        right: 1,
        reveal: "Two, although the answer is in neither of them: the layers of the transformer finish the search when the question is answered.",
        speaks_of: "lanes",
        verdicts: &["wrong", "wrong", "right", "right", "right", "right"],
    },
    Chapter {
        title: "When the wave leaks",
        address: "problem=class:11&lanes=prosqa-coconut:coconut;prosqa-unified:coconut;prosqa-unified:token-cot&seed=1&speed=1",
        sentences: [
            "A thought is no exact search: from the third thought on, words that cannot be reached are in it too.",
            "They are hatched, and counted as outside in the line below the graph.",
        ],
        asks: "The right answer, fompus, is two arrows away. Which lane fails?",
        options: &["the first", "the second", "the third"],
        right: 0,
        reveal: "The first: up to half of its later thoughts lies outside. The second leaks too and is right all the same, so what leaks does not have to decide.",
        speaks_of: "problem-panel",
        verdicts: &["wrong", "right", "right"],
    },
    Chapter {
        title: "Where words win",
        address: "task=arithmetic&problem=class:3&lanes=arithmetic-cot:token-cot;arithmetic-cot:soft;arithmetic-cot:soft,cold_patience=72;arithmetic-coconut-paper:coconut;arithmetic-coconut:coconut;arithmetic-no-cot:no-cot&seed=1&speed=8",
        sentences: [
            "In a word problem every step is a computation whose result the next one needs.",
            "Six lanes solve the same story: words, Soft Thinking with and without its stop rule, two kinds of Coconut, and an answer at once.",
        ],
        asks: "How many of the six are wrong?",
        options: &["one", "three", "five"],
        right: 1,
        reveal: "Three: Soft Thinking that its stop rule cuts off inside a computation, Coconut as it was published, and the answer at once. What nobody knows yet is how far the picture of a search explains what thoughts do: such frontiers are found in models without any thoughts too (arXiv 2606.12689), superposition only in models trained from scratch, as ours are (arXiv 2604.06374), and thoughts may be placeholders or shortcuts (arXiv 2512.21711). Compare with the pause-as-thought checkpoints: the same positions, without the feedback.",
        speaks_of: "lanes",
        verdicts: &["right", "malformed", "right", "wrong", "right", "wrong"],
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
            let opened = PageState::from_hash(chapter.address, &catalogue).expect(chapter.title);
            assert!(opened.left_out.is_empty(), "{opened:?}");
            assert_eq!(opened.state.lanes.len(), chapter.verdicts.len());
            assert!(chapter.right < chapter.options.len());
            let ships = |name: &str| catalogue.entry(name).is_some();
            assert!(opened.state.lanes.iter().all(|lane| ships(&lane.model)));
        }
        assert!(chapter(0).is_none() && chapter(CHAPTERS.len() + 1).is_none());
        assert_eq!(
            chapter(1).map(|chapter| chapter.title),
            Some(CHAPTERS[0].title)
        );
    }
}
