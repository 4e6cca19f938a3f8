//! What the page has to tell when something went wrong, and what can be done about it.

use std::{collections::BTreeMap, fmt::Display};

use latent_model::address::AddressError;
use leptos::prelude::*;

use crate::{chunk::MissingChunk, gpu::Loss, load::LoadError, session::SessionError, words::words};

/// A message with advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What happened, in a few words.
    pub title: String,
    /// The error's own text: expected and found.
    pub detail: String,
    /// What to do.
    pub advice: String,
    /// Whether going on with the reference engine would help.
    pub offers_reference: bool,
}

/// What a message is about. Of each there is one message at a time, and it goes when its cause
/// does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The page's own lists.
    Lists,
    /// A panel that was opened, until it has come.
    Panel,
    /// A model that somebody brings, until another one is opened.
    Brought,
    /// The address, until something is changed.
    Address,
    /// The GPU, until it is given up.
    Engine,
    /// The lanes and their run, until another one begins or something is changed.
    Run,
}

impl Notice {
    /// A message about an error.
    pub fn new(title: &str, error: &dyn Display) -> Self {
        Self {
            title: title.into(),
            detail: error.to_string(),
            advice: String::new(),
            offers_reference: false,
        }
    }

    /// The same with advice.
    pub fn advice(mut self, advice: &str) -> Self {
        self.advice = advice.into();
        self
    }

    /// One of the page's lists did not arrive.
    pub fn missing_list(error: &LoadError) -> Self {
        Self::new(words().lists_missing, error).advice(words().lists_missing_advice)
    }

    /// The address was not understood.
    pub fn bad_address(error: &AddressError) -> Self {
        Self::new(words().address_not_understood, error)
            .advice(words().address_not_understood_advice)
    }

    /// Parts of the address cannot be on this page, each with its reason as a sentence.
    pub fn left_out(reasons: &[String]) -> Self {
        Self::new(words().left_out, &reasons.join(" ")).advice(words().left_out_advice)
    }

    /// What a panel needs did not arrive.
    pub fn missing_panel(error: &MissingChunk) -> Self {
        Self::new(words().panel_missing, error).advice(words().panel_missing_advice)
    }

    /// A file that is no recording, or one of another page.
    pub fn bad_recording(error: &dyn Display) -> Self {
        Self::new(words().recording_fails, error)
    }

    /// A model that somebody brings is not opened; what was there before is as it was.
    pub fn not_opened(error: &LoadError) -> Self {
        let advice = match error {
            LoadError::Stopped { .. } => words().open_again,
            LoadError::Network { .. } | LoadError::Cut { .. } | LoadError::Chunk(_) => {
                words().open_check_network
            }
            LoadError::Missing { .. } | LoadError::Status { .. } | LoadError::Address { .. } => {
                words().open_check_address
            }
            _ => words().open_another,
        };
        Self::new(words().not_opened, error).advice(advice)
    }

    /// A checkpoint cannot be used.
    pub fn no_checkpoint(error: &LoadError) -> Self {
        match error {
            LoadError::Missing { .. } => {
                Self::new(words().checkpoint_not_here, error).advice(words().checkpoint_advice)
            }
            LoadError::Network { .. }
            | LoadError::Cut { .. }
            | LoadError::Stopped { .. }
            | LoadError::Chunk(_) => {
                Self::new(words().checkpoint_not_loaded, error).advice(words().network_advice)
            }
            _ => Self::new(words().checkpoint_unusable, error).advice(words().checkpoint_advice),
        }
    }

    /// A run did not begin or did not go on.
    pub fn run_failed(error: &SessionError, uses_gpu: bool) -> Self {
        match error {
            error if uses_gpu && error.is_of_size() => Self::too_large(error),
            error if uses_gpu && error.is_of_gpu() => Self::gpu_failed(error),
            SessionError::Load(error) => Self::no_checkpoint(error),
            SessionError::Prompt(_) | SessionError::Evaluation(_) => {
                Self::new(words().unreadable_problem, error)
                    .advice(words().unreadable_problem_advice)
            }
            SessionError::Chat(_) => Self::new(words().cannot_chat, error).advice(words().chat_off),
            SessionError::Strategy(_) | SessionError::Engine(_) | SessionError::Treatment(_) => {
                Self::new(words().lane_cannot_run, error).advice(words().lane_cannot_run_advice)
            }
            SessionError::Gpu(_) | SessionError::NotBegun | SessionError::Overtaken => {
                Self::new(words().run_stopped, error).advice(words().run_stopped_advice)
            }
        }
    }

