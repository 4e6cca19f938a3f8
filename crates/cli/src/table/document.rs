//! The table for people: `table.md` from what `table.json` holds.

use std::fmt::Write;

use anyhow::{Context, Result};
use latent_model::evidence::{Origin, Outcome, RowOfTable, SetOfTable, Table};

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
        .map(|set| format!(" {}, n {}, % | tokens |", set.name, set.n))
        .collect();
    let mut text = format!(
        "| {task} | paper, % | tokens |{} checkpoint | strategy |\n",
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
            let tokens = figure(result.map(|result| result.tokens));
            format!(" {accuracy} | {tokens} |")
        })
        .collect();
    let settings: Vec<String> = row.set.iter().map(|set| format!(" {set}")).collect();
    format!(
        "| {} | {paper} | {paper_tokens} |{} `{}` | `{}{}` |\n",
        row.method,
        ours.concat(),
        row.model,
        row.strategy,
        settings.concat(),
    )
}

/// What a text holds between two marker comments: the paper's table.
pub const TABLE: &str = "table";
/// The accuracies against the number of thoughts.
pub const THOUGHTS: &str = "thoughts";

/// `text` with `content` between the two marker comments of this name; both lines stay.
pub fn embed(text: &str, name: &str, content: &str) -> Result<String> {
    let [begin, end] = ["begin", "end"].map(|edge| format!("<!-- latent {name}: {edge} -->"));
    let missing = || format!("there must be {begin:?} and after it {end:?}");
    let (before, rest) = text.split_once(&begin).with_context(missing)?;
    let (_, after) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{before}{begin}\n{content}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use latent_model::{
        evaluation::Evaluation,
        evidence::Measured,
        metrics::{clustered_wilson, wilson},
    };

    use super::*;

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

    #[test]
    fn a_text_without_markers_is_refused_and_the_rest_of_a_text_stays() {
        let text = "a\n<!-- latent table: begin -->\nold\n<!-- latent table: end -->\nb\n";
        let fresh = embed(text, TABLE, "new\n").expect("it has both markers");
        assert_eq!(
            fresh,
            "a\n<!-- latent table: begin -->\nnew\n<!-- latent table: end -->\nb\n"
        );
        assert!(embed("a\n<!-- latent table: begin -->\n", TABLE, "new").is_err());
    }

    #[test]
    fn the_readme_holds_the_table_that_ships() {
        let readme = read("README.md");
        let table: Table =
            serde_json::from_str(&read("public/evidence/table.json")).expect("a table");
        let shipped = read("public/evidence/table.md");
        assert_eq!(markdown(&table), shipped, "table.md is not table.json's");
        let expected = embed(&readme, TABLE, &shipped).expect("the README has both markers");
        assert!(
            readme == expected,
            "run `latent table --readme README.md`: the README's table is not table.md"
        );
    }

    #[test]
    fn the_table_that_ships_was_measured_on_the_checkpoints_that_ship() {
        let table: Table =
            serde_json::from_str(&read("public/evidence/table.json")).expect("a table");
        for row in &table.rows {
            let folder = root().join("public/models").join(&row.model);
            let ships = folder.join("config.json").exists();
            let Outcome::Measured {
                weights_sha256,
                results,
            } = &row.outcome
            else {
                assert!(!ships, "{} ships: run `latent table` again", row.model);
                continue;
            };
            let digest = crate::folder::weights_digest(&folder).expect("the weights can be read");
            assert_eq!(*weights_sha256, digest, "{}: run `latent table`", row.model);
            for result in results {
                let found = result.accuracy;
                let right = (found.value * found.n as f64).round() as usize;
                let expected = wilson(right, found.n).expect("n > 0");
                let off = (expected.low - found.low).hypot(expected.high - found.high);
                assert!(off < 1e-12, "{}: {found:?}, not {expected:?}", row.model);
            }
        }
    }
}
