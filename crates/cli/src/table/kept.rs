//! What an earlier `latent table` measured: a training takes longer than a row, and a checkpoint that
//! does not ship is gone by the time another row is wanted.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use latent_model::evidence::{Origin, Outcome, RowOfTable, Table};

use super::{NOTHING, TABLE, args::TableArgs, suite::Suite};
use crate::evidence;

/// The table that stands in the folder which is written.
pub struct Kept {
    path: PathBuf,
    table: Table,
}

impl Kept {
    /// Reads it.
    ///
    /// # Errors
    /// If there is none, and if the suite asks for more than a table, which is not kept.
    pub fn read(args: &TableArgs, suite: &Suite) -> Result<Self> {
        ensure!(
            suite.thoughts.is_none() && suite.thinking.is_empty(),
            "--keep keeps the rows of a table, and {} asks for thoughts or thinking, too",
            args.suite.display()
        );
        let folder = args.folder();
        let table = evidence::read(&folder, TABLE).context("--keep")?;
        let path = folder.join(TABLE);
        Ok(Self { path, table })
    }

    /// Puts what was measured before into rows that were not measured now.
    ///
    /// # Errors
    /// If it was made of other problems or on another engine.
    pub fn put(&self, rows: &mut [RowOfTable], origin: &mut Origin) -> Result<()> {
        let (path, was) = (self.path.display(), &self.table.origin);
        ensure!(
            (was.seed, &was.sets) == (origin.seed, &origin.sets),
            "--keep: {path} was measured on other problems; `{}` made it",
            was.command
        );
        ensure!(
            [NOTHING, &was.engine].contains(&&*origin.engine),
            "--keep: {path} was measured on {:?}, not on {:?}",
            was.engine,
            origin.engine
        );
        origin.engine.clone_from(&was.engine);
        for row in rows {
            let is_measured = |row: &RowOfTable| matches!(row.outcome, Outcome::Measured { .. });
            let mut before = self.table.rows.iter().filter(|before| is_measured(before));
            if !is_measured(row)
                && let Some(before) = before.find(|before| same_cell(before, row))
            {
                row.outcome = before.outcome.clone();
            }
        }
        Ok(())
    }
}

/// Whether two rows ask for the same measurement.
fn same_cell(a: &RowOfTable, b: &RowOfTable) -> bool {
    let key = |row: &RowOfTable| {
        let (model, adapters) = (row.model.clone(), row.adapters.clone());
        let how = (row.strategy.clone(), row.set.clone());
        (row.task.clone(), model, adapters, how)
    };
    key(a) == key(b)
}
