//! The picture of a study: how far what follows a mixture lies from what follows its words, and
//! how much of it the layers read alike.

use anyhow::{Result, ensure};
use latent_model::analysis::{
    report::{AnalysisRow, AnalysisStudy, MethodReport},
    statistics::Mean,
};
use svg::node::element::Group;

use crate::chart::{self, Axis, Estimate, Panel};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
const DOWN: [f64; 2] = [90.0, 350.0];
/// Size of the sets of tokens whose overlap is drawn.
const K: usize = 5;

/// What is drawn of each row where something was asked about: its checkpoint, and the method.
pub fn drawn(study: &AnalysisStudy) -> Vec<(&AnalysisRow, &MethodReport)> {
    let rows = study.rows.iter();
    let rows = rows.filter(|row| row.part == "mixtures" || row.part == "one");
    let asked = |row| {
        let row: &AnalysisRow = row;
        let mut methods = row.methods.iter();
        Some((row, methods.find(|method| method.js.top1.is_some())?))
    };
    rows.filter_map(asked).collect()
}

/// The drawing.
pub fn svg(study: &AnalysisStudy) -> Result<String> {
    let drawn = drawn(study);
    ensure!(
        !drawn.is_empty(),
        "no step of the study mixes tokens: there is nothing to draw"
    );
    let heading = "What follows a mixture, and what follows its words alone";
    let document = chart::document(WIDTH, HEIGHT, heading)
        .add(chart::text(heading, 64.0, 26.0).set("class", "heading"));
    let names = drawn.iter().enumerate().map(|(index, (row, method))| {
        let subject = &row.subject;
        let name = format!("{} {}, n {}", subject.model, method.strategy, subject.n);
        (chart::colour(index), name)
    });
    let names: Vec<_> = names.collect();
    let document = document
        .add(divergences(&drawn))
        .add(overlaps(&drawn))
        .add(chart::legend([64.0, 72.0], &names));
    Ok(format!("{document}\n"))
}

/// JS(top-i, soft) for i = 1, 2, 3.
fn divergences(drawn: &[(&AnalysisRow, &MethodReport)]) -> Group {
    // All three over steps that mix at least two words.
    let js = |method: &MethodReport| {
        let js = &method.js;
        [js.top1_of_several, js.top2, js.top3]
    };
    let highest = drawn.iter().flat_map(|(_, method)| js(method)).flatten();
    let highest = highest.map(|mean| mean.ci_high).fold(0.05, f64::max);
    let panel = Panel {
        across: [64.0, 400.0],
        down: DOWN,
        last_x: 4.0,
        last_y: highest,
    };
    let x = Axis {
        title: "the word fed alone: the mixture's 1st, 2nd, 3rd",
        unit: "",
        every: 1.0,
    };
    let mut group =
        Group::new().add(panel.axes(&x, &Axis::round("JS to the mixture, nats", highest, 5.0)));
    for (index, (_, method)) in drawn.iter().enumerate() {
        let aside = 0.1 * (index as f64 - (drawn.len() - 1) as f64 / 2.0);
        let mut curve = Group::new().set("class", chart::colour(index));
        for (place, mean) in (1_u8..).zip(js(method)) {
            if let Some(mean) = mean {
                let estimate = estimate(f64::from(place) + aside, &mean);
                curve = curve.add(panel.bar(&estimate)).add(panel.dot(&estimate));
            }
        }
        group = group.add(curve);
    }
    group
}

/// overlap@k of the first word by layer, as lines, and of the second, as thin ones.
fn overlaps(drawn: &[(&AnalysisRow, &MethodReport)]) -> Group {
    let layers = |method: &MethodReport, word: &str| -> Vec<Mean> {
        let of_word = method.overlap.get(word).and_then(|sizes| sizes.get(&K));
        of_word.cloned().unwrap_or_default()
    };
    let n_layers = drawn.iter().map(|(_, method)| layers(method, "top1").len());
    let panel = Panel {
        across: [480.0, 830.0],
        down: DOWN,
        last_x: n_layers.max().unwrap_or(1).max(1) as f64,
        last_y: 1.0,
    };
    let x = Axis::round("layer", panel.last_x, 8.0);
    let y = Axis {
        title: "overlap@5 with the mixture (thin: 2nd word)",
        unit: "",
        every: 0.2,
    };
    let mut group = Group::new().add(panel.axes(&x, &y));
    for (index, (_, method)) in drawn.iter().enumerate() {
        for (word, class) in [("top1", "line"), ("top2", "line thin")] {
            let layers = layers(method, word);
            let points = (1_u8..).zip(&layers);
            let points = points.map(|(layer, mean)| (f64::from(layer), mean.mean));
            let line = panel.line(points).set("class", class);
            group = group.add(Group::new().set("class", chart::colour(index)).add(line));
        }
    }
    group
}

fn estimate(x: f64, mean: &Mean) -> Estimate {
    Estimate {
        x,
        value: mean.mean,
        low: mean.ci_low,
        high: mean.ci_high,
    }
}
