//! The study of mixtures, for people.

use std::path::Path;

use anyhow::Result;
use latent_model::{
    analysis::{
        report::{AnalysisRow, AnalysisStudy, MethodReport, WINDOW},
        statistics::Mean,
    },
    metrics::Proportion,
};

use super::papers::{
    Decoding, SINGLE_THREADED, SINGLE_THREADED_MEANS, SOFT_THINKING, SOFT_THINKING_ON_GSM8K,
};
use crate::{evidence, output::p_value};

/// The name of a study's file.
pub const FILE: &str = "analysis.json";

/// The study in a folder.
pub fn read(folder: &Path) -> Result<AnalysisStudy> {
    evidence::read(folder, FILE)
}

/// The section of the results.
pub fn section(folder: &Path) -> Result<String> {
    let study = read(folder)?;
    Ok(format!(
        "## Why Soft Thinking is greedy, and what noise repairs\n\n\
         After Single-threaded Reasoners (arXiv 2508.03440): at every step that mixes words, the \
         next distribution, had one word been fed in place of the mixture. JS is the \
         Jensen-Shannon divergence in nats (0 to 0.693), over the whole vocabulary at the run's \
         temperature, over the steps that mix at least as many words; *overlap@k* is the common share of \
         the k first tokens that the logit lens reads of the mixture and of the word alone. \
         Intervals are bootstraps over problems.\n\n\
         ![What follows a mixture and what follows its words](../public/evidence/analysis/analysis.svg)\n\n{}",
        tables(&study)
    ))
}

/// The section of what was measured on a pretrained model.
pub fn pretrained(folder: &Path) -> Result<String> {
    let study = read(folder)?;
    Ok(format!(
        "## The same on a pretrained model\n\n\
         SmolLM2-135M-Instruct (Apache-2.0; `latent fetch smollm2`, the GGUF's q4_1 weights) \
         through its chat template, on problems of GSM8K's training file, which nobody here \
         trains it on. It thinks from the beginning of the assistant's turn until \"The answer \
         is\".\n\n\
         ![What follows a mixture and what follows its words](../public/evidence/smollm2/analysis.svg)\n\n{}",
        tables(&study)
    ))
}

/// The section of what the pretrained model solves.
pub fn solved(folder: &Path) -> Result<String> {
    let study = read(folder)?;
    Ok(format!(
        "## What a pretrained model solves\n\n\
         The same model on problems of GSM8K's training file, each of which every method is given once, \
         with at most 256 tokens of thought. An answer counts where the last number after \"The \
         answer is\" is the file's. A model of 135 million parameters solves few, so most \
         intervals overlap; what differs is how long it thinks, and whether it repeats itself.\n\n{}",
        tables(&study)
    ))
}

/// The section of what several runs of a problem solve on the pretrained model.
pub fn seeds(folder: &Path) -> Result<String> {
    let study = read(folder)?;
    Ok(format!(
        "## What draws change on a pretrained model\n\n\
         The same model on the first of these problems, each of which every method that draws is given \
         as often as the column *runs* says: accuracy is that of all runs, and pass@k the chance that one \
         of k solves a problem.\n\n{}",
        tables(&study)
    ))
}

/// A part of a study: its name in the rows, its heading, and the table of its rows.
type Part = (&'static str, &'static str, fn(&[&AnalysisRow]) -> String);

/// All parts, in the order in which they are read.
pub const PARTS: [Part; 5] = [
    ("mixtures", "### What follows a mixture", mixtures),
    (
        "methods",
        "### Words, mixtures and noise on the same problems",
        methods,
    ),
    ("noise", "### How much noise", noise),
    ("collapse", "### When it repeats itself", collapse),
    ("one", "", one),
];

/// The tables of all parts.
pub fn tables(study: &AnalysisStudy) -> String {
    let mut text = String::new();
    for (part, heading, table) in PARTS {
        let rows: Vec<&AnalysisRow> = study.rows.iter().filter(|row| row.part == part).collect();
        if !rows.is_empty() {
            text += &format!("{heading}\n\n{}\n", table(&rows));
        }
    }
    let made = &study.made;
    text + &format!(
        "Made by `{}` ({}; {}).\n",
        made.command, made.version, made.engine
    )
}

fn one(rows: &[&AnalysisRow]) -> String {
    format!("{}\n{}", mixtures(rows), table_of_methods(rows))
}

