//! What all charts share: axes, marks, a legend, and colours for light and dark pages.

use latent_model::metrics::Proportion;
use svg::{
    Document,
    node::element::{Circle, Group, Line, Polygon, Polyline, Rectangle, Style, Text, Title},
};

/// Classes and not colours are drawn, so that one file fits a light and a dark page. The colours
/// are those of the page.
const STYLE: &str = "
:root { --paper: #fff; --ink: #1b1c1f; --soft: #5b5f67; --grid: #d9dad5;
  --c0: #0a66b5; --c1: #b84a00; --c2: #00795a; --c3: #a8408a; --c4: #5b5f00; --c5: #3f3f9e }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1d2026; --ink: #eceef2; --soft: #a7adb8; --grid: #383d47;
    --c0: #5cb3f5; --c1: #ff9a52; --c2: #45cfa0; --c3: #e592cb; --c4: #d6cf5a; --c5: #a9a9ff } }
text { font: 12px system-ui, sans-serif; fill: var(--ink) }
.heading { font-size: 15px } .soft { fill: var(--soft); font-size: 11px }
.legend text { stroke: var(--paper); stroke-width: 4px; paint-order: stroke }
.paper { fill: var(--paper) } .grid { stroke: var(--grid) } .stage { stroke: var(--soft); stroke-dasharray: 2 3 }
.c0 { --c: var(--c0) } .c1 { --c: var(--c1) } .c2 { --c: var(--c2) }
.c3 { --c: var(--c3) } .c4 { --c: var(--c4) } .c5 { --c: var(--c5) }
.line { fill: none; stroke: var(--c); stroke-width: 2 } .thin { stroke-width: 1 }
.band { fill: var(--c); fill-opacity: 0.18 } .dot { fill: var(--c) } .bar { stroke: var(--c); stroke-width: 1.5 }
";
/// Colours of [`STYLE`].
const N_COLOURS: usize = 6;
/// Height of a line of a legend.
const LEGEND_LINE: f64 = 18.0;

/// An empty drawing with a title for screen readers.
pub fn document(width: f64, height: f64, title: &str) -> Document {
    Document::new()
        .set("viewBox", (0.0, 0.0, width, height))
        .set("role", "img")
        .add(Title::new(title))
        .add(Style::new(STYLE))
        .add(
            Rectangle::new()
                .set("class", "paper")
                .set("width", width)
                .set("height", height)
                .set("rx", 8),
        )
}

/// The class of the curve with this index.
pub fn colour(index: usize) -> String {
    format!("c{}", index % N_COLOURS)
}

/// A place for curves: its edges in the drawing, and the values at them.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// Left and right edge.
    pub across: [f64; 2],
    /// Upper and lower edge.
    pub down: [f64; 2],
    /// The value at the right edge; 0 is at the left one.
    pub last_x: f64,
    /// The value at the upper edge; 0 is at the lower one.
    pub last_y: f64,
}

/// An axis: what it shows, and where it gets labels.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it shows.
    pub title: &'static str,
    /// Behind each number.
    pub unit: &'static str,
    /// A label at each multiple of this.
    pub every: f64,
}

/// A value with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Where on the horizontal axis.
    pub x: f64,
    /// The value.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Estimate {
    /// A proportion at `x`, in percent.
    pub fn new(x: f64, proportion: &Proportion) -> Self {
        let [value, low, high] = proportion.percent();
        Self {
            x,
            value,
            low,
            high,
        }
    }
}

impl Panel {
    /// Horizontal place of a value.
    pub fn x(&self, value: f64) -> f64 {
        let [left, right] = self.across;
        rounded(left + (right - left) * value / self.last_x)
    }

    /// Vertical place of a value.
    pub fn y(&self, value: f64) -> f64 {
        let [top, bottom] = self.down;
        rounded(bottom - (bottom - top) * value / self.last_y)
    }

    /// Grid lines, labels and titles.
    pub fn axes(&self, x: &Axis, y: &Axis) -> Group {
        let [left, right] = self.across;
        let [top, bottom] = self.down;
        let mut axes = Group::new();
        for value in y.ticks(self.last_y) {
            let at = self.y(value);
            axes = axes
                .add(line([left, at], [right, at]).set("class", "grid"))
                .add(text(&y.label(value), left - 6.0, at + 4.0).set("text-anchor", "end"));
        }
        for value in x.ticks(self.last_x) {
            let label = text(&x.label(value), self.x(value), bottom + 16.0);
            axes = axes.add(label.set("text-anchor", "middle"));
        }
        let (middle, centre) = ((left + right) / 2.0, (top + bottom) / 2.0);
        let across = text(x.title, middle, bottom + 34.0).set("text-anchor", "middle");
        let turned = format!("rotate(-90 {} {centre})", left - 44.0);
        let upward = text(y.title, left - 44.0, centre)
            .set("text-anchor", "middle")
            .set("transform", turned);
        axes.add(across).add(upward)
    }

    /// A line through points.
    pub fn line(&self, points: impl IntoIterator<Item = (f64, f64)>) -> Polyline {
        Polyline::new().set("points", self.corners(points))
    }

    /// The intervals of estimates as one area.
    pub fn band(&self, estimates: &[Estimate]) -> Polygon {
        let low = estimates.iter().map(|estimate| (estimate.x, estimate.low));
        let high = estimates.iter().map(|estimate| (estimate.x, estimate.high));
        Polygon::new().set("points", self.corners(low.chain(high.rev())))
    }