    /// The engines gave no further records although lanes were not at their end.
    pub fn stalled() -> Self {
        let detail = "the engine expected a further step of a lane that is not done, found none";
        Self::new(words().run_stopped, &detail).advice(words().run_stopped_advice)
    }

    /// A checkpoint or its lanes do not fit the GPU.
    pub fn too_large(error: &dyn Display) -> Self {
        Self {
            offers_reference: true,
            ..Self::new(words().gpu_too_small, error).advice(words().gpu_too_small_advice)
        }
    }

    /// The GPU was lost or refused its work.
    pub fn gpu_failed(error: &dyn Display) -> Self {
        Self {
            offers_reference: true,
            ..Self::new(words().gpu_stopped, error).advice(words().gpu_stopped_advice)
        }
    }

    /// The GPU's device was lost, and something else took its place.
    pub fn gpu_lost(loss: &Loss) -> Self {
        match loss {
            Loss::Renewed(error) => {
                Self::new(words().gpu_renewed, error).advice(words().gpu_renewed_advice)
            }
            Loss::GivenUp(error) => {
                Self::new(words().gpu_given_up, error).advice(words().gpu_given_up_advice)
            }
        }
    }

    /// The self-test found a difference, and the CPU took over.
    pub fn gpu_disagrees(verdict: &str) -> Self {
        Self::new(words().gpu_disagrees, &verdict).advice(words().gpu_disagrees_advice)
    }
}

/// The messages that are shown.
#[derive(Clone, Copy, Default)]
pub struct Notices(RwSignal<BTreeMap<Topic, Notice>>);

impl Notices {
    /// Shows a message in place of the last one about this.
    pub fn show(self, topic: Topic, notice: Notice) {
        self.0.update(|shown| {
            shown.insert(topic, notice);
        });
    }

    /// Takes the message about this away.
    pub fn clear(self, topic: Topic) {
        if self.0.with_untracked(|shown| shown.contains_key(&topic)) {
            self.0.update(|shown| {
                shown.remove(&topic);
            });
        }
    }

    /// The messages, each with what it is about; tracks them.
    pub fn get(self) -> Vec<(Topic, Notice)> {
        self.0.get().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use latent_gpu::GpuError;
    use latent_model::engine::EngineError;

    use super::*;
    use crate::load::Absence;

    #[test]
    fn a_checkpoint_that_is_not_there_is_no_matter_of_the_network() {
        let url = || "models/a/config.json".to_string();
        let missing = LoadError::Missing {
            url: url(),
            absence: Absence::Page,
        };
        let notice = Notice::run_failed(&missing.into(), true);
        assert!(!notice.advice.contains("network"), "{notice:?}");
        let expected = "missing: models/a/config.json (the server answered with a page)";
        assert_eq!(notice.detail, expected);
        let network = LoadError::Network {
            url: url(),
            reason: "offline".into(),
        };
        let notice = Notice::run_failed(&network.into(), true);
        assert!(notice.advice.contains("network"), "{notice:?}");
    }

    #[test]
    fn a_lost_device_offers_the_reference_engine_only_where_there_was_a_gpu() {
        let lost = SessionError::Engine(EngineError::Device("lost".into()));
        assert!(Notice::run_failed(&lost, true).offers_reference);
        assert!(!Notice::run_failed(&lost, false).offers_reference);
    }

    #[test]
    fn a_gpu_that_is_too_small_is_not_a_broken_one() {
        let full = GpuError::OutOfMemory {
            what: "the run's lanes".into(),
            needed: 12,
            available: 34,
        };
        let errors = [
            SessionError::Gpu(full.clone()),
            SessionError::Engine(full.into()),
        ];
        for error in errors {
            let notice = Notice::run_failed(&error, true);
            assert_eq!(notice.title, words().gpu_too_small, "{notice:?}");
            assert!(notice.detail.contains("12 bytes"), "{notice:?}");
            assert!(notice.detail.contains("up to 34 bytes"), "{notice:?}");
            assert!(notice.offers_reference);
        }
    }
}
