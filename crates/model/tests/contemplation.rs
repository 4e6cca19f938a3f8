//! CCOT's part of a checkpoint: how it is read and refused, and what runs under which weights.

mod common;

use std::sync::Arc;

use bytes::Bytes;
use latent_model::{
    checkpoint::{LayerWeights, WeightFormat, Weights},
    contemplation::{Contemplation, ContemplationFiles, ContemplationSpec, FILES},
    engine::{Engine, EngineError, LaneSpec, ModelCapabilities, run_to_end},
    input::{Input, Tap},
    program::{Adapter, EndClassifier, Feed, Phase, Program, Role, Sampler, Until},
    record::{InputKind, StepRecord, flag},
    reference::{Forward, KvCache, Precision, ReferenceEngine},
    tasks::{Difficulty, arithmetic},
};
use pollster::block_on;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

const THINK: u32 = 30;
const END: u32 = 31;
const PROMPT: [u32; 5] = [3, 14, 15, 9, 26];
const RANK: usize = 3;

/// A file of tensors, given as (name, shape, values).
fn file(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Bytes {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name, view.expect("a fitting shape"))
    });
    safetensors::serialize(views, None)
        .expect("a fitting file")
        .into()
}

fn values(seed: usize, n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7 + seed * 5) % 11) as f32 / 8.0 - 0.6)
        .collect()
}

/// What `peft` writes for a plain LoRA (0.21, but for the names of models).
fn adapter_config(targets: &[&str]) -> Value {
    json!({
        "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null,
        "auto_mapping": null, "base_model_name_or_path": "somewhere", "bias": "none",
        "corda_config": null, "ensure_weight_tying": false, "eva_config": null,
        "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true,
        "init_lora_weights": true, "layer_replication": null, "layers_pattern": null,
        "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 6, "lora_bias": false,
        "lora_dropout": 0.0, "megatron_config": null, "megatron_core": "megatron.core",
        "modules_to_save": null, "peft_type": "LORA", "qalora_group_size": 16, "r": RANK,
        "rank_pattern": {}, "revision": null, "target_modules": targets,
        "target_parameters": null, "task_type": "CAUSAL_LM", "trainable_token_indices": null,
        "use_dora": false, "use_qalora": false, "use_rslora": false
    })
}

type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

/// The tensors of an adapter on the matrices that end in one of `targets`.
fn adapter_tensors(weights: &Weights, targets: &[&str], seed: usize) -> Tensors {
    let mut tensors = Vec::new();
    for (index, layer) in weights.layers.iter().enumerate() {
        for (place, matrix) in layer.matrices() {
            let name = LayerWeights::MATRICES[place];
            if !targets.iter().any(|target| name.ends_with(target)) {
                continue;
            }
            let tensor = |part: &str| {
                format!("base_model.model.model.layers.{index}.{name}.lora_{part}.weight")
            };
            let seed = seed + tensors.len();
            let (a, b) = (RANK * matrix.cols, RANK * matrix.rows);
            tensors.push((tensor("A"), vec![RANK, matrix.cols], values(seed, a)));
            tensors.push((tensor("B"), vec![matrix.rows, RANK], values(seed + 1, b)));
        }
    }
    tensors
}

fn own_tensors(d: usize) -> Tensors {
    vec![
        ("input_map.weight".into(), vec![d, d], values(1, d * d)),
        ("input_map.bias".into(), vec![d], values(2, d)),
        ("end_classifier.weight".into(), vec![d], values(3, d)),
        ("end_classifier.bias".into(), vec![1], vec![-0.25]),
    ]
}

const GENERATOR: [&str; 2] = ["q_proj", "down_proj"];
const DECODER: [&str; 1] = ["mlp.up_proj"];

/// The small model and a folder of adapters for it.
fn folder() -> (Weights, ContemplationFiles) {
    let config = common::config();
    let weights = common::weights(&config);
    let text = |value: &Value| Bytes::from(value.to_string());
    let contents = [
        text(&json!({"layer": 1, "ratio": 0.1, "keep": "results"})),
        file(&own_tensors(config.hidden_size)),
        text(&adapter_config(&GENERATOR)),
        file(&adapter_tensors(&weights, &GENERATOR, 10)),
        text(&adapter_config(&DECODER)),
        file(&adapter_tensors(&weights, &DECODER, 20)),
    ];
    let files = ContemplationFiles {
        folder: "ccot".into(),
        contents,
    };
    ((*weights).clone(), files)
}

