//! How much room the screen has, where the style sheet alone cannot follow it.

use gloo::events::EventListener;
use leptos::prelude::*;

/// A phone, as the style sheet's own query says it.
const PHONE: &str = "(max-width: 600px)";

/// Whether the screen is that of a phone, now and when it changes.
pub fn is_phone() -> ReadSignal<bool> {
    let (is_phone, set) = signal(false);
    if let Ok(Some(query)) = window().match_media(PHONE) {
        set.set(query.matches());
        let listener = EventListener::new(&query.clone(), "change", move |_| {
            // The component that asked may be gone by then.
            let _ = set.try_set(query.matches());
        });
        let listener = StoredValue::new_local(listener);
        on_cleanup(move || listener.dispose());
    }
    is_phone
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_style_sheet_has_the_same_phone() {
        let css = include_str!("../../style.css");
        assert!(css.contains(&format!("@media {}", super::PHONE)));
    }
}
