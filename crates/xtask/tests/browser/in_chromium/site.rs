//! The built page in a folder of its own, so that a test can put other files there.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use xtask::workspace;

/// A folder of links to the built page's files; removed when dropped.
pub struct Site(PathBuf);

impl Site {
    /// The page as it was built.
    pub fn of_dist() -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("latent-site-{}-{number}", std::process::id());
        let site = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&site.0)?;
        for entry in std::fs::read_dir(workspace::dist())? {
            let entry = entry?;
            std::os::unix::fs::symlink(entry.path(), site.0.join(entry.file_name()))?;
        }
        Ok(site)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Puts a file there, in place of the page's own where it has one of this name.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let place = self.0.join(name);
        if place.is_symlink() {
            std::fs::remove_file(&place)?;
        }
        std::fs::write(&place, bytes).with_context(|| format!("cannot write {}", place.display()))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Its links go, and not what they lead to.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
