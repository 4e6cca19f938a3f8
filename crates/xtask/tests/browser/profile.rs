//! Folders of browsers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

/// A folder for a fresh browser profile; removed when dropped.
pub struct Profile(pub PathBuf);

impl Profile {
    pub fn create() -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("latent-browser-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // A file that the ending browser still holds stays behind in the temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
