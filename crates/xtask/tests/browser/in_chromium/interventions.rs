//! Changed inputs and forks: the copy goes another way, its source stays, and the address has it
//! all.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{LIMIT, check_quiet, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};
use crate::reference_run::compare_lanes;

#[test]
fn a_zeroed_thought_changes_a_copy_and_leaves_its_source_alone() {
    in_browser(WebGpu::Off, async |browser| {
        let run = open_and_run(browser, "prosqa-coconut:coconut").await?;
        pin(browser, 2).await?;
        browser.click("do-zero").await?;
        let is_there = |hash: &str| hash.contains(";prosqa-coconut:coconut,at=2-zero");
        browser.wait_hash(is_there, LIMIT).await?;
        let both = finished_run_of(browser, 2).await?;
        compare_lanes(&both["lanes"][0], &run["lanes"][0]).context("the source")?;
        let norm =
            |lane: usize, step: usize| both["lanes"][lane]["steps"][step]["hidden_norm"].clone();
        ensure!(norm(1, 2) == norm(0, 2), "the same up to the change");
        ensure!(norm(1, 3) != norm(0, 3), "another way after it");
        let changes = browser.texts("lane-1-changes").await?.concat();
        ensure!(changes.starts_with("zero at 2"), "found {changes}");
        check_quiet(browser).await
    });
}

#[test]
fn a_change_behind_a_runs_end_is_said_to_be_none() {
    in_browser(WebGpu::Off, async |browser| {
        let lanes = "prosqa-coconut:coconut;prosqa-coconut:coconut,at=2-zero,at=99-zero";
        let run = open_and_run(browser, lanes).await?;
        let steps = run["lanes"][1]["steps"].as_array().context("steps")?;
        let changes = browser.texts("lane-1-changes").await?.concat();
        let expected = format!(
            "zero at 99: not done, the run ended at step {}",
            steps.len() - 1
        );
        ensure!(
            changes.contains(&expected) && changes.matches("not done").count() == 1,
            "expected {expected} and nothing of the other change, found {changes}"
        );
        check_quiet(browser).await
    });
}

#[test]
fn a_lane_answers_from_a_step_where_the_button_says_so() {
    in_browser(WebGpu::Off, async |browser| {
        let run = open_and_run(browser, "prosqa-coconut:coconut").await?;
        pin(browser, 3).await?;
        browser.click("go-on-answering").await?;
        let is_there = |hash: &str| hash.contains(";prosqa-coconut:coconut,from=1-3-answer");
        browser.wait_hash(is_there, LIMIT).await?;
        let both = finished_run_of(browser, 2).await?;
        compare_lanes(&both["lanes"][0], &run["lanes"][0]).context("the source")?;
        let steps = |lane: usize| both["lanes"][lane]["steps"].as_array().cloned();
        let (source, copy) = (steps(0).context("steps")?, steps(1).context("steps")?);
        // A copy's own steps begin where it parts from its source.
        let first = copy.first().context("a step")?;
        ensure!(
            first["token"] == "<eot>" && first["position"] == source[4]["position"],
            "expected the marker after step 3, found {first}"
        );
        // What is fed after it is the marker that ends the thinking, in place of three thoughts.
        let thoughts = |steps: &[Value]| {
            steps
                .iter()
                .filter(|step| step["input"] == "thought")
                .count()
        };
        let (all, some) = (thoughts(&source), thoughts(&copy));
        ensure!(
            some < all,
            "expected fewer thoughts than {all}, found {some}"
        );
        let name = browser.texts("lane-1-name").await?.concat();
        ensure!(
            name.contains("from lane 1 step 3, answering"),
            "found {name}"
        );
        check_quiet(browser).await
    });
}

/// Every button that makes a copy: the source stays, the copy is the same up to the step, and the
/// address has what was done.
#[test]
fn every_change_makes_a_copy_that_is_the_same_up_to_its_step() {
    const STEP: u64 = 2;
    in_browser(WebGpu::Off, async |browser| {
        let lanes = "prosqa-unified:coconut,at=1-zero;prosqa-unified:coconut";
        let run = open_and_run(browser, lanes).await?;
        let hash = browser.hash().await?;
        for (change, in_address) in [
            ("noise", "at=2-noise-1-1"),
            ("shuffle", "at=2-shuffle-1"),
            ("freeze", "at=2-freeze"),
            ("nearest", "at=2-nearest"),
            ("zero", "at=2-zero"),
            ("swap", "at=2-swap-1"),
            ("swap-problem", "at=2-swap-class-5"),
            ("force", "at=2-force-"),
        ] {
            browser.open(&hash).await?;
            browser.wait_enabled("run", LIMIT).await?;
            browser.click("run").await?;
            finished_run_of(browser, 2).await?;
            pin_of(browser, 1, STEP).await?;
            match change {
                "swap" => browser.choose("do-swap", "1").await?,
                "force" => browser.fill("do-force", "gerpus").await?,
                _ => browser.click(&format!("do-{change}")).await?,
            }
            let has_it = |hash: &str| hash.contains(in_address);
            browser.wait_hash(has_it, LIMIT).await.context(change)?;
            let all = finished_run_of(browser, 3).await?;
            for lane in 0..2 {
                let source = compare_lanes(&all["lanes"][lane], &run["lanes"][lane]);
                source.with_context(|| format!("{change}: lane {lane} stays"))?;
            }
            let norm = |lane: usize, step: u64| {
                let steps = &all["lanes"][lane]["steps"];
                steps[step as usize]["hidden_norm"].clone()
            };
            ensure!(
                norm(2, STEP) == norm(1, STEP),
                "{change}: the same up to it"
            );
            let (copy, source) = (norm(2, STEP + 1), norm(1, STEP + 1));
            ensure!(copy != source, "{change}: another way after it");
        }
        check_quiet(browser).await
    });
}

