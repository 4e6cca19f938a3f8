//! What a measurement of the device says: a report as text, and a roofline (Williams, Waterman and
//! Patterson, Communications of the ACM 52, 2009): how many FLOP a second a device can do at most
//! for every byte that it moves.

use std::fmt::Write;

use crate::words::{fill, words};

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpeedReport {
    /// The checkpoint's name.
    pub checkpoint: String,
    /// Its parameters.
    pub n_parameters: usize,
    /// The number format of its matrices.
    pub format: String,
    /// What the browser says that it is.
    pub browser: String,
    /// The GPU's name, where there is one.
    pub adapter: Option<String>,
    /// What the self-test found.
    pub parity: Option<String>,
    /// Engines by lanes.
    pub rows: Vec<SpeedRow>,
    /// What the device can do at best.
    pub roofs: Option<Roofs>,
}

/// One engine with some lanes.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeedRow {
    /// The engine.
    pub engine: String,
    /// Lanes.
    pub n_lanes: usize,
    /// Of all lanes.
    pub seconds_a_step: f64,
    /// From the prompt to the first token.
    pub first_token_seconds: f64,
    /// What a step asks of the device, where it is declared.
    pub work: Option<Work>,
}

/// What a step asks of the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Read and written.
    pub bytes: f64,
    /// Floating-point operations.
    pub flops: f64,
}

/// What a device can do at best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roofs {
    /// Read and written by a copy.
    pub bytes_per_second: f64,
    /// Of the quickest matmul.
    pub flops_per_second: f64,
}

impl Roofs {
    /// FLOP a second that are to be had at so many FLOP for every byte.
    fn at(self, intensity: f64) -> f64 {
        (self.bytes_per_second * intensity).min(self.flops_per_second)
    }
}

impl SpeedRow {
    /// Tokens a second of all lanes.
    pub fn tokens_per_second(&self) -> f64 {
        // A clock that stands still gives no infinite speed.
        self.n_lanes as f64 / self.seconds_a_step.max(1e-6)
    }

    /// FLOP for every byte, and FLOP a second.
    fn point(&self) -> Option<[f64; 2]> {
        let Work { bytes, flops } = self.work?;
        Some([flops / bytes, flops / self.seconds_a_step.max(1e-6)])
    }

    /// The share of what the device can do at best.
    pub fn share(&self, roofs: Option<Roofs>) -> Option<f64> {
        let [intensity, flops_per_second] = self.point()?;
        Some(flops_per_second / roofs?.at(intensity))
    }
}

impl SpeedReport {
    /// What the device can do at best, in a sentence.
    pub fn roofs_sentence(&self) -> String {
        let Some(roofs) = self.roofs else {
            return words().speed_no_gpu.into();
        };
        let [copy, best] = [roofs.bytes_per_second, roofs.flops_per_second]
            .map(|rate| format!("{:.1}", rate / 1e9));
        fill(words().speed_roofs, &[("copy", &copy), ("best", &best)])
    }

    /// All of it as Markdown.
    pub fn markdown(&self) -> String {
        let adapter = self.adapter.as_deref().unwrap_or("–");
        let mut text = format!(
            "**Latent Playground**: {} ({} {}, {})\n\n- GPU: {adapter}\n- {}\n- {}\n",
            self.checkpoint,
            self.n_parameters,
            words().parameters,
            self.format,
            self.browser,
            self.roofs_sentence(),
        );
        if let Some(parity) = &self.parity {
            let _ = writeln!(text, "- {parity}");
        }
        text += &format!("\n| {} |\n|---|--:|--:|--:|--:|\n", heads().join(" | "));
        for row in &self.rows {
            let [engine, lanes, tokens, first, share] = self.cells(row);
            let _ = writeln!(
                text,
                "| {engine} | {lanes} | {tokens} | {first} | {share} |"
            );
        }
        text
    }

    /// A row's texts: engine, lanes, tokens a second, milliseconds to the first token, share of
    /// the roof in percent.
    pub fn cells(&self, row: &SpeedRow) -> [String; 5] {
        let share = row.share(self.roofs);
        [
            row.engine.clone(),
            row.n_lanes.to_string(),
            format!("{:.0}", row.tokens_per_second()),
            format!("{:.1}", 1e3 * row.first_token_seconds),
            share.map_or("–".into(), |share| format!("{:.0}", 100.0 * share)),
        ]
    }
}

/// The drawing's size.
pub const SIZE: [f64; 2] = [420.0, 240.0];
/// Where its axes are.
pub const FRAME: [f64; 4] = [56.0, 10.0, 410.0, 200.0];

/// A roofline, drawn: logarithms on both axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Roofline {
    /// The roof's corners, from left to right.
    pub roof: [[f64; 2]; 3],
    /// A point and its lanes for each row that has one.
    pub points: Vec<([f64; 2], usize)>,
    /// FLOP for every byte, with where it is from left.
    pub intensities: Vec<(f64, String)>,
    /// FLOP a second, with where it is from above.
    pub speeds: Vec<(f64, String)>,
}

