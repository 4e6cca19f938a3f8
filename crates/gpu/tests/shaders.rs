//! Every shader parses and validates, the table of kernels is the folder, and structs agree.

use std::collections::BTreeSet;

use latent_gpu::{
    kernels::{KERNELS, Kernel, SHARED, Shape, Table},
    layout,
};
use latent_model::{checkpoint::WeightFormat, record::StepRecord};
use naga::{
    Module, TypeInner,
    valid::{Capabilities, ValidationFlags, Validator},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shaders");

fn parsed(source: &str) -> Module {
    naga::front::wgsl::parse_str(source).expect("the other test names what is wrong")
}

/// Every kernel of all tables for weights of every format.
fn sources() -> impl Iterator<Item = (Table, Kernel)> {
    let tables = Table::ALL.into_iter();
    let formats = tables.flat_map(|table| WeightFormat::ALL.map(|format| (table, format)));
    formats.flat_map(|(table, format)| KERNELS.map(|kernel| (table, kernel.of(table, format))))
}

#[test]
fn every_shader_is_valid() {
    let mut failures = Vec::new();
    for (table, kernel) in sources() {
        let source = kernel.source();
        let module = match naga::front::wgsl::parse_str(&source) {
            Ok(module) => module,
            Err(error) => {
                failures.push(error.emit_to_string_with_path(&source, kernel.name));
                continue;
            }
        };
        // No capability beyond WebGPU's core: shaders must run on every device. unpack2x16float is part
        // of the core; naga has a capability for it because OpenGL ES 3.0 lacks it.
        let core = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        let capabilities = match table {
            Table::CpuSubgroups => core | Capabilities::SUBGROUP,
            Table::Cpu | Table::Gpu => core,
        };
        let mut validator = Validator::new(ValidationFlags::all(), capabilities);
        if let Err(error) = validator.validate(&module) {
            failures.push(error.emit_to_string_with_path(&source, kernel.name));
        }
        let entry_points: Vec<_> = module
            .entry_points
            .iter()
            .map(|entry| &entry.name)
            .collect();
        if entry_points != ["main"] {
            failures.push(format!("{}: expected one entry point main", kernel.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_table_is_the_folder() {
    let mut files: Vec<String> = std::fs::read_dir(FOLDER)
        .expect("the shaders' folder")
        .map(|entry| {
            entry
                .expect("a file")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    let kernels = KERNELS.iter().map(|kernel| kernel.name);
    let mut table: Vec<String> = kernels
        .chain(SHARED)
        .map(|name| format!("{name}.wgsl"))
        .collect();
    files.sort();
    table.sort();
    assert_eq!(files, table);
}

/// Size and (name, offset) of each field of a struct in the prelude.
fn wgsl_struct(name: &str) -> (u32, Vec<(String, u32)>) {
    let module = parsed(&KERNELS[0].source());
    let (_, found) = module
        .types
        .iter()
        .find(|(_, ty)| ty.name.as_deref() == Some(name))
        .expect("a struct of the prelude");
    let TypeInner::Struct { members, span } = &found.inner else {
        panic!("{name} is not a struct");
    };
    let fields = members.iter().flat_map(|member| fields(&module, member, 0));
    (*span, fields.collect())
}

/// A field, or the fields of a struct inside of a struct, which are flat in Rust.
fn fields(module: &Module, member: &naga::StructMember, base: u32) -> Vec<(String, u32)> {
    let offset = base + member.offset;
    match &module.types[member.ty].inner {
        TypeInner::Struct { members, .. } => members
            .iter()
            .flat_map(|inner| fields(module, inner, offset))
            .collect(),
        _ => vec![(member.name.clone().expect("a named field"), offset)],
    }
}

/// Compares a Rust struct with the WGSL struct of the same fields, in the same order.
macro_rules! assert_same_layout {
    ($rust:ty, $wgsl:literal, [$($field:ident),* $(,)?]) => {
        let fields = vec![
            $((stringify!($field).to_owned(), std::mem::offset_of!($rust, $field) as u32)),*
        ];
        assert_eq!(wgsl_struct($wgsl), (size_of::<$rust>() as u32, fields));
    };
}

#[test]
fn structs_have_the_same_layout_on_both_sides() {
    assert_same_layout!(
        layout::Row,
        "Row",
        [
            lane,
            position,
            write_row,
            base,
            prefix_base,
            n_prefix,
            live,
            commits,
            wants_logits,
            adapter,
            n_shared
        ]
    );
    assert_same_layout!(
        layout::RowInput,
        "Input",
        [kind, token, tap, n_kept, ids, weights]
    );
    assert_same_layout!(layout::RowState, "RowState", [hidden_norm, end_probability]);
    assert_same_layout!(
        layout::Part,
        "Part",
        [
            largest,
            n_bad,
            sum,
            weighted,
            raw_sum,
            raw_weighted,
            temperature,
            ids,
            logits
        ]
    );
    assert_same_layout!(
        layout::Phase,
        "Phase",
        [
            is_thinking,
            feed,
            tap,
            pause_token,
            max_steps,
            temperature,
            top_k,
            top_p,
            min_p,
            max_concepts,
            noise,
            noise_scale,
            greedy,
            stop_tokens,
            then_force,
            n_force,
            stop_text,
            n_stop_text,
            drops_stop,
            cold_entropy,
            cold_patience,
            asks_classifier,
            end_threshold,
            adapter
        ]
    );
    assert_same_layout!(
        layout::Lane,
        "Lane",
        [
            seed,
            stream,
            step,
            phase,
            phase_step,
            cold_count,
            forced_row,
            forced_next,
            n_matched,
            n_phases,
            decode_thoughts,
            tick
        ]
    );
    assert_same_layout!(
        StepRecord,
        "Record",
        [
            lane,
            step,
            position,
            phase,
            phase_step,
            input,
            token,
            flags,
            cold_count,
            n_kept,
            entropy,
            raw_entropy,
            hidden_norm,
            end_probability,
            ids,
            probs,
            weights
        ]
    );
}

#[test]
fn constants_have_the_same_value_on_both_sides() {
    let module = parsed(&KERNELS[0].source());
    let value = |constant: &naga::Constant| match module.global_expressions[constant.init] {
        naga::Expression::Literal(naga::Literal::U32(value)) => Some(value),
        _ => None,
    };
    let mut found: Vec<(String, u32)> = module
        .constants
        .iter()
        .filter_map(|(_, constant)| Some((constant.name.clone()?, value(constant)?)))
        .collect();
    let mut expected: Vec<(String, u32)> = layout::PRELUDE_CONSTANTS
        .iter()
        .map(|&(name, value)| (name.to_owned(), value))
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// Loop statements of a block, and of the functions that it calls, each function once.
fn count_loops(module: &Module, block: &naga::Block, seen: &mut BTreeSet<usize>) -> usize {
    use naga::Statement;
    let mut n = 0;
    for statement in block {
        n += match statement {
            Statement::Loop {
                body, continuing, ..
            } => 1 + count_loops(module, body, seen) + count_loops(module, continuing, seen),
            Statement::Block(block) => count_loops(module, block, seen),
            Statement::If { accept, reject, .. } => {
                count_loops(module, accept, seen) + count_loops(module, reject, seen)
            }
            Statement::Switch { cases, .. } => cases
                .iter()
                .map(|case| count_loops(module, &case.body, seen))
                .sum(),
            Statement::Call { function, .. } if seen.insert(function.index()) => {
                count_loops(module, &module.functions[*function].body, seen)
            }
            _ => 0,
        };
    }
    n
}

#[test]
fn every_loop_has_its_place_in_the_kernels_bound() {
    for table in Table::ALL {
        let constants: &[(&str, f64)] = match table {
            Table::Cpu => &[],
            Table::CpuSubgroups => &[("SUBGROUP", 8.0)],
            Table::Gpu => &[("QUADS", 4.0), ("SLICES", 2.0)],
        };
        for kernel in KERNELS {
            let kernel = kernel.of(table, WeightFormat::F32);
            let module = parsed(&kernel.source());
            let main = &module.entry_points[0].function.body;
            let shape = Shape {
                threads: 16,
                constants,
                n_positions: 1,
            };
            let declared = (kernel.loops)(&shape).len();
            let found = count_loops(&module, main, &mut BTreeSet::new());
            assert_eq!(declared, found, "{} {}", kernel.name, table.name());
        }
    }
}
