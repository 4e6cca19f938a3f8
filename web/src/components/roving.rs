//! Groups that are one stop of the Tab key: arrow keys go from one of their parts to the next.

use leptos::{ev, prelude::*};

use crate::{
    browser::{focus_test_id, in_next_frame_of_page},
    focus::Focus,
    lanes::Lanes,
};

/// Where a key leads from a place among places up to `last`; the page's own arrow keys, which walk
/// through steps, do not hear of it then.
pub fn led_to(event: &ev::KeyboardEvent, from: usize, last: usize) -> Option<usize> {
    let to = match &*event.key() {
        "ArrowUp" | "ArrowLeft" => from.saturating_sub(1),
        "ArrowDown" | "ArrowRight" => (from + 1).min(last),
        "Home" => 0,
        "End" => last,
        _ => return None,
    };
    event.prevent_default();
    event.stop_propagation();
    Some(to)
}

/// As HTML writes it.
pub fn tabindex(is_stop: bool) -> &'static str {
    if is_stop { "0" } else { "-1" }
}

/// Among buttons that each choose a lane, `testid-0` and so on, the one that a key leads to is
/// chosen and has the keyboard.
pub fn walk_lanes(
    event: &ev::KeyboardEvent,
    from: usize,
    testid: &'static str,
    (lanes, focus): (Lanes, Focus),
) {
    let all = lanes.get_untracked();
    if let Some(to) = led_to(event, from, all.len().saturating_sub(1))
        && let Some(lane) = all.get(to)
    {
        focus.choose(lane.id);
        // It is drawn anew, as what is chosen.
        in_next_frame_of_page(move || focus_test_id(&[&format!("{testid}-{to}")]));
    }
}

/// Buttons by their `data-testid`s, some of which may be disabled for a while: the stop is the one
/// that had the keyboard last, or the first that can have it.
#[derive(Clone, Copy)]
pub struct Toolbar {
    testids: &'static [&'static str],
    /// The places of those that are not disabled.
    open: Memo<Vec<usize>>,
    last: RwSignal<usize>,
}

impl Toolbar {
    /// `is_open` tells whether the button at a place can be pressed.
    pub fn new(
        testids: &'static [&'static str],
        is_open: impl Fn(usize) -> bool + Send + Sync + 'static,
    ) -> Self {
        let open = Memo::new(move |_| (0..testids.len()).filter(|place| is_open(*place)).collect());
        Self {
            testids,
            open,
            last: RwSignal::new(0),
        }
    }

    /// The stop among the open places.
    fn stop(self) -> usize {
        let last = self.last.get();
        let found = |open: &Vec<usize>| open.iter().position(|place| *place == last);
        self.open.with(found).unwrap_or(0)
    }

    /// The `tabindex` of the button at a place.
    pub fn tabindex(self, place: usize) -> &'static str {
        let stop = self.stop();
        tabindex(self.open.with(|open| open.get(stop) == Some(&place)))
    }

    /// A key was pressed in the group.
    pub fn walk(self, event: &ev::KeyboardEvent) {
        let open = self.open.get_untracked();
        let from = untrack(|| self.stop());
        if let Some(to) = led_to(event, from, open.len().saturating_sub(1))
            && let Some(&place) = open.get(to)
        {
            self.last.set(place);
            focus_test_id(&[self.testids[place]]);
        }
    }

    /// The button at a place has the keyboard.
    pub fn has_keyboard(self, place: usize) {
        self.last.set(place);
    }
}