/// Goes on from a step of mixtures in words, by the buttons alone.
#[test]
fn a_fork_goes_on_with_another_strategy() {
    in_browser(WebGpu::Off, async |browser| {
        let run = open_and_run(browser, "prosqa-unified:soft").await?;
        pin(browser, 1).await?;
        browser.click("go-on-thinking").await?;
        let is_forked = |hash: &str| hash.contains(";prosqa-unified:soft,from=1-1");
        browser.wait_hash(is_forked, LIMIT).await?;
        finished_run_of(browser, 2).await?;
        browser.choose("lane-1-strategy", "token-cot").await?;
        let is_hard = |hash: &str| hash.contains(";prosqa-unified:token-cot,from=1-1");
        let hash = browser.wait_hash(is_hard, LIMIT).await?;
        browser.open(&hash).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        let both = finished_run_of(browser, 2).await?;
        compare_lanes(&both["lanes"][0], &run["lanes"][0]).context("the source")?;
        let [soft, hard] = [0, 1].map(|lane| {
            let steps = both["lanes"][lane]["steps"]
                .as_array()
                .into_iter()
                .flatten();
            steps.filter(|step| step["input"] == "concept").count()
        });
        ensure!(soft > 2 && hard == 0, "{soft} and {hard} mixtures");
        check_quiet(browser).await
    });
}

/// In words, what another problem gives can be typed: the word that stood there.
#[test]
fn another_problems_word_is_fed_as_if_it_were_typed() {
    in_browser(WebGpu::Off, async |browser| {
        let lane = "prosqa-cot:token-cot";
        let there = open_and_run_on(browser, 5, lane).await?;
        let here = open_and_run(browser, lane).await?;
        let [here, there] = [here, there].map(|run| run["lanes"][0]["steps"].clone());
        let differs = |step: &usize| here[step]["token"] != there[step]["token"];
        let step = (1..6).find(differs).context("a word that differs")?;
        let word = there[step]["token"].as_str().context("a word")?;
        let swapped = format!("{lane};{lane},at={step}-swap-class-5");
        open_and_run(browser, &swapped).await?;
        pin(browser, step as u64).await?;
        browser.fill("do-force", word).await?;
        let all = finished_run_of(browser, 3).await?;
        let norms = |lane: usize| -> Vec<Value> {
            let steps = all["lanes"][lane]["steps"].as_array().into_iter().flatten();
            steps.map(|step| step["hidden_norm"].clone()).collect()
        };
        ensure!(norms(1) != norms(0), "another word goes another way");
        ensure!(norms(1) == norms(2), "{word} at {step}, given and typed");
        check_quiet(browser).await
    });
}

/// The thoughts of the next problem lead elsewhere on this one; its own change nothing.
#[test]
fn what_another_problems_thoughts_do_to_the_answer_is_told() {
    in_browser(WebGpu::Off, async |browser| {
        let lane = "prosqa-coconut:coconut";
        for (problem, is_same) in [(7, false), (6, true)] {
            let swaps = (1..7).map(|step| format!(",at={step}-swap-class-{problem}"));
            let swapped = format!("{lane};{lane}{}", swaps.collect::<String>());
            let run = open_and_run_on(browser, 6, &swapped).await?;
            let [without, with] = [0, 1].map(|lane| &run["lanes"][lane]["answer"]);
            let is_as_expected = (without == with) == is_same;
            ensure!(is_as_expected, "{problem}: {without} and {with}");
            let expected = match is_same {
                true => "The same answer as lane 1",
                false => "Another answer than lane 1",
            };
            let is_told = |text: &str| text.starts_with(expected);
            browser
                .wait_text("lane-1-changed-answer", is_told, LIMIT)
                .await?;
            let changes = browser.texts("lane-1-changes").await?.concat();
            let listed = format!("swap with problem {problem} (class) at 1");
            ensure!(changes.starts_with(&listed), "found {changes}");
            if is_same {
                compare_lanes(&run["lanes"][1], &run["lanes"][0])?;
            }
        }
        check_quiet(browser).await
    });
}

