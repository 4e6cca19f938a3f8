//! What was measured, for people, from what the JSON files hold.

use std::{fmt::Write, path::Path};

use anyhow::Result;
use latent_model::evidence::{Measured, Origin, Outcome, RowOfTable, SetOfTable, Table};

use super::{TABLE, thinking::ThinkingDocument, thoughts::ThoughtsDocument};
use crate::evidence;

/// The table for people, one for each task.
pub fn markdown(table: &Table) -> String {
    let tables: Vec<String> = table
        .tasks()
        .iter()
        .map(|task| table_of_task(table, task))
        .collect();
    let Origin {
        command,
        version,
        engine,
        ..
    } = &table.origin;
    let made = format!("Made by `{command}` ({version}; {engine}).");
    let findings: Vec<String> = table
        .findings
        .iter()
        .map(|finding| format!("- {}\n", finding.sentence))
        .collect();
    let mut text = format!("{}\n{made}\n", tables.join("\n"));
    if !findings.is_empty() {
        text += &format!("\n{}", findings.concat());
    }
    text
}

fn table_of_task(table: &Table, task: &str) -> String {
    let sets = table.sets_of(task);
    let heads: Vec<String> = sets
        .iter()
        .map(|set| format!(" {}, n {}, % | thinking + answer tokens |", set.name, set.n))
        .collect();
    let mut text = format!(
        "| {task} | paper, % | its tokens |{} checkpoint | strategy |\n",
        heads.concat()
    );
    text += &format!("|{}\n", "---|".repeat(5 + 2 * sets.len()));
    for row in table.rows_of(task) {
        text += &row_markdown(row, &sets);
    }
    text.push('\n');
    for set in &sets {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "*{}*: {}.", set.name, set.source);
    }
    if let Some(note) = table.notes.get(task) {
        let _ = writeln!(text, "\n{note}");
    }
    text
}

fn row_markdown(row: &RowOfTable, sets: &[&SetOfTable]) -> String {
    let figure = |digits: Option<f64>| digits.map_or("–".into(), |value| format!("{value:.1}"));
    let paper = row.paper.map_or("–".into(), |paper| {
        let spread = paper.spread.map(|spread| format!(" ±{spread:.1}"));
        format!("{:.1}{}", paper.accuracy, spread.unwrap_or_default())
    });
    let paper_tokens = figure(row.paper.and_then(|paper| paper.tokens));
    let ours: Vec<String> = sets
        .iter()
        .map(|set| {
            let result = row.outcome.on(&set.name);
            let accuracy = match (result, &row.outcome) {
                (Some(result), _) => result.text(),
                (None, Outcome::NotTrained) => "not trained".into(),
                (None, _) => "left out".into(),
            };
            let tokens = result.map_or("–".into(), Measured::tokens_text);
            format!(" {accuracy} | {tokens} |")
        })
        .collect();
    let adapters: Vec<String> = row.adapters.iter().map(|name| format!("/{name}")).collect();
    let settings: Vec<String> = row.set.iter().map(|set| format!(" {set}")).collect();
    format!(
        "| {} | {paper} | {paper_tokens} |{} `{}{}` | `{}{}` |\n",
        row.method,
        ours.concat(),
        row.model,
        adapters.concat(),
        row.strategy,
        settings.concat(),
    )
}

