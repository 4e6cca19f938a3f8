//! The page in German: what the tables say, and nothing of them in English.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use latent_model::{
    strategy::STRATEGIES,
    tasks::{NAMED, Picture},
};
use serde_json::{Value, json};
use xtask::workspace;

use super::brought::{FREE_TEXT, drop_files};
use super::brought_files::gguf;
use super::{LIMIT, check_quiet, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};

/// Words that both languages write alike, or that are names. Of a text that is the same on both
/// pages, no other word may be left.
const ALIKE: &str = include_str!("alike.txt");

/// Every text of the page, and of its attributes that are read out or shown, but in parts that are
/// said to be English.
const TEXTS: &str = "const found = new Set(); \
    const add = (element, text) => { \
        if (text?.trim() && !element.closest('body [lang=en], script, noscript, style, code')) \
            found.add(text.trim().replace(/\\s+/g, ' ')) }; \
    for (const element of document.body.querySelectorAll('*')) { \
        for (const name of ['aria-label', 'title', 'placeholder', 'alt']) \
            add(element, element.getAttribute(name)); \
        for (const node of element.childNodes) \
            if (node.nodeType === Node.TEXT_NODE) add(element, node.data) } \
    return [...found]";

/// Set-ups that between them show what a page can say: every kind of lane and change, a story, a
/// typed text, a chapter.
const PAGES: [&str; 6] = [
    "engine=auto&lanes=prosqa-cot:soft-gumbel;prosqa-cot:soft-gumbel;prosqa-unified:coconut,thoughts=3;\
     prosqa-unified:coconut,at=2-zero;prosqa-unified:coconut,at=2-swap-class-9;\
     prosqa-unified:compose,parts=mixtures-2.words-20&predict=yes&answers=hidden",
    "lanes=prosqa-unified:coconut;prosqa-unified:coconut,from=1-2;prosqa-unified:coconut,from=1-2-answer;\
     prosqa-unified:token-cot-sampled,temperature=2;prosqa-coconut:coconut-classifier&arena=class-20-1",
    "task=arithmetic&problem=class:3&lanes=arithmetic-cot:soft;arithmetic-ccot:ccot",
    "problem=example:0&lanes=prosqa-cot:token-cot",
    "problem=text:Tom%20is%20a%20terpus.&lanes=prosqa-cot:token-cot",
    "task=prontoqa&chapter=1",
];

/// All texts of a page in a language: before its run, and after it with everything open.
async fn texts_of(browser: &Browser, hash: &str, language: &str) -> Result<BTreeSet<String>> {
    browser
        .open(&format!("{hash}&speed=max&lang={language}"))
        .await?;
    browser.wait_enabled("reset", LIMIT).await?;
    let mut all = texts(browser).await?;
    if browser.count("[data-testid=answer-0]").await? == 1 {
        browser.wait_enabled("answer-0", LIMIT).await?;
        browser.click("answer-0").await?;
    } else {
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
    }
    finished_run(browser).await?;
    let open = "for (const folded of document.querySelectorAll('details')) folded.open = true; \
                for (const settings of document.querySelectorAll('[data-testid$=-settings][aria-expanded=false]')) \
                    settings.click(); \
                document.querySelector('[data-testid=edit-graph]')?.click(); \
                document.querySelector('[data-testid=oracle]')?.click(); \
                document.querySelector('.stream .row')?.click()";
    for _ in 0..2 {
        browser.execute(open, Value::Null).await?;
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        all.extend(texts(browser).await?);
    }
    Ok(all)
}

async fn texts(browser: &Browser) -> Result<BTreeSet<String>> {
    let found = browser.execute(TEXTS, Value::Null).await?;
    serde_json::from_value(found).context("expected a list of texts")
}

/// What a text has of letters alone, word by word.
fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphabetic());
    let words = words.filter(|word| word.chars().count() > 2);
    words.map(str::to_lowercase)
}

/// The words of names, of problems and of the list above.
fn alike() -> Result<BTreeSet<String>> {
    let drawn = NAMED.iter().filter(|task| task.picture() != Picture::Text);
    let drawn: Vec<String> = drawn.flat_map(|task| task.vocabulary()).collect();
    let catalogue = std::fs::read_to_string(workspace::root().join("public/models/index.json"))?;
    let catalogue: Value = serde_json::from_str(&catalogue)?;
    let models = catalogue["models"].as_array().context("models")?;
    let models = models.iter().filter_map(|model| model["name"].as_str());
    let titles = STRATEGIES
        .iter()
        .flat_map(|row| [row.title, row.name, row.paper]);
    let all = titles.chain(models).chain(drawn.iter().map(String::as_str));
    let alike = all.chain([ALIKE]).flat_map(words).collect();
    Ok(alike)
}

