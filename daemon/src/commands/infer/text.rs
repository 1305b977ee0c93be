//! An answer for people.

use std::path::Path;

use belvedere_models::{Region, Shape, TaskOutput};

/// The regions where there are some, else the words; under the image's name where one is given.
pub(super) fn of(output: &TaskOutput, name: Option<&Path>) -> String {
    let mut text = String::new();
    if let Some(name) = name {
        text.push_str(&format!("{}:\n", name.display()));
    }
    if output.regions.is_empty() {
        text.push_str(&output.text);
        text.push('\n');
    }
    for region in &output.regions {
        text.push_str(&line(region));
        text.push('\n');
    }
    text
}

/// `car 0.93 box 34.2 160.1 597.4 371.8`
fn line(region: &Region) -> String {
    let mut words: Vec<String> = Vec::new();
    if !region.label.is_empty() {
        words.push(region.label.clone());
    }
    if let Some(score) = region.score {
        words.push(format!("{score:.2}"));
    }
    let mut numbers = |kind: &str, numbers: &[f32]| {
        words.push(kind.to_owned());
        words.extend(numbers.iter().map(|number| format!("{number:.1}")));
    };
    match &region.shape {
        Shape::Box(corners) => numbers("box", corners),
        Shape::Quad(corners) => numbers("quad", corners),
        Shape::Polygons(polygons) => polygons.iter().for_each(|polygon| numbers("polygon", polygon)),
    }
    words.join(" ")
}
