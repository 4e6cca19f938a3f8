//! Random word problems: a scene, what happens next, and a question.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{
    Problem,
    story::{LIMIT, Story},
};
use crate::tasks::random::SplitMix64;

/// How many steps a solution takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difficulty {
    /// Steps, 1 to 8.
    pub steps: RangeInclusive<usize>,
}

impl Difficulty {
    /// The classroom size: small enough to follow on a projector.
    pub const CLASS: Difficulty = Difficulty { steps: 2..=3 };
    /// About as many as in GSM8K, where the mean is 3.2.
    pub const OFFICIAL: Difficulty = Difficulty { steps: 2..=5 };
}

/// More would make stories that nobody wants to read.
const MAX_STEPS: usize = 8;

impl Problem {
    /// Draws a problem. The same seed gives the same problem on every machine. Numbers of steps
    /// outside of 1 to 8 are moved there.
    pub fn generate(seed: u64, difficulty: &Difficulty) -> Problem {
        let mut rng = SplitMix64::new(seed);
        let (least, most) = (*difficulty.steps.start(), *difficulty.steps.end());
        let n_steps = least + rng.below(most.saturating_sub(least) + 1);
        let n_steps = n_steps.clamp(1, MAX_STEPS);
        // This ends: five of eleven scenes take one step, and a story that gets and loses small
        // numbers can always go on.
        loop {
            if let Some(problem) = tell(&mut rng, n_steps) {
                return problem;
            }
        }
    }
}

/// Tells a story of exactly `n_steps` steps, or gives up.
fn tell(rng: &mut SplitMix64, n_steps: usize) -> Option<Problem> {
    let mut story = Story::new(rng);
    let scene = SCENES[story.rng.below(SCENES.len())];
    scene(&mut story)?;
    let n_left = n_steps.checked_sub(story.steps.len())?;
    let asks_more = n_left > 0 && story.rng.below(2) == 0;
    for _ in 0..n_left - usize::from(asks_more) {
        let event = EVENTS[story.rng.below(EVENTS.len())];
        event(&mut story)?;
    }
    let question = if asks_more {
        QUESTIONS[story.rng.below(QUESTIONS.len())]
    } else {
        how_many_now
    };
    question(&mut story)?;
    Some(story.into_problem())
}

/// A part of a story; `None` where the numbers do not allow it.
type Part = fn(&mut Story) -> Option<()>;

/// Beginnings, of one to three steps.
const SCENES: [Part; 11] = [
    packed,
    every_day,
    gathered,
    compared_more,
    compared_fewer,
    given_together,
    handed_out,
    in_rows,
    presents,
    sale,
    wages,
];
/// What happens next, one step each.
const EVENTS: [Part; 4] = [gets, gives, loses, gives_half];
/// Questions that take a step of their own.
const QUESTIONS: [Part; 4] = [sells_all, shares, packs, wants];

fn packed(story: &mut Story) -> Option<()> {
    let (a, b) = (story.number(2, 12), story.number(2, 12));
    let ([many, one], holder, things) = (story.container(), story.holder, story.things);
    story.say(format!(
        "{holder} has {a} {many} with {b} {things} in each {one}."
    ));
    story.step(a, '*', b).map(|_| ())
}

fn every_day(story: &mut Story) -> Option<()> {
    let (a, b) = (story.number(2, 20), story.number(2, 9));
    let (holder, things) = (story.holder, story.things);
    story.say(format!(
        "{holder} finds {a} {things} each day for {b} days."
    ));
    story.step(a, '*', b).map(|_| ())
}

fn gathered(story: &mut Story) -> Option<()> {
    let (a, b) = (story.number(2, 60), story.number(2, 40));
    let (holder, things) = (story.holder, story.things);
    story.say(format!(
        "{holder} has {a} {things} and buys {b} more {things}."
    ));
    story.step(a, '+', b).map(|_| ())
}

fn compared_more(story: &mut Story) -> Option<()> {
    let (a, b) = (story.number(2, 40), story.number(2, 30));
    let (holder, other, things) = (story.holder, story.other, story.things);
    story.say(format!(
        "{other} has {a} {things}. {holder} has {b} more {things} than {other}."
    ));
    story.step(a, '+', b).map(|_| ())
}

fn compared_fewer(story: &mut Story) -> Option<()> {
    let (a, b) = (story.number(4, 60), story.number(2, 50));
    let (holder, other, things) = (story.holder, story.other, story.things);
    story.say(format!(
        "{other} has {a} {things}. {holder} has {b} fewer {things} than {other}."
    ));
    story.step(a, '-', b).map(|_| ())
}

fn given_together(story: &mut Story) -> Option<()> {
    let (a, b) = (story.number(2, 30), story.number(2, 6));
    let (holder, other, things) = (story.holder, story.other, story.things);
    story.say(format!("{holder} has {a} {things}."));
    story.say(format!(
        "{other} has {b} times as many {things} as {holder}."
    ));
    story.say(format!(
        "Then {other} gives all of the {things} to {holder}."
    ));
    let others = story.step(a, '*', b)?;
    story.step(a, '+', others).map(|_| ())
}