fn mixtures(rows: &[&AnalysisRow]) -> String {
    let mut text = String::from(
        "| checkpoint | strategy | problems | JS(top-1, soft), all steps | steps that mix 2 or more | JS(top-1, soft) there | \
         JS(top-2, soft) | JS(top-3, soft) | JS(top-1, top-2) | ROUGE-L to greedy | the same text, % |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        for method in row.methods.iter().skip(1) {
            let js = &method.js;
            text += &format!(
                "| {} | `{}` | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                checkpoint(row),
                method.title(),
                problems(row),
                mean(js.top1.as_ref(), 3),
                js.top1.zip(js.top2).map_or("–".into(), |(all, several)| {
                    format!("{} of {}", several.n, all.n)
                }),
                mean(js.top1_of_several.as_ref(), 3),
                mean(js.top2.as_ref(), 3),
                mean(js.top3.as_ref(), 3),
                mean(js.top1_top2.as_ref(), 3),
                mean(method.rouge_l.as_ref(), 3),
                share(method.exact_match.as_ref()),
            );
        }
    }
    text += "\nOverlap with what the lens reads of the mixture, after each layer:\n\n\
             | checkpoint | word | k | overlap, first to last layer |\n|---|---|---|---|\n";
    for row in rows {
        for method in row
            .methods
            .iter()
            .filter(|method| !method.overlap.is_empty())
        {
            for (word, sizes) in &method.overlap {
                for (k, layers) in sizes {
                    text += &format!(
                        "| {} | {} | {k} | {} |\n",
                        checkpoint(row),
                        word.replace("top", "top-"),
                        by_depth(layers)
                    );
                }
            }
        }
    }
    text.push('\n');
    let sentences = rows.iter().flat_map(|row| row.sentences());
    text += &sentences.map(|s| format!("- {s}\n")).collect::<String>();
    text
}

/// The first layer to the last one, of a deep model no more than fit a line.
fn by_depth(layers: &[Mean]) -> String {
    const MOST: usize = 8;
    let every = layers.len().div_ceil(MOST).max(1);
    let last = layers.len().saturating_sub(1);
    let shown = layers.iter().enumerate();
    let shown = shown.filter(|(layer, _)| layer % every == 0 || *layer == last);
    let shown: Vec<String> = shown
        .map(|(layer, mean)| match every {
            1 => format!("{:.2}", mean.mean),
            _ => format!("{:.2} (layer {})", mean.mean, layer + 1),
        })
        .collect();
    shown.join(" → ")
}

fn methods(rows: &[&AnalysisRow]) -> String {
    table_of_methods(rows) + &as_the_papers_have_it(rows)
}

fn table_of_methods(rows: &[&AnalysisRow]) -> String {
    let mut text = String::from(
        "| checkpoint | problems | strategy | runs | accuracy, % | against greedy words, points | p | \
         pass@4, % | pass@16, % | tokens | ROUGE-L to greedy | repeated 4-grams, % |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        for (index, method) in row.methods.iter().enumerate() {
            let points = |mean: &Mean| {
                let [mean, low, high] = [mean.mean, mean.ci_low, mean.ci_high].map(|x| 100.0 * x);
                format!("{mean:+.1} [{low:+.1}, {high:+.1}]")
            };
            let difference = method.difference.as_ref().filter(|_| index > 0);
            let mcnemar = method.mcnemar.filter(|_| index > 0);
            text += &format!(
                "| {} | {} | `{}` | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                checkpoint(row),
                problems(row),
                method.title(),
                method.samples,
                accuracy(method.accuracy.as_ref()),
                difference.map_or(String::new(), points),
                mcnemar.map_or(String::new(), |test| p_value(test.p_value)),
                share(method.pass_at.get(&4)),
                share(method.pass_at.get(&16)),
                method
                    .tokens
                    .map_or("–".into(), |mean| format!("{:.1}", mean.mean)),
                mean(method.rouge_l.as_ref(), 2),
                share(method.repeated_4_grams.as_ref()),
            );
        }
    }
    text
}

/// The papers' tables with these rows in their place, and the papers' own figures.
fn as_the_papers_have_it(rows: &[&AnalysisRow]) -> String {
    let mut text = String::from(
        "\nSoft Thinking's table 1 (arXiv 2505.15778): accuracy, %, and tokens. The paper's models \
         are on GSM8K.\n\n",
    );
    text += &paper_head(&SOFT_THINKING);
    for row in rows {
        text += &paper_row(row, &SOFT_THINKING, |method| {
            let tokens = method.tokens.map(|mean| format!("{:.1}", mean.mean));
            format!(
                "{} in {}",
                accuracy(method.accuracy.as_ref()),
                tokens.unwrap_or_default()
            )
        });
    }
    for (model, figures) in SOFT_THINKING_ON_GSM8K {
        let figures = figures.map(|(accuracy, tokens)| format!(" {accuracy:.2} in {tokens} |"));
        text += &format!("| {model}, the paper |{}\n", figures.concat());
    }
    text += "\nSingle-threaded Reasoners' tables 1 and 2 (arXiv 2508.03440): accuracy, %. The \
             paper's figures are means over its eight sets.\n\n";
    text += &paper_head(&SINGLE_THREADED);
    for row in rows {
        text += &paper_row(row, &SINGLE_THREADED, |method| {
            accuracy(method.accuracy.as_ref())
        });
    }
    for (model, figures) in SINGLE_THREADED_MEANS {
        let figures = figures.map(|accuracy| format!(" {accuracy:.2} |"));
        text += &format!("| {model}, the paper |{}\n", figures.concat());
    }
    text
}