#[test]
fn a_folder_is_read_as_peft_means_it() {
    let (base, files) = folder();
    let config = common::config();
    let found = Contemplation::from_files(&config, &base, &files).expect("a good folder");
    let spec = ContemplationSpec {
        layer: 1,
        ratio: 0.1,
    };
    assert_eq!(found.spec, spec);
    let all = base.embedding.to_f32();
    let mean = all.iter().map(|e| e * e).sum::<f32>() / all.len() as f32;
    let map = found.input_map.as_ref().expect("it has one");
    assert!((map.scale - mean.sqrt()).abs() < 1e-6);
    assert_eq!(*map.weight.to_f32(), values(1, 256));
    assert_eq!(found.end_classifier.bias, -0.25);

    let sets = [
        (&found.generator, &GENERATOR[..], 10),
        (&found.decoder, &DECODER, 20),
    ];
    for (layers, targets, seed) in sets {
        let tensors = adapter_tensors(&base, targets, seed);
        let mut pairs = tensors.chunks_exact(2);
        for (base, layer) in base.layers.iter().zip(layers) {
            for ((place, base), (_, merged)) in base.matrices().zip(layer.matrices()) {
                let name = LayerWeights::MATRICES[place];
                if !targets.iter().any(|target| name.ends_with(target)) {
                    assert!(merged.is_same(base), "{name} is the base's own memory");
                    continue;
                }
                let [(_, _, a), (_, _, b)] = pairs.next().expect("a pair") else {
                    panic!("two tensors");
                };
                for row in 0..base.rows {
                    for col in 0..base.cols {
                        let product: f32 = (0..RANK)
                            .map(|k| b[row * RANK + k] * a[k * base.cols + col])
                            .sum();
                        // alpha / r is 2.
                        let expected = base.row(row)[col] + 2.0 * product;
                        let difference = (merged.row(row)[col] - expected).abs();
                        assert!(difference < 1e-5, "{name}: {difference}");
                    }
                }
            }
        }
    }
    // What is shared stays so where an engine converts all matrices.
    let weights = Weights {
        contemplation: Some(found),
        ..base
    };
    for format in WeightFormat::ALL {
        let converted = weights.converted(format);
        let set = converted.contemplation.as_ref().expect("it has one");
        let q = |layers: &[LayerWeights]| layers[1].q.weight.clone();
        assert!(q(&set.decoder).is_same(&q(&converted.layers)));
        assert!(!q(&set.generator).is_same(&q(&converted.layers)));
    }
}