fn handed_out(story: &mut Story) -> Option<()> {
    let (a, b, c) = (story.number(10, 99), story.number(2, 9), story.number(2, 9));
    let (holder, things) = (story.holder, story.things);
    story.say(format!(
        "{holder} has {a} {things} and gives {b} {things} to each of {c} friends."
    ));
    let given = story.step(b, '*', c)?;
    story.step(a, '-', given).map(|_| ())
}

fn in_rows(story: &mut Story) -> Option<()> {
    let (a, b, c) = (story.number(2, 9), story.number(2, 12), story.number(2, 30));
    let (holder, things) = (story.holder, story.things);
    story.say(format!(
        "{holder} puts {a} rows of {b} {things} on a table and {c} {things} on a chair."
    ));
    let rows = story.step(a, '*', b)?;
    story.step(rows, '+', c).map(|_| ())
}

fn presents(story: &mut Story) -> Option<()> {
    let (a, b, c) = (story.number(2, 15), story.number(2, 15), story.number(2, 9));
    let (holder, things) = (story.holder, story.things);
    story.say(format!(
        "{a} boys and {b} girls each give {c} {things} to {holder}."
    ));
    let children = story.step(a, '+', b)?;
    story.step(children, '*', c).map(|_| ())
}

fn sale(story: &mut Story) -> Option<()> {
    let (a, b) = (story.number(2, 12), story.number(2, 9));
    let (c, d) = (story.number(2, 12), story.number(2, 9));
    let (holder, first) = (story.holder, story.things);
    let second = if first == "books" { "pens" } else { "books" };
    story.things = "dollars";
    story.say(format!(
        "{holder} sells {a} {first} for {b} dollars each and {c} {second} for {d} dollars each."
    ));
    let (first, second) = (story.step(a, '*', b)?, story.step(c, '*', d)?);
    story.step(first, '+', second).map(|_| ())
}

fn wages(story: &mut Story) -> Option<()> {
    let (a, b, c) = (story.number(2, 8), story.number(2, 7), story.number(2, 20));
    story.things = "dollars";
    let holder = story.holder;
    story.say(format!(
        "{holder} works {a} hours each day for {b} days and earns {c} dollars each hour."
    ));
    let hours = story.step(a, '*', b)?;
    story.step(hours, '*', c).map(|_| ())
}

fn gets(story: &mut Story) -> Option<()> {
    let (count, more) = (story.count, story.number(2, 50));
    let (holder, things) = (story.holder, story.things);
    story.say(format!("Then {holder} gets {more} more {things}."));
    story.step(count, '+', more).map(|_| ())
}

fn gives(story: &mut Story) -> Option<()> {
    let most = (story.count - 1).min(60);
    let (count, given) = (story.count, story.number(2, most));
    let (holder, other, things) = (story.holder, story.other, story.things);
    story.say(format!("Then {holder} gives {given} {things} to {other}."));
    story.step(count, '-', given).map(|_| ())
}

fn loses(story: &mut Story) -> Option<()> {
    let most = (story.count - 1).min(30);
    let (count, lost) = (story.count, story.number(2, most));
    let (holder, things) = (story.holder, story.things);
    story.say(format!("Then {holder} loses {lost} {things}."));
    story.step(count, '-', lost).map(|_| ())
}

fn gives_half(story: &mut Story) -> Option<()> {
    let (holder, other, things) = (story.holder, story.other, story.things);
    story.say(format!(
        "Then {holder} gives half of the {things} to {other}."
    ));
    story.step(story.count, '/', 2).map(|_| ())
}

fn how_many_now(story: &mut Story) -> Option<()> {
    let (holder, things) = (story.holder, story.things);
    story.say(format!("How many {things} does {holder} have now?"));
    Some(())
}

fn sells_all(story: &mut Story) -> Option<()> {
    if story.things == "dollars" {
        return None;
    }
    let (count, price) = (story.count, story.number(2, 9));
    let (holder, things) = (story.holder, story.things);
    story.say(format!(
        "Then {holder} sells all of the {things} for {price} dollars each."
    ));
    story.say(format!("How many dollars does {holder} get?"));
    story.step(count, '*', price).map(|_| ())
}

fn shares(story: &mut Story) -> Option<()> {
    let (count, friends) = (story.count, story.divisor()?);
    let (holder, things) = (story.holder, story.things);
    story.say(format!(
        "Then {holder} shares the {things} equally among {friends} friends."
    ));
    story.say(format!("How many {things} does each friend get?"));
    story.step(count, '/', friends).map(|_| ())
}

fn packs(story: &mut Story) -> Option<()> {
    let ([many, one], size) = (story.container(), story.divisor()?);
    let (count, holder, things) = (story.count, story.holder, story.things);
    story.say(format!("Then {holder} puts {size} {things} in each {one}."));
    story.say(format!("How many {many} does {holder} need?"));
    story.step(count, '/', size).map(|_| ())
}

fn wants(story: &mut Story) -> Option<()> {
    let (count, missing) = (story.count, story.number(2, 90));
    let (holder, things) = (story.holder, story.things);
    let wanted = count + missing;
    if wanted >= LIMIT {
        return None;
    }
    story.say(format!("{holder} wants {wanted} {things}."));
    story.say(format!("How many more {things} does {holder} need?"));
    story.step(wanted, '-', count).map(|_| ())
}
