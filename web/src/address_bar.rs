//! Keeps the browser's address and the page's state equal, in both directions.

use gloo::events::EventListener;
use latent_model::address::AddressError;
use leptos::prelude::*;

use crate::{
    browser::{hash, replace_hash},
    catalogue::SiteCatalogue,
    notice::{Notice, Notices, Topic},
    page_signals::PageSignals,
    page_state::{DEFAULT_TASK, Opened, PageState},
    runner::Runner,
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
    /// visitor puts in its place. A change of what defines a run forgets the run.
    pub fn keep(self, signals: PageSignals, runner: Runner) {
        let state = Memo::new(move |_| signals.get());
        Effect::new(move |before: Option<PageState>| {
            let now = state.get();
            if !self.says_more.get_value() {
                replace_hash(&now.hash());
                self.notices.clear(Topic::Address);
            }
            self.says_more.set_value(false);
            if before.is_some_and(|before| before.is_other_run(&now)) {
                runner.reset();
            }
            now
        });
        let listener = EventListener::new(&window(), "hashchange", move |_| match self.read() {
            // Nothing will change, so nothing would take the mark away.
            Ok(opened) if opened.state == state.get_untracked() => {
                self.take(opened);
                self.says_more.set_value(false);
            }
            Ok(opened) => signals.set(self.take(opened)),
            Err(error) => {
                let notice = Notice::bad_address(&error).advice("Nothing on the page was changed.");
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