#[test]
fn what_is_not_run_is_refused_by_name() {
    let (base, good) = folder();
    let config = common::config();
    let error_of = |index: usize, contents: Bytes| {
        let mut files = good.clone();
        files.contents[index] = contents;
        let error = Contemplation::from_files(&config, &base, &files);
        let error = error.expect_err(FILES[index]).to_string();
        assert!(
            error.starts_with(&format!("ccot/{}", FILES[index])),
            "{error}"
        );
        error
    };
    for (spec, what) in [
        (
            json!({"layer": 2, "ratio": 0.1}),
            "layer must be below the model's 2 layers, found 2",
        ),
        (
            json!({"layer": 0, "ratio": 1.5}),
            "ratio must be in 0 ..= 1, found 1.5",
        ),
        (json!({"layer": 0}), "ratio"),
        (json!({"layer": -1, "ratio": 0.1}), "-1"),
    ] {
        let error = error_of(0, spec.to_string().into());
        assert!(error.contains(what), "{error}");
    }
    assert!(error_of(0, Bytes::from_static(b"\xff")).contains("not UTF-8"));

    for (field, value, what) in [
        ("peft_type", json!("LOHA"), "\"LORA\", found \"LOHA\""),
        ("use_dora", json!(true), "absent or off, found true"),
        ("use_rslora", json!(true), "absent or off, found true"),
        ("bias", json!("all"), "\"none\", found \"all\""),
        ("lora_bias", json!(true), "absent or off"),
        ("fan_in_fan_out", json!(true), "absent or off"),
        (
            "modules_to_save",
            json!(["lm_head"]),
            "absent or off, found [\"lm_head\"]",
        ),
        ("rank_pattern", json!({"q_proj": 2}), "absent or off"),
        ("layers_to_transform", json!([1]), "absent or off"),
        (
            "init_lora_weights",
            json!("pissa"),
            "absent or off, found \"pissa\"",
        ),
        (
            "what_comes_next_year",
            json!(0.5),
            "absent or off, found 0.5",
        ),
        ("r", json!(0), "at least 1, found 0"),
        ("target_modules", json!(["lm_head"]), "a layer's matrices"),
        ("target_modules", json!("all-linear"), "a layer's matrices"),
        ("target_modules", json!([]), "a layer's matrices"),
    ] {
        let mut adapter = adapter_config(&GENERATOR);
        adapter[field] = value;
        let error = error_of(2, adapter.to_string().into());
        assert!(error.contains(&format!(": {field} must be ")), "{error}");
        assert!(error.contains(what), "{error}");
    }

    type Change = fn(&mut Tensors);
    let changes: [(Change, &str); 4] = [
        (
            |tensors| drop(tensors.pop()),
            "lora_B.weight\", which adapter_config.json asks for",
        ),
        (
            |tensors| tensors[0].1.reverse(),
            "expected shape [3, 16], found [16, 3]",
        ),
        (|tensors| tensors[1].2[4] = f32::NAN, "value 4 is NaN"),
        (
            |tensors| tensors[1].0.push('s'),
            "which adapter_config.json asks for",
        ),
    ];
    for (change, what) in changes {
        let mut tensors = adapter_tensors(&base, &GENERATOR, 10);
        change(&mut tensors);
        let error = error_of(3, file(&tensors));
        assert!(error.contains(what), "{error}");
    }
    let mut more = adapter_tensors(&base, &DECODER, 20);
    more.push(("base_model.model.lm_head.weight".into(), vec![1], vec![0.0]));
    let error = error_of(5, file(&more));
    assert!(error.contains("expected no tensor but lora_A"), "{error}");
    assert!(
        error.contains("found \"base_model.model.lm_head.weight\""),
        "{error}"
    );

    for missing in 0..4 {
        let mut tensors = own_tensors(16);
        let (name, ..) = tensors.remove(missing);
        let error = error_of(1, file(&tensors));
        assert!(
            error.contains(&format!("{name:?}, which ccot.json asks for")),
            "{error}"
        );
    }
}

fn phase(role: Role, feed: Feed, max_steps: u32, adapter: Adapter) -> Phase {
    let thinks = role == Role::Think;
    Phase {
        role,
        feed,
        sampler: Sampler::GREEDY,
        until: Until {
            end_classifier: thinks.then_some(EndClassifier { threshold: 0.99 }),
            ..Until::steps(max_steps)
        },
        then_force: thinks.then_some(END).into_iter().collect(),
        adapter,
    }
}

/// `<think>`, at most `n` contemplation tokens, `</think>`, three tokens of an answer.
fn lane(n: u32) -> LaneSpec {
    LaneSpec {
        inputs: Input::tokens(&PROMPT),
        program: Program {
            start: vec![THINK],
            phases: vec![
                phase(Role::Think, Feed::CONTEMPLATION, n, Adapter::Generator),
                phase(Role::Answer, Feed::Token, 3, Adapter::Decoder),
            ],
        },
        seed: 5,
        stream: 0,
        decode_thoughts: true,
    }
}

fn contemplating() -> Arc<Weights> {
    let config = common::config();
    Arc::new(common::contemplating(&config, &common::weights(&config)))
}

fn run(weights: &Arc<Weights>, lanes: &[LaneSpec]) -> Vec<Vec<StepRecord>> {
    let mut engine = ReferenceEngine::new(&common::config(), weights.clone(), Precision::Oracle);
    block_on(run_to_end(&mut engine, lanes, 4, |_| {})).expect("a good run")
}

