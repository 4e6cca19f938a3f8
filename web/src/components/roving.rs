//! Groups that are one stop of the Tab key: the keys up and down go from one of their parts to the
//! next. Left and right walk through the steps of the run wherever the keyboard is.

use leptos::ev;

use crate::{
    browser::{focus_test_id, in_next_frame_of_page},
    focus::Focus,
    lanes::Lanes,
};

/// Where a key leads from a place among places up to `last`; nobody else hears of it then.
pub fn led_to(event: &ev::KeyboardEvent, from: usize, last: usize) -> Option<usize> {
    let to = match &*event.key() {
        "ArrowUp" => from.saturating_sub(1),
        "ArrowDown" => (from + 1).min(last),
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