fn paper_head(columns: &[Decoding]) -> String {
    let titles: String = columns
        .iter()
        .map(|column| format!(" {} |", column.title))
        .collect();
    format!("| model |{titles}\n|---|{}\n", "---|".repeat(columns.len()))
}

/// A row's figures in a paper's columns. A strategy that ran with several settings stands with the
/// first, and runs that a row does not have with a dash.
fn paper_row(
    row: &AnalysisRow,
    columns: &[Decoding],
    figure: impl Fn(&MethodReport) -> String,
) -> String {
    let figures: String = columns
        .iter()
        .map(|column| {
            let mut methods = row.methods.iter();
            let method = methods.find(|method| method.strategy == column.strategy);
            format!(" {} |", method.map_or("–".into(), &figure))
        })
        .collect();
    let subject = &row.subject;
    format!("| `{}`, {} |{figures}\n", subject.model, subject.problems)
}

fn noise(rows: &[&AnalysisRow]) -> String {
    let mut text = String::from(
        "| checkpoint | problems | strategy | runs | accuracy, % | entropy, nats | JS(noised, clean), nats | \
         ROUGE-L to greedy |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        for method in &row.methods {
            text += &format!(
                "| {} | {} | `{}` | {} | {} | {} | {} | {} |\n",
                checkpoint(row),
                problems(row),
                method.title(),
                method.samples,
                accuracy(method.accuracy.as_ref()),
                mean(method.entropy.as_ref(), 2),
                mean(method.js.noised_clean.as_ref(), 3),
                mean(method.rouge_l.as_ref(), 2),
            );
        }
    }
    text
}

/// The share of repeated 4-grams, stretch by stretch.
fn collapse(rows: &[&AnalysisRow]) -> String {
    let windows = |row: &&AnalysisRow| row.methods.iter().map(|m| m.repeated_by.len()).max();
    let n_windows = rows.iter().filter_map(windows).max().unwrap_or(0);
    let ends = (1..=n_windows).map(|window| format!(" to token {} |", window * WINDOW));
    let mut text = format!(
        "The share of 4-grams that have been there before in the same run, %, among those that end \
         in each {WINDOW} tokens, over the runs that are as long (their number in brackets).\n\n\
         | checkpoint | problems | strategy |{}\n|---|---|---|{}\n",
        ends.collect::<String>(),
        "---|".repeat(n_windows)
    );
    for row in rows {
        for method in &row.methods {
            let shares = method.repeated_by.iter().map(|mean| {
                let [value, low, high] = [mean.mean, mean.ci_low, mean.ci_high].map(|x| 100.0 * x);
                format!(" {value:.1} [{low:.1}, {high:.1}] ({}) |", mean.n)
            });
            text += &format!(
                "| {} | {} | `{}` |{}{}\n",
                checkpoint(row),
                problems(row),
                method.title(),
                shares.collect::<String>(),
                " – |".repeat(n_windows - method.repeated_by.len())
            );
        }
    }
    text
}

fn checkpoint(row: &AnalysisRow) -> String {
    format!("`{}`", row.subject.model)
}

fn problems(row: &AnalysisRow) -> String {
    let subject = &row.subject;
    format!(
        "{}, n {}, seed {}",
        subject.problems, subject.n, subject.seed
    )
}

fn mean(mean: Option<&Mean>, digits: usize) -> String {
    mean.map_or("–".into(), |mean| {
        format!(
            "{:.digits$} [{:.digits$}, {:.digits$}]",
            mean.mean, mean.ci_low, mean.ci_high
        )
    })
}

fn share(mean: Option<&Mean>) -> String {
    mean.map_or("–".into(), |mean| format!("{:.1}", 100.0 * mean.mean))
}

fn accuracy(accuracy: Option<&Proportion>) -> String {
    accuracy.map_or("–".into(), |accuracy| {
        let [value, low, high] = accuracy.percent();
        format!("{value:.1} [{low:.1}, {high:.1}]")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{analyze::svg, evidence::assert_of_weights_that_ship};

    fn shipped(name: &str) -> (std::path::PathBuf, AnalysisStudy) {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let folder = root.join("public/evidence").join(name);
        let study = read(&folder).expect("a study");
        (folder, study)
    }

    #[test]
    fn the_study_was_made_on_the_weights_that_ship() {
        for row in &shipped("analysis").1.rows {
            let subject = &row.subject;
            assert_of_weights_that_ship(&subject.model, None, &subject.weights_sha256);
        }
    }

    #[test]
    fn studies_are_drawn_as_they_are() {
        for name in ["analysis", "smollm2"] {
            let (folder, study) = shipped(name);
            let drawn = fs::read_to_string(folder.join("analysis.svg")).expect("it ships");
            let expected = svg(&study).expect("a drawing");
            assert!(expected == drawn, "run `latent report` for {name}");
        }
    }
}
