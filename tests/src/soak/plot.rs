use std::fmt::Write as _;

use super::{Record, Sample};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const BAND: f64 = 150.0;
const GAP: f64 = 46.0;

/// A band of the plot: its title, its colour, and the number it shows.
type Band = (&'static str, &'static str, fn(&Sample) -> f64);

const BANDS: [Band; 4] = [
    ("resident memory, MiB", "#2563a8", |sample| sample.signs.resident_mib()),
    ("threads", "#8a4fa3", |sample| sample.signs.threads as f64),
    ("file descriptors", "#a8632a", |sample| sample.signs.descriptors as f64),
    ("cameras online", "#2f7d4f", |sample| sample.online as f64),
];

/// The record as an SVG picture: one band above the other over the same minutes, each from 0.
pub fn plot(record: &Record) -> String {
    let samples = record.samples();
    let minutes = |sample: &Sample| sample.at.as_secs_f64() / 60.0;
    let length = samples.last().map_or(1.0, minutes).max(0.1);
    let height = BANDS.len() as f64 * (BAND + GAP) + GAP;
    let x = |minute: f64| LEFT + minute / length * (WIDTH - LEFT - RIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (place, (title, colour, number)) in BANDS.iter().enumerate() {
        let top = GAP + place as f64 * (BAND + GAP);
        let bottom = top + BAND;
        let most = samples.iter().map(number).fold(1.0, f64::max) * 1.1;
        let y = |value: f64| bottom - value / most * BAND;
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{title}</text>", top - 8.0);
        for part in [0.0, 0.5, 1.0] {
            let (value, line) = (most * part, y(most * part));
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{line:.1}\" y2=\"{line:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{value:.0}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                line + 4.0
            );
        }
        let points: Vec<String> = samples
            .iter()
            .map(|sample| format!("{:.1},{:.1}", x(minutes(sample)), y(number(sample))))
            .collect();
        let points = points.join(" ");
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{points}\"/>"
        );
    }
    for tenth in 0..=10 {
        let minute = length * f64::from(tenth) / 10.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{minute:.0}</text>",
            x(minute),
            height - GAP + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\" fill=\"#555\">minutes</text>\n</svg>",
        height - GAP / 2.0 + 4.0
    );
    svg
}