/// The roofline of a report that has one.
pub fn roofline(report: &SpeedReport) -> Option<Roofline> {
    let roofs = report.roofs?;
    let rows = report.rows.iter();
    let found: Vec<([f64; 2], usize)> = rows
        .filter_map(|row| Some((row.point()?, row.n_lanes)))
        .collect();
    let knee = roofs.flops_per_second / roofs.bytes_per_second;
    let along = found.iter().map(|([intensity, _], _)| *intensity);
    let [left, right] = decades(along.chain([knee / 4.0, knee * 4.0]));
    let up = found.iter().map(|([_, speed], _)| *speed);
    let up = up.chain([roofs.at(10f64.powi(left)), roofs.flops_per_second]);
    let [bottom, top] = decades(up);
    let [x0, y0, x1, y1] = FRAME;
    let share = |value: f64, [low, high]: [i32; 2]| {
        (value.log10() - f64::from(low)) / f64::from(high - low)
    };
    let x = |value: f64| x0 + (x1 - x0) * share(value, [left, right]);
    let y = |value: f64| y1 - (y1 - y0) * share(value, [bottom, top]);
    let corner = |intensity: f64| [x(intensity), y(roofs.at(intensity))];
    let tick = |at: fn(i32) -> String, place: f64, power: i32| (place, at(power));
    Some(Roofline {
        roof: [10f64.powi(left), knee, 10f64.powi(right)].map(corner),
        points: found
            .iter()
            .map(|([intensity, speed], n_lanes)| ([x(*intensity), y(*speed)], *n_lanes))
            .collect(),
        intensities: (left..=right)
            .map(|power| tick(power_of_ten, x(10f64.powi(power)), power))
            .collect(),
        speeds: (bottom..=top)
            .map(|power| tick(with_prefix, y(10f64.powi(power)), power))
            .collect(),
    })
}

/// The powers of ten around all of these.
fn decades(values: impl Iterator<Item = f64>) -> [i32; 2] {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let low = low.log10().floor() as i32;
    [low, (high.log10().ceil() as i32).max(low + 1)]
}

fn power_of_ten(power: i32) -> String {
    match power {
        0.. => format!("{}", 10f64.powi(power)),
        _ => format!("{:.*}", power.unsigned_abs() as usize, 10f64.powi(power)),
    }
}

/// 10^power as "100 M", "1 G" and the like.
fn with_prefix(power: i32) -> String {
    let (unit, name) = match power {
        ..6 => (3, "k"),
        6..9 => (6, "M"),
        9..12 => (9, "G"),
        _ => (12, "T"),
    };
    format!("{} {name}", power_of_ten(power - unit))
}

/// What stands above the texts of [`SpeedReport::cells`].
pub fn heads() -> [&'static str; 5] {
    [
        words().speed_engine,
        words().speed_lanes,
        words().speed_tokens,
        words().speed_first,
        words().speed_share,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> SpeedReport {
        let row = |engine: &str, n_lanes: usize, work: Option<Work>| SpeedRow {
            engine: engine.into(),
            n_lanes,
            seconds_a_step: 0.01,
            first_token_seconds: 0.25,
            work,
        };
        let work = |n: f64| Work {
            bytes: 4e6,
            flops: 2e6 * n,
        };
        SpeedReport {
            checkpoint: "prosqa-coconut".into(),
            n_parameters: 926_848,
            format: "f32".into(),
            browser: "a browser".into(),
            adapter: Some("a GPU".into()),
            parity: Some("they agree".into()),
            rows: vec![
                row("WebGPU", 1, Some(work(1.0))),
                row("WebGPU", 8, Some(work(8.0))),
                row("CPU", 1, None),
            ],
            roofs: Some(Roofs {
                bytes_per_second: 1e9,
                flops_per_second: 2e9,
            }),
        }
    }

    #[test]
    fn shares_are_of_the_lower_roof() {
        let report = report();
        let shares = [0, 1, 2].map(|row| report.rows[row].share(report.roofs));
        // Half a FLOP a byte: 0.2 of 0.5 GFLOP/s. Four FLOP a byte: 1.6 of 2 GFLOP/s.
        assert_eq!(shares, [Some(0.4), Some(0.8), None]);
        assert_eq!(report.rows[1].tokens_per_second(), 800.0);
    }

    #[test]
    fn the_roof_bends_where_both_limits_meet_and_points_lie_below_it() {
        let Roofline {
            roof,
            points,
            intensities,
            speeds,
        } = roofline(&report()).expect("it has roofs");
        assert_eq!(roof[1][1], roof[2][1], "level to the right");
        assert!(roof[0][1] > roof[1][1], "rising to the left");
        assert_eq!(points.len(), 2, "the CPU declares nothing");
        for ([x, y], _) in &points {
            assert!((FRAME[0]..=FRAME[2]).contains(x) && (FRAME[1]..=FRAME[3]).contains(y));
            let on_the_left = (x - roof[0][0]) / (roof[1][0] - roof[0][0]);
            let above = roof[0][1] + on_the_left.min(1.0) * (roof[1][1] - roof[0][1]);
            assert!(*y > above, "{y} is above {above}");
        }
        let labels = |ticks: &[(f64, String)]| -> Vec<String> {
            ticks.iter().map(|(_, label)| label.clone()).collect()
        };
        assert_eq!(labels(&intensities), ["0.1", "1", "10"]);
        assert_eq!(labels(&speeds), ["100 M", "1 G", "10 G"]);
    }

    #[test]
    fn the_report_is_a_table_that_can_be_pasted() {
        let text = report().markdown();
        assert!(text.contains("| WebGPU | 8 | 800 | 250.0 | 80 |"), "{text}");
        assert!(text.contains("| CPU | 1 | 100 | 250.0 | – |"), "{text}");
        assert!(
            text.contains("a GPU") && text.contains("they agree"),
            "{text}"
        );
        let without = SpeedReport {
            roofs: None,
            ..report()
        };
        assert!(without.markdown().contains(words().speed_no_gpu));
        assert_eq!(roofline(&without), None);
    }
}