#[test]
fn a_composed_strategy_runs_its_parts_in_order_and_is_in_the_address() {
    in_browser(WebGpu::Off, async |browser| {
        browser
            .open("problem=class:4&lanes=prosqa-unified:token-cot&speed=max")
            .await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.choose("lane-0-strategy", "compose").await?;
        browser.wait_text("composition", |_| true, LIMIT).await?;
        browser.fill("compose-name", "two thoughts").await?;
        browser.choose("part-0-kind", "thoughts").await?;
        browser.fill("part-0-steps", "2").await?;
        browser.click("part-1-remove").await?;
        let is_composed =
            |hash: &str| hash.contains("compose,name=two%20thoughts,parts=thoughts-2");
        browser.wait_hash(is_composed, LIMIT).await?;
        browser.click("run").await?;
        let run = finished_run(browser).await?;
        // What the strategy of the table does with as many thoughts.
        let table = open_and_run(browser, "prosqa-unified:coconut,thoughts=2").await?;
        let thought = |run: &Value| -> Vec<Value> {
            let steps = run["lanes"][0]["steps"].as_array().cloned();
            let steps = steps.unwrap_or_default();
            steps
                .iter()
                .map(|step| step["hidden_norm"].clone())
                .collect()
        };
        ensure!(thought(&run) == thought(&table), "the same steps");
        check_quiet(browser).await
    });
}

#[test]
fn a_mixture_by_hand_is_fed_as_it_was_set() {
    in_browser(WebGpu::Off, async |browser| {
        let run = open_and_run(browser, "prosqa-soft:soft").await?;
        let steps = run["lanes"][0]["steps"].as_array().context("steps")?;
        let is_mixed = |step: &&Value| {
            step["input"] == "concept" && step["kept"][0]["weight"].as_f64() < Some(0.9)
        };
        let mixed = steps.iter().find(is_mixed).context("a real mixture")?;
        let step = mixed["step"].as_u64().context("its number")?;
        pin(browser, step).await?;
        browser.fill("mix-0", "0").await?;
        browser.click("do-mix").await?;
        let both = finished_run_of(browser, 2).await?;
        compare_lanes(&both["lanes"][0], &run["lanes"][0]).context("the source")?;
        let after = step as usize + 1;
        let norm = |lane: usize| both["lanes"][lane]["steps"][after]["hidden_norm"].clone();
        ensure!(norm(1) != norm(0), "another mixture gives another state");
        check_quiet(browser).await
    });
}

#[test]
fn a_fork_goes_on_as_its_source_did_and_answers_where_it_is_told_to() {
    in_browser(WebGpu::Off, async |browser| {
        let lane = "prosqa-cot:token-cot";
        let run = open_and_run(
            browser,
            &format!("{lane};{lane},from=1-4;{lane},from=1-4-answer"),
        )
        .await?;
        let steps = |lane: usize| {
            run["lanes"][lane]["steps"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        };
        let tokens = |steps: &[Value]| -> Vec<Value> {
            steps.iter().map(|step| step["token"].clone()).collect()
        };
        // What the source was after its fifth step, the fork is from its first on.
        for key in ["hidden_norm", "raw_entropy"] {
            let of = |steps: &[Value]| -> Vec<Value> {
                steps.iter().map(|step| step[key].clone()).collect()
            };
            ensure!(of(&steps(1)) == of(&steps(0)[5..]), "the same {key}");
        }
        ensure!(
            tokens(&steps(1)) == tokens(&steps(0)[5..]),
            "expected {:?}, found {:?}",
            tokens(&steps(0)[5..]),
            tokens(&steps(1))
        );
        ensure!(
            steps(2)[0]["token"] == json!("</think>"),
            "found {}",
            steps(2)[0]
        );
        check_quiet(browser).await
    });
}

async fn open_and_run(browser: &Browser, lanes: &str) -> Result<Value> {
    open_and_run_on(browser, 4, lanes).await
}

async fn open_and_run_on(browser: &Browser, problem: u32, lanes: &str) -> Result<Value> {
    browser
        .open(&format!("problem=class:{problem}&lanes={lanes}&speed=max"))
        .await?;
    browser.wait_enabled("run", LIMIT).await?;
    browser.click("run").await?;
    finished_run(browser).await
}

/// Waits for a finished run of so many lanes.
async fn finished_run_of(browser: &Browser, n_lanes: usize) -> Result<Value> {
    let has_all = |text: &str| {
        let run: Result<Value, _> = serde_json::from_str(text);
        run.is_ok_and(|run| run["lanes"].as_array().map_or(0, Vec::len) == n_lanes)
    };
    let json = browser.wait_text("trace-json", has_all, LIMIT).await?;
    serde_json::from_str(&json).context("expected JSON in trace-json")
}

async fn pin(browser: &Browser, step: u64) -> Result<()> {
    pin_of(browser, 0, step).await
}

async fn pin_of(browser: &Browser, lane: usize, step: u64) -> Result<()> {
    let row = format!(
        "[data-testid=lane-{lane}] .stream .row:nth-child({})",
        step + 1
    );
    browser.click_on(&row).await?;
    browser.wait_text("step-actions", |_| true, LIMIT).await?;
    browser.unfold("step-actions").await?;
    Ok(())
}
