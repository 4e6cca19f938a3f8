//! Keeps the browser's address and the page's state equal, in both directions.

use gloo::events::EventListener;
use latent_model::address::AddressError;
use leptos::prelude::*;

use crate::{
    browser::{hash, now_ms, push_hash, replace_hash},
    catalogue::SiteCatalogue,
    notice::{Notice, Notices, Topic},
    page_signals::PageSignals,
    page_state::{DEFAULT_TASK, Opened, PageState},
    playback::{LeaveRecording, Playing},
    runner::Runner,
    words::words,
};

/// The address as it is while it says more than the page has: it stays until something is changed,
/// so that a link that was not understood is not lost.
#[derive(Clone, Copy)]
pub struct AddressBar {
    site: SiteCatalogue,
    notices: Notices,
    says_more: StoredValue<bool>,
}

impl AddressBar {
    /// The address bar, and the state that its address stands for.
    pub fn open(site: SiteCatalogue, notices: Notices) -> (Self, PageState) {
        let bar = Self {
            site,
            notices,
            says_more: StoredValue::new(false),
        };
        let state = match bar.read() {
            Ok(opened) => bar.take(opened),
            Err(error) => {
                bar.says_more.set_value(true);
                notices.show(Topic::Address, Notice::bad_address(&error));
                let of_task = |catalogue: &_| PageState::of_task(DEFAULT_TASK, catalogue);
                site.catalogue.with_value(of_task)
            }
        };
        (bar, state)
    }

    /// Writes every change of the state into the address, and takes over the address that the
    /// visitor puts in its place. A change of what defines a run forgets the run, and is an entry
    /// of the browser's history: Back leads to what was there before.
    pub fn keep(self, signals: PageSignals, runner: Runner, leave: LeaveRecording) {
        let state = Memo::new(move |_| signals.get());
        let last_entry_ms = StoredValue::new(f64::NEG_INFINITY);
        Effect::new(move |before: Option<PageState>| {
            let now = state.get();
            let is_other_run = before.is_some_and(|before| before.is_other_run(&now));
            if !self.says_more.get_value() {
                let since_ms = now_ms() - last_entry_ms.get_value();
                match entry(&hash(), &now.hash(), is_other_run, since_ms) {
                    Entry::None => {}
                    Entry::Changed => replace_hash(&now.hash()),
                    Entry::New => {
                        push_hash(&now.hash());
                        last_entry_ms.set_value(now_ms());
                    }
                }
                self.notices.clear(Topic::Address);
            }
            self.says_more.set_value(false);
            if is_other_run {
                runner.reset();
            }
            let is_of_another = |playing: &Playing| playing.state.is_other_run(&now);
            if untrack(|| {
                runner
                    .playing
                    .with(|playing| playing.as_ref().is_some_and(is_of_another))
            }) {
                leave.0.run(());
            }
            now
        });
        let listener = EventListener::new(&window(), "hashchange", move |_| match self.read() {
            // Nothing will change, so nothing would take the mark away.
            Ok(opened) if opened.state == state.get_untracked() => {
                self.take(opened);
                self.says_more.set_value(false);
            }
            Ok(opened) => {
                // The visitor's entry is there already.
                last_entry_ms.set_value(now_ms());
                signals.set(self.take(opened));
            }
            Err(error) => {
                let notice = Notice::bad_address(&error).advice(words().address_changed_nothing);
                self.notices.show(Topic::Address, notice);
            }
        });
        // The page listens for as long as it is open.
        listener.forget();
    }

    fn read(self) -> Result<Opened, AddressError> {
        let read = |catalogue: &_| PageState::from_hash(&hash(), catalogue);
        self.site.catalogue.with_value(read)
    }

    /// The state, and a notice of what it lacks.
    fn take(self, opened: Opened) -> PageState {
        let Opened { state, left_out } = opened;
        self.says_more.set_value(!left_out.is_empty());
        match left_out.is_empty() {
            true => self.notices.clear(Topic::Address),
            false => self
                .notices
                .show(Topic::Address, Notice::left_out(&left_out)),
        }
        state
    }
}

/// What a change of the state makes of the browser's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// The address is that already: it was the address that changed the state.
    None,
    /// The newest entry is changed.
    Changed,
    /// There is a new entry.
    New,
}

/// Changes that follow each other this closely are one entry: a slider's way, a word that is typed.
const ONE_ENTRY_MS: f64 = 1000.0;

fn entry(address: &str, now: &str, is_other_run: bool, since_ms: f64) -> Entry {
    if address.trim_start_matches('#') == now {
        Entry::None
    } else if is_other_run && since_ms > ONE_ENTRY_MS {
        Entry::New
    } else {
        Entry::Changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_run_is_an_entry_of_the_history_and_a_slider_moves_within_one() {
        assert_eq!(entry("#seed=1", "seed=1", true, 5e3), Entry::None);
        assert_eq!(entry("#seed=1", "seed=2", true, 5e3), Entry::New);
        assert_eq!(entry("#seed=2", "seed=3", true, 80.0), Entry::Changed);
        assert_eq!(
            entry("#seed=1", "seed=1&step=3", false, 5e3),
            Entry::Changed
        );
    }
}
