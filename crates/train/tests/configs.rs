//! Every training config that ships can be read, and says what it means by its file name.

use std::path::Path;

use latent_train::config::RunConfig;

#[test]
fn shipped_configs_load_under_their_own_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut n_configs = 0;
    for entry in std::fs::read_dir(folder).expect("the configs ship with the crate") {
        let path = entry.expect("the folder can be listed").path();
        let config = RunConfig::load(&path).unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!(
            path.file_stem().and_then(|stem| stem.to_str()),
            Some(config.name.as_str())
        );
        n_configs += 1;
    }
    assert!(n_configs >= 2, "found {n_configs} configs");
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
