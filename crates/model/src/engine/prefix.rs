//! What lanes are given in common is computed once: samples of one prompt, a run and its forks,
//! questions behind the same examples.

use std::cmp::Reverse;

use super::LaneSpec;
use crate::input::Input;

/// Where a lane finds the keys and values of what it is given, all but the last input, which is
/// fed at its first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedPrefix {
    /// The lane that computes the first positions: this one, or one that reads no other's.
    pub owner: usize,
    /// How many positions those are; the lane computes the rest itself.
    pub n: usize,
}

impl SharedPrefix {
    /// The first position that `lane`, whose prefix this is, computes itself.
    pub fn first_own(self, lane: usize) -> usize {
        match self.owner == lane {
            true => 0,
            false => self.n,
        }
    }
}

/// Lanes in an order in which they can be prefilled: those that others read first.
pub fn owners_first(prefixes: &[SharedPrefix]) -> Vec<usize> {
    let is_owner = |lane: &usize| prefixes[*lane].owner == *lane;
    let owners = (0..prefixes.len()).filter(is_owner);
    let others = (0..prefixes.len()).filter(|lane| !is_owner(lane));
    owners.chain(others).collect()
}

impl LaneSpec {
    /// What is prefilled: all that the lane is given but the last, fed at its first step.
    pub fn prefilled(&self) -> &[Input] {
        &self.inputs[..self.inputs.len() - 1]
    }
}

/// Where each lane finds what it is given.
///
/// The longest comes first, so that a run and all its forks are one prefill, that of the fork which
/// begins last. A lane that reads another's positions owns none that a third could read; so it
/// reads them only where that saves it, and those with the same prompt, half of what they compute
/// otherwise: a common first word is no reason.
pub fn shared_prefixes(lanes: &[LaneSpec]) -> Vec<SharedPrefix> {
    let mut found: Vec<Option<SharedPrefix>> = vec![None; lanes.len()];
    let length = |lane: usize| lanes[lane].prefilled().len();
    // Of equally long ones the first.
    let next = |found: &[Option<SharedPrefix>]| {
        let left = (0..lanes.len()).filter(|lane| found[*lane].is_none());
        left.min_by_key(|lane| Reverse(length(*lane)))
    };
    while let Some(lane) = next(&found) {
        let prefilled = lanes[lane].prefilled();
        let is_alike = |other: &&LaneSpec| {
            let other = other.prefilled();
            other.len() == prefilled.len() && n_common(other, prefilled) == prefilled.len()
        };
        let n_alike = lanes.iter().filter(is_alike).count();
        let is_owner = |owner: &usize| found[*owner].is_some_and(|known| known.owner == *owner);
        let common = (0..lanes.len()).filter(is_owner).map(|owner| SharedPrefix {
            owner,
            n: n_common(prefilled, lanes[owner].prefilled()),
        });
        let longest = common.min_by_key(|prefix| Reverse(prefix.n));
        let saves =
            |prefix: &SharedPrefix| 2 * n_alike * (prefilled.len() - prefix.n) <= prefilled.len();
        found[lane] = Some(longest.filter(saves).unwrap_or(SharedPrefix {
            owner: lane,
            n: prefilled.len(),
        }));
    }
    found.into_iter().flatten().collect()
}

#[inline(never)] // Once in a page, for its size.
fn n_common(some: &[Input], others: &[Input]) -> usize {
    let pairs = some.iter().zip(others);
    pairs.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::program::Program;

    fn lane(tokens: &[u32]) -> LaneSpec {
        LaneSpec {
            inputs: Input::tokens(tokens),
            program: Program {
                start: Vec::new(),
                phases: Vec::new(),
            },
            seed: 0,
            stream: 0,
            decode_thoughts: false,
        }
    }

    fn found(prompts: &[&[u32]]) -> Vec<(usize, usize)> {
        let lanes: Vec<LaneSpec> = prompts.iter().map(|tokens| lane(tokens)).collect();
        let found = shared_prefixes(&lanes).into_iter();
        found.map(|prefix| (prefix.owner, prefix.n)).collect()
    }

    #[test]
    fn a_run_and_its_forks_are_one_prefill() {
        let (run, early, late) = (&[1, 2, 3][..], &[1, 2, 3, 4][..], &[1, 2, 3, 4, 5, 6][..]);
        assert_eq!(found(&[run, early, late]), [(2, 2), (2, 3), (2, 5)]);
        // A fork of a fork goes its own way behind what they have in common.
        let other = &[1, 2, 3, 4, 9, 9][..];
        assert_eq!(found(&[run, late, other]), [(1, 2), (1, 5), (1, 4)]);
    }

    #[test]
    fn samples_of_a_prompt_share_it_with_the_first_of_them() {
        let (some, others) = (&[1, 2, 3, 4][..], &[1, 9, 9, 9][..]);
        let expected = [(0, 3), (1, 3), (0, 3), (1, 3)];
        assert_eq!(found(&[some, others, some, others]), expected);
        // Half of it is common, and each of five would compute the other half itself.
        let (long, short) = (&[1, 2, 7, 7, 7][..], &[1, 2, 3, 4, 5][..]);
        assert_eq!(found(&[long, short]), [(0, 4), (0, 2)]);
        let five = [long, short, short, short, short, short];
        assert_eq!(found(&five)[1..], [(1, 4); 5]);
    }

    #[test]
    fn a_prompt_of_one_input_has_nothing_to_share() {
        assert_eq!(found(&[&[1], &[2], &[1, 2]]), [(2, 0), (2, 0), (2, 1)]);
    }

    proptest! {
        #[test]
        fn a_prefix_is_the_owners_own_and_costs_no_more_than_each_prompt_once(
            prompts in proptest::collection::vec(proptest::collection::vec(0_u32..2, 1..9), 1..9),
        ) {
            let lanes: Vec<LaneSpec> = prompts.iter().map(|tokens| lane(tokens)).collect();
            let found = shared_prefixes(&lanes);
            let computed = |(at, prefix): (usize, &SharedPrefix)| {
                lanes[at].prefilled().len() - prefix.first_own(at)
            };
            for (lane, prefix) in lanes.iter().zip(&found) {
                prop_assert_eq!(found[prefix.owner].owner, prefix.owner);
                let owned = &lanes[prefix.owner].prefilled()[..prefix.n];
                prop_assert_eq!(owned, &lane.prefilled()[..prefix.n]);
            }
            let mut place = vec![0; lanes.len()];
            for (at, &lane) in owners_first(&found).iter().enumerate() {
                place[lane] = at;
            }
            for (lane, prefix) in found.iter().enumerate() {
                prop_assert!(place[prefix.owner] <= place[lane]);
            }
            let mut distinct: Vec<&[Input]> = Vec::new();
            for lane in &lanes {
                if !distinct.contains(&lane.prefilled()) {
                    distinct.push(lane.prefilled());
                }
            }
            let most: usize = distinct.iter().map(|prompt| prompt.len()).sum();
            prop_assert!(found.iter().enumerate().map(computed).sum::<usize>() <= most);
        }
    }
}
