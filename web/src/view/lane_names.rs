//! What lanes are called, so that no two that differ look alike.

use latent_model::{
    address::{ChangeChoice, ChangeKind, ForkChoice, LaneChoice},
    strategy::{COMPOSED, Composition, Part},
    tasks::Grade,
};

use crate::{
    page_state::streams,
    words::{
        fill,
        tables::{change_word, difficulty_word, part_word, setting_in_name, verdict_word},
        words,
    },
};

/// A lane's number and what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneName {
    /// Its place, counted from 1.
    pub number: usize,
    /// Its strategy, with the settings that differ from the strategy's defaults.
    pub title: String,
    /// The settings alone; empty where all are the defaults.
    pub settings: String,
    /// What else tells it from the other lanes; empty where nothing has to.
    pub differs: String,
}

impl LaneName {
    /// `2 Soft Thinking · prosqa-soft`
    pub fn text(&self) -> String {
        let Self {
            number,
            title,
            differs,
            ..
        } = self;
        match differs.is_empty() {
            true => format!("{number} {title}"),
            false => format!("{number} {title} · {differs}"),
        }
    }
}

impl LaneName {
    /// What a lane's card says beside its strategy: `τ 2 · prosqa-soft`.
    pub fn details(&self) -> String {
        let parts = [&self.settings, &self.differs].into_iter();
        let parts: Vec<&str> = parts
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        parts.join(" · ")
    }
}

/// A name for each lane. The checkpoint is named where lanes have several, and equal lanes by the
/// number of their random draws.
pub fn lane_names(lanes: &[LaneChoice]) -> Vec<LaneName> {
    let has_several = lanes.iter().any(|lane| lane.model != lanes[0].model);
    let name = |((lane, stream), number): ((&LaneChoice, u32), usize)| {
        let model = has_several.then(|| lane.model.clone());
        let n_equal = lanes.iter().filter(|other| *other == lane).count();
        let draws =
            (n_equal > 1).then(|| fill(words().lane_draws, &[("n", &(stream + 1).to_string())]));
        LaneName {
            number,
            title: lane_label(lane),
            settings: peculiarities(lane).join(", "),
            differs: [model, draws]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" · "),
        }
    };
    lanes
        .iter()
        .zip(streams(lanes))
        .zip(1..)
        .map(name)
        .collect()
}

/// The strategy's title, or the name of what was composed, with what is peculiar to the lane:
/// `Coconut, thoughts 3`.
pub fn lane_label(lane: &LaneChoice) -> String {
    let name = |known: &Composition| known.name.trim().to_string();
    let named = lane.composition.as_ref().map(name);
    let title = match named.filter(|name| !name.is_empty()) {
        Some(name) => name,
        None if lane.strategy.name == COMPOSED.name => words().composed.into(),
        None => lane.strategy.title.into(),
    };
    let parts = [vec![title], peculiarities(lane)];
    parts.concat().join(", ")
}

/// The settings that differ from the strategy's defaults, what it is composed of, and what is done
/// on the way.
fn peculiarities(lane: &LaneChoice) -> Vec<String> {
    let normalised = lane.clone().normalised();
    let settings = normalised.settings.iter();
    let settings = settings.map(|(setting, value)| format!("{} {value}", setting_in_name(setting)));
    let part = |Part { kind, steps }: &Part| format!("{} {steps}", part_word(*kind));
    let parts = lane.composition.as_ref().map(|known| {
        let parts: Vec<String> = known.parts.iter().map(part).collect();
        parts.join(" + ")
    });
    let fork = lane.fork.map(
        |ForkChoice {
             lane,
             step,
             answers,
         }| {
            let text = match answers {
                true => words().fork_answering,
                false => words().fork,
            };
            fill(
                text,
                &[("lane", &lane.to_string()), ("step", &step.to_string())],
            )
        },
    );
    settings
        .chain(parts.filter(|parts| !parts.is_empty()))
        .chain(lane.changes.iter().map(change_text))
        .chain(fork)
        .collect()
}

/// What is done to a lane's input: `zero at 3`.
pub fn change_text(change: &ChangeChoice) -> String {
    let step = change.step.to_string();
    match change.kind {
        ChangeKind::SwapProblem(difficulty, seed) => {
            let (size, seed) = (difficulty_word(difficulty), seed.to_string());
            let values = [("seed", &*seed), ("size", size), ("step", &*step)];
            fill(words().change_problem, &values)
        }
        _ => {
            let values = [("change", change_word(&change.kind)), ("step", &*step)];
            fill(words().change_at, &values)
        }
    }
}

