//! A chart with logarithmic axes, as SVG.

use std::fmt::Write;

/// A line with its points.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// What is drawn.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    /// What the axes are.
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    pub(crate) series: &'a [Series],
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 480.0;
/// The area of the lines, within that.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 660.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 430.0;
/// Between two lines of the legend.
const LINE: f64 = 20.0;

/// Ours; whatever is compared with it is thinner.
const OURS: &str = "#d1242f";
/// Told apart also by whoever does not see all colours alike: neighbours differ in lightness too.
const THEIRS: [&str; 8] =
    ["#0b5fa5", "#e69f00", "#00796b", "#cc79a7", "#56b4e9", "#6b4c9a", "#8a6d3b", "#5f6b76"];
const DASHES: [&str; 2] = ["none", "6 3"];

/// From values to places.
#[derive(Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Of `values`, in whole powers of `base` where `whole`.
    fn of(values: impl Iterator<Item = f64> + Clone, whole: bool, from: f64, to: f64) -> Option<Self> {
        let least = values.clone().reduce(f64::min)?.log10();
        let greatest = values.reduce(f64::max)?.log10();
        let (low, high) = if whole { (least.floor(), greatest.ceil()) } else { (least, greatest) };
        Some(Self { low, high: if high > low { high } else { low + 1.0 }, from, to })
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (value.log10() - self.low) / (self.high - self.low) * (self.to - self.from)
    }
}

impl Chart<'_> {
    /// The picture, unless there is nothing to draw.
    pub(crate) fn draw(&self) -> Option<String> {
        let points =
            self.series.iter().flat_map(|series| &series.points).filter(|(x, y)| *x > 0.0 && *y > 0.0);
        let x = Axis::of(points.clone().map(|(x, _)| *x), false, LEFT, RIGHT)?;
        let y = Axis::of(points.map(|(_, y)| *y), true, BOTTOM, TOP)?;
        let mut svg = String::new();
        self.frame(&mut svg, &x, &y).ok()?;
        for (index, series) in self.series.iter().enumerate() {
            line(&mut svg, series, index, &x, &y).ok()?;
        }
        svg.push_str("</svg>\n");
        Some(svg)
    }

    fn frame(&self, svg: &mut String, x: &Axis, y: &Axis) -> std::fmt::Result {
        writeln!(
            svg,
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#24292f">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text x="{LEFT}" y="24" font-size="16">{}</text>
<text x="{RIGHT}" y="{}" text-anchor="end">{}</text>
<text x="{LEFT}" y="{}" text-anchor="end">{}</text>"##,
            self.title,
            BOTTOM + 38.0,
            self.x,
            TOP - 10.0,
            self.y,
        )?;
        for power in y.low as i32..=y.high as i32 {
            let place = y.place(10f64.powi(power));
            writeln!(svg, r##"<path d="M{LEFT} {place:.1}H{RIGHT}" stroke="#d0d7de"/>"##)?;
            let label = short(10f64.powi(power));
            writeln!(
                svg,
                r#"<text x="{}" y="{:.1}" text-anchor="end">{label}</text>"#,
                LEFT - 8.0,
                place + 4.0
            )?;
        }
        let mut at: Vec<f64> =
            self.series.iter().flat_map(|series| &series.points).map(|(x, _)| *x).collect();
        at.sort_by(f64::total_cmp);
        at.dedup();
        for value in at {
            let place = x.place(value);
            writeln!(svg, r##"<path d="M{place:.1} {TOP}V{BOTTOM}" stroke="#eaeef2"/>"##)?;
            let label = if self.x == "bytes" { crate::harness::bytes(value as usize) } else { short(value) };
            writeln!(
                svg,
                r#"<text x="{place:.1}" y="{}" text-anchor="middle">{label}</text>"#,
                BOTTOM + 18.0
            )?;
        }
        Ok(())
    }
}

/// A series and its line of the legend.
fn line(svg: &mut String, series: &Series, index: usize, x: &Axis, y: &Axis) -> std::fmt::Result {
    let ours = series.name.starts_with("tidings");
    let colour = if ours { OURS } else { THEIRS[index % THEIRS.len()] };
    let dash = DASHES
        [if ours { usize::from(series.name != "tidings") } else { index / THEIRS.len() % DASHES.len() }];
    let width = if ours { 3.5 } else { 1.6 };
    let style = format!(r#"stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}" fill="none""#);
    let points = series.points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0);
    let places: Vec<(f64, f64)> = points.map(|(at, value)| (x.place(*at), y.place(*value))).collect();
    let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    writeln!(svg, r#"<path d="M{}" {style}/>"#, path.join("L"))?;
    for (x, y) in places {
        writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#)?;
    }
    let (left, top) = (RIGHT + 20.0, TOP + LINE * index as f64);
    writeln!(svg, r#"<path d="M{left} {top}h24" {style}/>"#)?;
    writeln!(svg, r#"<text x="{}" y="{}">{}</text>"#, left + 32.0, top + 4.0, series.name)
}

/// A number as an axis says it.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{} G", v / 1e9),
        v if v >= 1e6 => format!("{} M", v / 1e6),
        v if v >= 1e3 => format!("{} k", v / 1e3),
        v => format!("{v}"),
    }
}