/// What a suite's folder of evidence holds, for people: a section of the results, which lie in
/// `docs`.
pub fn section(folder: &Path) -> Result<String> {
    let table: Table = evidence::read(folder, TABLE)?;
    let mut text = format!(
        "## {}\n\n{}\n\n{}",
        table.title,
        table.introduction,
        markdown(&table)
    );
    if folder.join("thoughts.json").exists() {
        let thoughts: ThoughtsDocument = evidence::read(folder, "thoughts.json")?;
        let name = folder.file_name().unwrap_or_default().display();
        text += &format!(
            "
### Accuracy against the number of thoughts

![Accuracy against the number of continuous thoughts](../public/evidence/{name}/thoughts.svg)

{}",
            thoughts.markdown()
        );
    }
    if folder.join("thinking.json").exists() {
        let thinking: ThinkingDocument = evidence::read(folder, "thinking.json")?;
        text += &format!(
            "
### How sure each way of thinking is

The same weights decoded in several ways. Runs of one problem differ in their noise, and the \
interval allows for it. Steps and entropies are those of the official problems; a branch point \
is a word at which the problem's statements offer more than one way on.

{}",
            thinking.markdown()
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde::de::DeserializeOwned;

    use latent_model::{
        evaluation::Evaluation,
        metrics::{clustered_wilson, wilson},
    };

    use super::{super::suite::Suite, *};

    const JSON: &str = include_str!("../../tests/fixtures/table.json");
    const MARKDOWN: &str = include_str!("../../tests/fixtures/table.md");

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
    }

    fn read(path: &str) -> String {
        let path = root().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn a_table_reads_as_it_should_and_hides_no_row() {
        let table: Table = serde_json::from_str(JSON).expect("the fixture is a table");
        assert_eq!(markdown(&table), MARKDOWN);
        assert!(MARKDOWN.contains("| iCoT | 98.2 ±0.3 | 8.2 | not trained | – |"));
        for row in &table.rows {
            assert!(MARKDOWN.contains(&row.method), "{}", row.method);
        }
        let again = serde_json::to_string_pretty(&table).expect("a table is JSON");
        assert_eq!(again.trim(), JSON.trim());
    }

    #[test]
    fn intervals_are_those_of_the_metrics() {
        let rates: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i < 31))).collect();
        let evaluation = Evaluation {
            accuracy: clustered_wilson(&rates, 1),
            rates,
            malformed: 0.0,
            solved_by_any: 0.0,
            mean_think_steps: 6.0,
            mean_answer_tokens: 3.5,
            mean_entropy: None,
            branches: None,
        };
        let measured = Measured::new("official", &evaluation);
        let interval = wilson(31, 40).expect("n > 0");
        assert_eq!((measured.accuracy, measured.tokens), (interval, 9.5));
    }

    fn evidence<T: DeserializeOwned>(name: &str) -> T {
        let json = read(&format!("public/evidence/{name}"));
        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The suites, each with whether it asks how sure each way of thinking is.
    const SUITES: [(&str, &str, bool); 2] = [
        ("coconut", include_str!("../../suites/coconut.toml"), true),
        ("ccot", include_str!("../../suites/ccot.toml"), false),
    ];

    /// The suite of checkpoints that do not ship.
    const STUDIES: (&str, &str) = (
        "ccot-studies",
        include_str!("../../suites/ccot-studies.toml"),
    );

    #[test]
    fn the_tables_that_ship_are_those_of_their_suites() {
        let of_shipped = SUITES.map(|(name, text, _)| (name, text));
        for (name, text) in of_shipped.into_iter().chain([STUDIES]) {
            let suite = Suite::parse(text).expect("it ships");
            let table: Table = evidence(&format!("{name}/table.json"));
            assert_eq!(table.title, suite.title, "{name}");
            assert_eq!(table.introduction, suite.introduction, "{name}");
            assert_eq!(table.notes, suite.notes, "{name}");
            let n_cells: usize = suite.rows.iter().map(|row| row.cells.len()).sum();
            assert_eq!(table.rows.len(), n_cells, "{name}: run `latent table`");
        }
    }

    #[test]
    fn the_readme_is_short_and_holds_no_figure() {
        let readme = read("README.md");
        assert!(readme.len() <= 8 * 1024, "{} bytes", readme.len());
        assert!(readme.contains("docs/results.md"));
        let is_figure = |word: &str| word.contains('.') && word.parse::<f64>().is_ok();
        let figures: Vec<&str> = readme
            .split(|c: char| c.is_whitespace() || "[](),".contains(c))
            // The numbers of papers on arXiv have four digits in front.
            .filter(|word| is_figure(word) && word.find('.') != Some(4))
            .collect();
        assert!(
            figures.is_empty(),
            "measured figures belong to the results: {figures:?}"
        );
    }

    /// Whether a row was measured on the weights that ship, or there are none.
    fn assert_of_weights_that_ship<R>(model: &str, adapters: Option<&str>, outcome: &Outcome<R>) {
        let folder = root().join("public/models").join(model);
        let ships = folder.join("config.json").exists()
            && adapters.is_none_or(|name| folder.join(name).exists());
        let Outcome::Measured { weights_sha256, .. } = outcome else {
            assert!(!ships, "{model} ships: run `latent table` again");
            return;
        };
        crate::evidence::assert_of_weights_that_ship(model, adapters, weights_sha256);
    }

    #[test]
    fn what_ships_was_measured_on_the_checkpoints_that_ship() {
        for (name, _, has_thinking) in SUITES {
            let table: Table = evidence(&format!("{name}/table.json"));
            for row in &table.rows {
                assert_of_weights_that_ship(&row.model, row.adapters.as_deref(), &row.outcome);
                let Outcome::Measured { results, .. } = &row.outcome else {
                    continue;
                };
                for result in results {
                    let found = result.accuracy;
                    let right = (found.value * found.n as f64).round() as usize;
                    let expected = wilson(right, found.n).expect("n > 0");
                    let off = (expected.low - found.low).hypot(expected.high - found.high);
                    assert!(off < 1e-12, "{}: {found:?}, not {expected:?}", row.model);
                }
            }
            if has_thinking {
                let thinking: ThinkingDocument = evidence(&format!("{name}/thinking.json"));
                assert!(thinking.rows.len() >= 15, "{} rows", thinking.rows.len());
                for row in &thinking.rows {
                    assert_of_weights_that_ship(&row.model, None, &row.outcome);
                }
            }
        }
    }
}