/// The end of a run in a sentence, for those who hear it.
pub fn announcement(names: &[LaneName], verdicts: &[Option<Grade>]) -> String {
    let lane = |(name, verdict): (&LaneName, &Option<Grade>)| {
        let verdict = verdict.map_or(words().announce_no_verdict, verdict_word);
        let parts = [("name", &*name.text()), ("verdict", verdict)];
        fill(words().announce_lane, &parts)
    };
    let lanes: Vec<String> = names.iter().zip(verdicts).map(lane).collect();
    fill(words().announce_done, &[("lanes", &lanes.join(" "))])
}

#[cfg(test)]
mod tests {
    use latent_model::address::{Address, Language};
    use proptest::prelude::*;

    use super::*;
    use crate::words::speak;

    fn names(lanes: &str) -> Vec<String> {
        let address: Address = format!("lanes={lanes}").parse().expect(lanes);
        let lanes = address.lanes.expect("it has lanes");
        lane_names(&lanes).iter().map(LaneName::text).collect()
    }

    #[test]
    fn lanes_are_told_apart_by_what_differs() {
        assert_eq!(
            names("a:token-cot;a:soft"),
            ["1 Token CoT", "2 Soft Thinking"]
        );
        assert_eq!(
            names("a:soft;b:soft"),
            ["1 Soft Thinking · a", "2 Soft Thinking · b"]
        );
        assert_eq!(
            names("a:coconut,thoughts=1;a:coconut,thoughts=3"),
            ["1 Coconut, thoughts 1", "2 Coconut, thoughts 3"]
        );
        assert_eq!(
            names("a:soft-gumbel;a:soft-gumbel"),
            ["1 Soft + Gumbel · draws 1", "2 Soft + Gumbel · draws 2"]
        );
        assert!(lane_names(&[]).is_empty());
    }

    #[test]
    fn a_label_names_what_was_changed_composed_and_done_in_either_language() {
        let lanes = "lanes=a:compose,name=Soft%20then%20hard,parts=mixtures-4.words-9;\
                     a:compose,parts=thoughts-2;\
                     a:token-cot-sampled,temperature=2,at=3-zero,from=1-2-answer;\
                     a:coconut,at=1-swap-class-9,from=1-2";
        let address: Address = lanes.parse().expect(lanes);
        let lanes = address.lanes.expect("it has lanes");
        let labels = || lanes.iter().map(lane_label).collect::<Vec<_>>();
        assert_eq!(
            labels(),
            [
                "Soft then hard, mixtures 4 + words 9",
                "Composed, thoughts 2",
                "Token CoT, sampled, temperature 2, zero at 3, from lane 1 step 2, answering",
                "Coconut, swap with problem 9 (class) at 1, from lane 1 step 2"
            ]
        );
        speak(Language::German);
        let found = labels();
        let name = lane_names(&[lanes[0].clone(), lanes[0].clone()])[1].text();
        speak(Language::English);
        assert_eq!(
            found,
            [
                "Soft then hard, Mischungen 4 + Wörter 9",
                "Zusammengesetzt, Gedanken 2",
                "Token CoT, sampled, Temperatur 2, Nullen bei 3, von Bahn 1 Schritt 2, mit der Antwort",
                "Coconut, Tausch mit Aufgabe 9 (Klasse) bei 1, von Bahn 1 Schritt 2"
            ]
        );
        assert!(name.ends_with(" · Ziehungen 2"), "{name}");
    }

    #[test]
    fn the_end_of_a_run_is_told_lane_by_lane() {
        let address: Address = "lanes=a:token-cot;a:soft".parse().expect("lanes");
        let names = lane_names(&address.lanes.expect("two"));
        assert_eq!(
            announcement(&names, &[Some(Grade::Right), None]),
            "The run is done. Lane 1 Token CoT: right. Lane 2 Soft Thinking: no verdict."
        );
    }

    proptest! {
        #[test]
        fn no_two_lanes_look_alike_even_without_their_numbers(
            lanes in prop::collection::vec(
                prop::sample::select(vec![
                    "a:soft", "b:soft", "a:soft,top_k=3", "a:soft-gumbel", "a:soft-gumbel,tau=2",
                    "a:coconut", "b:coconut,thoughts=2",
                ]),
                1..7,
            ),
        ) {
            let mut names: Vec<String> = names(&lanes.join(";"))
                .into_iter()
                .map(|name| name[2..].to_string())
                .collect();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), lanes.len());
        }
    }
}
