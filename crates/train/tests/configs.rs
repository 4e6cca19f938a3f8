//! Every training config that ships can be read, and says what it means by its file name.

use std::path::Path;

use latent_train::config::RunConfig;
use latent_train::driver::load_config;
use latent_train::example::LossConfig;

#[test]
fn shipped_configs_load_under_their_own_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut n_configs = 0;
    for entry in std::fs::read_dir(folder).expect("the configs ship with the crate") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            // What configs extend is none by itself.
            continue;
        }
        let config = load_config(&path).unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!(
            path.file_stem().and_then(|stem| stem.to_str()),
            Some(config.name.as_str())
        );
        n_configs += 1;
    }
    assert!(n_configs >= 2, "found {n_configs} configs");
}

#[test]
fn a_config_says_what_differs_from_the_one_that_it_extends() {
    let folder = std::env::temp_dir().join(format!("latent-train-extends-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let load = |base: &str, own: &str| {
        let [base, own] = [("base.toml", base), ("own.toml", own)].map(|(name, text)| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("a file");
            path
        });
        assert!(base.exists());
        load_config(&own)
    };
    let whole = include_str!("../configs/prosqa-cot.toml");
    let own = "extends = \"base.toml\"\nseed = 99\n[evaluation]\nevery = 7\n";
    let mut expected = load("", whole).expect("the shipped config is whole");
    expected.seed = 99;
    expected.evaluation.every = 7;
    assert_eq!(load(whole, own).expect("together they are whole"), expected);
    let third = "extends = \"third.toml\"\nseed = 98\n";
    std::fs::write(folder.join("third.toml"), whole).expect("a file");
    assert_eq!(load(third, own).expect("three are whole"), expected);
    let circle = load("extends = \"own.toml\"", own).expect_err("a circle");
    assert!(
        format!("{circle:#}").contains("extends itself"),
        "{circle:#}"
    );
    let unknown = load(whole, &format!("{own}evry = 7\n")).expect_err("no such key");
    assert!(format!("{unknown:#}").contains("evry"), "{unknown:#}");
    let lone = load(whole, "extends = \"nowhere.toml\"").expect_err("no such file");
    assert!(format!("{lone:#}").contains("nowhere.toml"), "{lone:#}");
    std::fs::remove_dir_all(folder).expect("the folder was made here");
}

#[test]
fn the_learning_rate_runs_in_straight_lines_between_its_points() {
    let text = include_str!("../configs/prosqa-cot.toml");
    let mut config: RunConfig = toml::from_str(text).expect("the shipped config is whole");
    config.schedule = vec![(0, 0.0), (10, 1.0), (30, 0.5)];
    let rates = [
        (0, 0.0),
        (5, 0.5),
        (10, 1.0),
        (20, 0.75),
        (30, 0.5),
        (99, 0.5),
    ];
    for (step, expected) in rates {
        assert!(
            (config.learning_rate(step) - expected).abs() < 1e-12,
            "step {step}"
        );
    }
}

#[test]
fn a_config_with_the_marks_and_line_ends_of_other_systems_is_read() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let read = |folder: &Path| {
        let config = load_config(&folder.join("prosqa-cot.toml"));
        serde_json::to_value(config.unwrap_or_else(|error| panic!("{error:#}"))).expect("JSON")
    };
    let expected = read(&configs);
    for (mark, line_end) in [("\u{feff}", "\r\n"), ("", "\r")] {
        let name = format!("latent-train-line-ends-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        for file in ["prosqa-cot.toml", "base/prosqa.toml"] {
            let text = std::fs::read_to_string(configs.join(file)).expect("it ships");
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            let text = format!("{mark}{}", text.replace('\n', line_end));
            std::fs::write(path, text).expect("it can be written");
        }
        assert_eq!(read(&folder), expected, "{line_end:?}");
        std::fs::remove_dir_all(folder).expect("it was made here");
    }
}

#[test]
fn what_published_weights_were_trained_with_is_still_read() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../public/models");
    let mut n_supervised = 0;
    for entry in std::fs::read_dir(models).expect("they ship") {
        let path = entry.expect("the folder can be listed").path();
        let Ok(text) = std::fs::read_to_string(path.join("training.json")) else {
            continue;
        };
        let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let loss = &record["config"]["loss"];
        let read: LossConfig = serde_json::from_value(loss.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // The key had another name when the first of them were trained.
        let key = ["reach", "latent_targets"].map(|key| loss[key].as_f64());
        let expected = key.into_iter().flatten().next().expect("a number") as f32;
        assert_eq!(read.latent_targets, expected, "{}", path.display());
        n_supervised += usize::from(expected > 0.0);
    }
    assert!(n_supervised > 0, "no checkpoint has supervised thoughts");
}