/// Lanes go from one set of weights to another while they run, each at a step of its own.
#[test]
fn lanes_under_different_weights_keep_step_and_run_as_alone() {
    let weights = contemplating();
    let lanes = [lane(2), lane(4), lane(0)];
    let mut engine = ReferenceEngine::new(&common::config(), weights.clone(), Precision::Oracle);
    block_on(engine.begin(&lanes)).expect("it begins");
    let mut records = Vec::new();
    for step in 0.. {
        let of_step = block_on(engine.advance(1)).expect("a good run");
        if of_step.is_empty() {
            break;
        }
        let steps: Vec<(u32, u32)> = of_step.iter().map(|r| (r.lane, r.step)).collect();
        let expected = steps.iter().map(|(lane, _)| (*lane, step));
        assert!(
            steps.is_sorted() && steps.iter().copied().eq(expected),
            "{steps:?}"
        );
        records.extend(of_step);
    }
    for (index, lane) in (0..).zip(&lanes) {
        let alone = run(&weights, std::slice::from_ref(lane)).remove(0);
        let together = records.iter().filter(|record| record.lane == index);
        let together: Vec<StepRecord> = together.map(|r| StepRecord { lane: 0, ..*r }).collect();
        assert!(together == alone, "lane {index}");
    }
}

/// Algorithm 2 of the paper by hand: what enters each position, and under which weights.
#[test]
fn the_query_runs_under_the_base_contemplation_under_the_generator_the_rest_under_the_decoder() {
    let config = common::config();
    let weights = contemplating();
    let set = weights.contemplation.as_ref().expect("it has one");
    let map = set.input_map.as_ref().expect("it has one");
    let records = run(&weights, &[lane(4)]).remove(0);
    let forward = Forward::new(&config, Precision::Oracle);
    let mut cache = KvCache::new(config.n_layers);
    let mut contemplated = Vec::new();
    let mut feed = |position: usize, x: Vec<f32>, adapter: Adapter| {
        let layers = match adapter {
            Adapter::Base => &weights.layers,
            Adapter::Generator => &set.generator,
            Adapter::Decoder => &set.decoder,
        };
        // A model whose only layers are these.
        let alone = Weights {
            layers: layers.clone(),
            contemplation: None,
            ..(*weights).clone()
        };
        let mut state = Vec::new();
        let keep = |layer: usize, x: &mut [f32]| {
            if layer == set.spec.layer as usize {
                state = x.to_vec();
            }
        };
        let under = (&alone, Adapter::Base);
        let hidden = forward.position(&config, under, &mut cache, position, x, keep);
        // x = M·(s·z / rms(z)) + b
        let mean = state.iter().map(|z| z * z).sum::<f32>() / state.len() as f32;
        let scale = map.scale / (mean + config.norm_eps).sqrt();
        let scaled: Vec<f32> = state.iter().map(|z| scale * z).collect();
        let mut fed = Precision::Oracle.matvec(&map.weight, &scaled);
        fed.iter_mut().zip(&map.bias).for_each(|(x, b)| *x += b);
        (
            forward
                .logits(&alone, std::slice::from_ref(&hidden))
                .remove(0),
            hidden,
            fed,
        )
    };
    let token = |id: u32| weights.embedding.row(id as usize).into_owned();
    for (position, id) in PROMPT.into_iter().take(4).enumerate() {
        feed(position, token(id), Adapter::Base);
    }
    let mut next = (token(PROMPT[4]), Adapter::Base);
    for record in &records {
        let (x, adapter) = next;
        let (logits, hidden, fed) = feed(record.position as usize, x, adapter);
        if record.n_kept > 0 {
            let sum: f64 = logits.iter().map(|z| f64::from(*z).exp()).sum();
            for kept in record.kept() {
                let expected = f64::from(logits[kept.id as usize]).exp() / sum;
                assert!((f64::from(kept.prob) - expected).abs() < 1e-5, "{record:?}");
            }
        }
        let asked = adapter == Adapter::Generator;
        assert_eq!(record.end_probability().is_some(), asked, "{record:?}");
        if asked {
            let end = &set.end_classifier;
            let logit = Precision::Oracle.dot(&end.weight, &hidden) + end.bias;
            let expected = 1.0 / (1.0 + (-logit).exp());
            assert!((record.end_probability - expected).abs() < 1e-5);
        }
        contemplated.push(adapter);
        next = match record.input_kind() {
            InputKind::Hidden => (fed, Adapter::Generator),
            _ if record.token == THINK => (token(THINK), Adapter::Base),
            _ => (token(record.token), Adapter::Decoder),
        };
    }
    let expected = [
        [Adapter::Base; 2].as_slice(),
        &[Adapter::Generator; 4],
        &[Adapter::Decoder; 3],
    ];
    assert_eq!(contemplated, expected.concat());
    assert_eq!(
        records[5].flags,
        flag::FORCED | flag::CAP | flag::END_TESTED
    );
}