    /// An estimate as a point.
    pub fn dot(&self, estimate: &Estimate) -> Circle {
        Circle::new()
            .set("class", "dot")
            .set("cx", self.x(estimate.x))
            .set("cy", self.y(estimate.value))
            .set("r", 3)
    }

    /// An estimate's interval as a bar with ends.
    pub fn bar(&self, estimate: &Estimate) -> Group {
        let x = self.x(estimate.x);
        let (low, high) = (self.y(estimate.low), self.y(estimate.high));
        let end = |y| line([x - 3.0, y], [x + 3.0, y]).set("class", "bar");
        Group::new()
            .add(line([x, low], [x, high]).set("class", "bar"))
            .add(end(low))
            .add(end(high))
    }

    fn corners(&self, points: impl IntoIterator<Item = (f64, f64)>) -> String {
        let corner = |(x, y)| format!("{},{}", self.x(x), self.y(y));
        let corners: Vec<String> = points.into_iter().map(corner).collect();
        corners.join(" ")
    }
}

impl Axis {
    /// An axis to `last` with about `n` labels at round numbers.
    pub fn round(title: &'static str, last: f64, n: f64) -> Self {
        let decade = 10_f64.powf((last / n).log10().floor());
        let every = [1.0, 2.0, 5.0].map(|digit| digit * decade);
        let every = every.into_iter().find(|every| last / every <= n);
        Self {
            title,
            unit: "",
            every: every.unwrap_or(10.0 * decade),
        }
    }

    fn ticks(&self, last: f64) -> impl Iterator<Item = f64> {
        // A tick at the very end must not be lost to rounding.
        let n = (last / self.every + 1e-9).floor() as u32;
        let every = self.every;
        (0..=n).map(move |tick| f64::from(tick) * every)
    }

    fn label(&self, value: f64) -> String {
        let digits = usize::from(self.every.fract() != 0.0);
        format!("{value:.digits$}{}", self.unit)
    }
}

/// Names of curves, one under the other, each with its class; `y` is the place of the last one.
pub fn legend([x, y]: [f64; 2], entries: &[(String, String)]) -> Group {
    let lines = (0_u8..).zip(entries.iter().rev());
    let lines = lines.map(|(index, (class, name))| {
        let y = y - f64::from(index) * LEGEND_LINE;
        Group::new()
            .set("class", class.as_str())
            .add(line([x, y], [x + 18.0, y]).set("class", "line"))
            .add(text(name, x + 24.0, y + 4.0))
    });
    lines.fold(Group::new().set("class", "legend"), |legend, line| {
        legend.add(line)
    })
}

/// Text with its left end at a place.
pub fn text(content: &str, x: f64, y: f64) -> Text {
    Text::new(content).set("x", x).set("y", y)
}

/// A straight line.
pub fn line([x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) -> Line {
    Line::new()
        .set("x1", x1)
        .set("y1", y1)
        .set("x2", x2)
        .set("y2", y2)
}

/// A tenth of a unit is finer than any screen.
fn rounded(place: f64) -> f64 {
    (10.0 * place).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANEL: Panel = Panel {
        across: [50.0, 250.0],
        down: [10.0, 110.0],
        last_x: 4.0,
        last_y: 100.0,
    };

    #[test]
    fn values_lie_between_the_edges() {
        assert_eq!((PANEL.x(0.0), PANEL.x(4.0)), (50.0, 250.0));
        assert_eq!((PANEL.y(0.0), PANEL.y(100.0)), (110.0, 10.0));
        let estimate = |x, value| Estimate {
            x,
            value,
            low: value - 10.0,
            high: value + 10.0,
        };
        let band = PANEL.band(&[estimate(0.0, 50.0), estimate(2.0, 80.0)]);
        let band = band.to_string();
        assert!(band.contains("50,70 150,40 150,20 50,50"), "{band}");
    }

    #[test]
    fn labels_are_round_numbers() {
        let every = |last, n| Axis::round("steps", last, n).every;
        assert_eq!(every(5420.0, 8.0), 1000.0);
        assert_eq!(every(7.3, 6.0), 2.0);
        assert_eq!(every(100.0, 10.0), 10.0);
        assert_eq!(every(1.0, 6.0), 0.2);
        let axis = Axis::round("loss", 0.6, 6.0);
        let labels: Vec<String> = axis.ticks(0.6).map(|value| axis.label(value)).collect();
        assert_eq!(labels, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]);
    }

    #[test]
    fn every_class_that_is_drawn_has_a_rule_and_every_colour_a_dark_twin() {
        let drawing = document(300.0, 150.0, "a < b & c")
            .add(PANEL.axes(
                &Axis::round("steps", 4.0, 4.0),
                &Axis::round("share", 100.0, 5.0),
            ))
            .add(legend([60.0, 20.0], &[(colour(7), "d < e".into())]))
            .to_string();
        let xml = roxmltree::Document::parse(&drawing).expect("it is XML");
        let title = xml.descendants().find(|node| node.has_tag_name("title"));
        assert_eq!(title.and_then(|node| node.text()), Some("a < b & c"));
        let style = xml.descendants().find(|node| node.has_tag_name("style"));
        let style = style.and_then(|node| node.text()).expect("it has a style");
        for class in xml.descendants().filter_map(|node| node.attribute("class")) {
            assert!(style.contains(&format!(".{class} ")), "no rule for {class}");
        }
        for index in 0..N_COLOURS {
            let name = format!("--{}: #", colour(index));
            assert_eq!(style.matches(&name).count(), 2, "{name}");
        }
    }
}
