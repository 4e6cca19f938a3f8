//! What lanes are called, so that no two that differ look alike.

use latent_model::{address::LaneChoice, tasks::Grade};

use crate::{
    page_state::streams,
    words::{fill, tables::verdict_word, words},
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
        let draws = (n_equal > 1).then(|| format!("draws {}", stream + 1));
        LaneName {
            number,
            title: lane.label(),
            settings: lane.label()[lane.title().len()..]
                .trim_start_matches(", ")
                .into(),
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
    use latent_model::address::Address;
    use proptest::prelude::*;

    use super::*;

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