#[test]
fn without_an_input_map_states_are_fed_as_they_are() {
    let (base, files) = folder();
    let mut tensors = own_tensors(16);
    tensors.drain(..2);
    let mut raw = files.clone();
    raw.contents[1] = file(&tensors);
    let config = common::config();
    let set = Contemplation::from_files(&config, &base, &raw).expect("neither tensor");
    let weights = Arc::new(Weights {
        contemplation: Some(set),
        ..base
    });
    let mut fed_raw = lane(4);
    // The folder's layer.
    fed_raw.program.phases[0].feed = Feed::Hidden { tap: Tap::Layer(1) };
    let traces = run(&weights, &[lane(4), fed_raw]);
    let mut found = traces[0].clone();
    found.iter_mut().for_each(|record| record.lane = 1);
    assert_eq!(found, traces[1]);
}

#[test]
fn with_every_phase_under_the_base_nothing_changes_to_the_bit() {
    let config = common::config();
    let mut plain = lane(4);
    for phase in &mut plain.program.phases {
        phase.adapter = Adapter::Base;
    }
    plain.program.phases[0].feed = Feed::THOUGHT;
    let lanes = [plain, lane(2)];
    let expected = run(&common::weights(&config), &lanes[..1]);
    assert_eq!(run(&contemplating(), &lanes)[..1], expected[..]);
}

#[test]
fn no_contemplation_at_all_answers_under_the_decoder() {
    let mut under_the_base = lane(0);
    under_the_base.program.phases[1].adapter = Adapter::Base;
    let records = run(&contemplating(), &[lane(0), under_the_base]);
    let tokens = |records: &[StepRecord]| -> Vec<u32> {
        records.iter().take(2).map(|record| record.token).collect()
    };
    for records in &records {
        assert_eq!(tokens(records), [THINK, END]);
        assert!(records.iter().all(|record| !record.has(flag::END_TESTED)));
    }
    // `</think>` is the first input that runs under them.
    let hidden = |lane: usize, step: usize| records[lane][step].hidden_norm;
    assert_eq!(hidden(0, 1), hidden(1, 1));
    assert_ne!(hidden(0, 2), hidden(1, 2));
}

#[test]
fn a_checkpoint_without_adapters_refuses_what_takes_them() {
    let config = common::config();
    let mut engine = ReferenceEngine::new(&config, common::weights(&config), Precision::Fast);
    let mut answers_only = lane(4);
    answers_only.program.phases[0].feed = Feed::THOUGHT;
    answers_only.program.phases[0].adapter = Adapter::Base;
    let mut feeds_only = lane(4);
    feeds_only
        .program
        .phases
        .iter_mut()
        .for_each(|phase| phase.adapter = Adapter::Base);
    for (spec, phase) in [(lane(4), 0), (feeds_only, 0), (answers_only, 1)] {
        let error = block_on(engine.begin(&[spec])).expect_err("no adapters");
        assert_eq!(error, EngineError::NoContemplation { lane: 0, phase });
        assert!(error.to_string().contains("ccot/ccot.json"), "{error}");
    }
    assert_eq!(ModelCapabilities::default().contemplation, None);
}

#[test]
fn the_cap_is_the_ratio_of_the_longest_chain() {
    let cap = |ratio: f64, chain| ContemplationSpec { layer: 0, ratio }.cap(chain);
    // The paper's h = 200·r.
    assert_eq!(
        [0.05, 0.1, 0.2, 0.5, 1.0].map(|r| cap(r, 200)),
        [10, 20, 40, 100, 200]
    );
    assert_eq!([0.0, 0.05, 0.1, 1.0].map(|r| cap(r, 72)), [0, 4, 8, 72]);
}

#[test]
fn contemplation_stands_for_what_the_teacher_keeps() {
    let task = arithmetic::TASK;
    let problem = task.generate(7, Difficulty::Official);
    let chain = problem.step_tokens().concat();
    let kept = |ratio| ContemplationSpec { layer: 0, ratio }.kept_tokens(&problem);
    assert!(kept(0.0).is_empty());
    assert_eq!(kept(1.0), chain);
    // With a token for each step, the last digit of its result.
    let n_steps = problem.step_tokens().len();
    let results: Vec<u32> = problem
        .step_tokens()
        .iter()
        .map(|step| step[step.len() - 2])
        .collect();
    assert_eq!(kept(n_steps as f64 / chain.len() as f64), results);
}