/// Errors, what evidence says, the lists of what ships and all that the models read and write are
/// English, and said to be so.
#[test]
fn nothing_of_a_german_page_stays_english() {
    in_browser(WebGpu::Off, async |browser| {
        let alike = alike()?;
        let mut stayed = BTreeSet::new();
        for hash in PAGES {
            let english = texts_of(browser, hash, "en").await?;
            let german = texts_of(browser, hash, "de").await?;
            ensure!(german.len() > 60, "{hash}: found {german:#?}");
            let same = english.intersection(&german);
            // A picture cuts long names.
            let is_cut = |text: &str, word: &str| {
                text.ends_with('…') && alike.iter().any(|known| known.starts_with(word))
            };
            let is_foreign = |text: &&String| {
                words(text).any(|word| !alike.contains(&word) && !is_cut(text, &word))
            };
            stayed.extend(same.filter(is_foreign).cloned());
        }
        ensure!(stayed.is_empty(), "in both languages: {stayed:#?}");
        Ok(())
    });
}

#[test]
fn a_model_that_was_brought_is_told_of_in_german() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&format!("{FREE_TEXT}&lang=de")).await?;
        drop_files(browser, &[("mine.gguf".into(), gguf())]).await?;
        browser.wait_enabled("lane-0-settings", LIMIT).await?;
        browser.click("lane-0-settings").await?;
        let is_told = |text: &str| text.contains("Ein mitgebrachtes Modell: ");
        browser.wait_text("lane-0", is_told, LIMIT).await?;
        // It was never taught to chat.
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("chat").await?;
        browser.click("run").await?;
        let is_german = |text: &str| text.contains("lässt sich nicht sprechen");
        browser.wait_text("error", is_german, LIMIT).await?;
        Ok(())
    });
}

/// Keeps what the loading screen says, in `window.notes`.
const KEEP_NOTES: &str = "window.notes = []; new MutationObserver(() => { \
        const note = document.getElementById('arriving'); \
        if (note !== null && note.lang !== '') notes.push(note.textContent.trim()); \
    }).observe(document, { subtree: true, childList: true, characterData: true })";

#[test]
fn the_loading_screen_tells_what_loads_in_the_pages_language() {
    let texts = [
        (
            "en",
            "Loading the playground's program",
            "Loading the list of checkpoints …",
        ),
        (
            "de",
            "Lädt das Programm der Seite",
            "Lädt die Liste der Checkpoints …",
        ),
    ];
    in_browser(WebGpu::Off, async |browser| {
        browser.before_page(KEEP_NOTES).await?;
        let check = async |hash: &str, language: &str| -> Result<()> {
            browser.open(hash).await?;
            browser.wait_enabled("reset", LIMIT).await?;
            let notes = browser.execute("return notes", Value::Null).await?;
            let notes: Vec<String> = serde_json::from_value(notes)?;
            for (of, program, lists) in texts {
                let is_program = |note: &String| note.starts_with(program) && note.contains(" MB");
                let said = [
                    notes.iter().any(is_program),
                    notes.iter().any(|note| note == lists),
                ];
                ensure!(
                    said == [of == language; 2],
                    "{hash:?}: expected {language}, found {notes:#?}"
                );
            }
            let found = browser.execute("return document.documentElement.lang", Value::Null);
            ensure!(found.await? == json!(language), "{hash:?}: the page, too");
            Ok(())
        };
        check("", "en").await?;
        check("seed=2&lang=de", "de").await?;
        // An address counts for itself, a choice until there is another one.
        check("", "en").await?;
        browser.click("language").await?;
        browser
            .wait_hash(|hash| hash.contains("lang=de"), LIMIT)
            .await?;
        check("", "de").await?;
        check("lang=en", "en").await
    });
}

#[test]
fn a_german_page_speaks_german_to_its_glossary() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open("lang=de&chapter=4&engine=reference").await?;
        browser.wait_enabled("run", LIMIT).await?;
        let chapter = browser.texts("chapter").await?.concat();
        ensure!(
            chapter == "4 von 8: Ein Gedanke hält die Front",
            "found {chapter:?}"
        );
        for panel in ["guide", "take-away"] {
            browser.unfold(panel).await?;
        }
        for (testid, german) in [
            ("guide", "Wo die Aufgabe ein Graph ist"),
            ("guide", "Denkt in stetigen Gedanken"),
            ("glossary", "Ein verborgener Zustand des Modells"),
            ("take-away", "Graph als SVG"),
        ] {
            // Folded parts have a text, too.
            let script =
                "return document.querySelector(`[data-testid=${arguments[0]}]`).textContent";
            let text = browser.execute(script, json!(testid)).await?.to_string();
            ensure!(
                text.contains(german),
                "{testid}: expected {german:?} in {text}"
            );
        }
        check_quiet(browser).await?;
        browser
            .open("lang=de&lanes=no-such-checkpoint:soft")
            .await?;
        let is_german = |text: &str| text.contains("nicht auf dieser Website");
        browser.wait_text("error", is_german, LIMIT).await?;
        Ok(())
    });
}
