//! Everything that a person does on the page, on one running daemon.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use belvedere_tests::{RtspServer, Stream, belvedere};
use rustix::process::Signal;
use tempfile::TempDir;

use super::stage::{Stage, alerts, camera, config};
use crate::scene::assert_ends_well;

const PHRASES: [&str; 2] = ["red car", "blue person"];
/// A camera that shows the film, from the outside of its card in.
const CARD: &str = "[data-camera=garden]";

#[test]
fn a_person_sees_asks_draws_and_is_told_when_a_camera_goes_and_comes() -> Result<()> {
    let mut server = RtspServer::start(Stream::Film)?;
    let cameras = camera("garden", &server.url()) + &alerts(&PHRASES);
    let config = config("", &cameras);
    let mut stage = Stage::open(&config)?;

    objects_are_boxed_where_they_are(&stage)?;
    an_alert_is_listed_with_its_picture(&stage)?;
    stage.screenshot("desktop-light")?;
    stage.assert_accessible("the page")?;
    stage.assert_fits("1440 pixels")?;
    stage.browser.set_colours("dark")?;
    stage.screenshot("desktop-dark")?;
    stage.browser.set_colours("light")?;
    a_question_is_answered_on_its_frame(&stage)?;
    let with_zone = a_zone_is_drawn_and_its_lines_are_a_configuration(&stage, &config)?;
    the_same_is_there_on_a_phone(&stage)?;
    the_keyboard_reaches_everything(&stage)?;
    a_reload_is_seen_and_disturbs_nobody(&stage, &with_zone)?;

    a_daemon_that_hangs_is_seen_to_be_gone(&stage)?;

    server.kill()?;
    let offline = format!("document.querySelector('{CARD} .state').textContent === 'Offline'");
    stage.wait("the camera to be offline", &offline)?;
    stage.wait(
        "the reason",
        "document.querySelector('.veil').innerText.includes('opened again as soon as it answers')",
    )?;
    assert_eq!(stage.browser.evaluate("document.querySelector('.ask button').disabled")?, true);
    stage.assert_accessible("an offline camera")?;
    stage.screenshot("offline")?;
    let last = stage.browser.evaluate("document.querySelector('canvas').dataset.frame")?;
    server.restart()?;
    let again = format!(
        "document.querySelector('{CARD} .state').textContent === 'Online' && document.querySelector('.veil').hidden
         && document.querySelector('canvas').dataset.frame !== {last}"
    );
    stage.wait("the camera to come back with a new picture", &again)?;
    stage.assert_no_complaints();

    // With the page open and its streams running.
    assert_ends_well(&mut stage.daemon)?;
    stage.wait(
        "the page to say that the daemon is gone",
        "document.querySelector('.banner.bad').innerText.includes('does not answer')",
    )?;
    stage.screenshot("gone")
}

/// The picture below the box of a red car is red: boxes and picture are of the same frame.
fn objects_are_boxed_where_they_are(stage: &Stage) -> Result<()> {
    stage.wait("a live picture", "document.querySelector('canvas').dataset.frame > 0")?;
    stage.wait(
        "a detected object with its score",
        "[...document.querySelectorAll('.overlay .tag')].some((tag) => /^(car|person|dog|truck|box|ball|cone|bicycle)/.test(tag.textContent) && /0\\.\\d\\d$/.test(tag.textContent))",
    )?;
    stage.wait(
        "a box around what is red, called a red car",
        "(() => {
           const tags = [...document.querySelectorAll('.overlay .tag.alarm')];
           if (!tags.some((tag) => tag.textContent.startsWith('red car'))) return false;
           const canvas = document.querySelector('canvas');
           const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
           copy.drawImage(canvas, 0, 0);
           const [, , width] = document.querySelector('.overlay svg').getAttribute('viewBox').split(' ').map(Number);
           const scale = canvas.width / width;
           return [...document.querySelectorAll('.overlay .line.alarm')].some((line) => {
             const points = line.getAttribute('points').split(' ').map((point) => point.split(',').map((part) => part * scale));
             const [[x1, y1], , [x2, y2]] = points;
             if (x2 - x1 < 12 || y2 - y1 < 12) return false;
             const { data } = copy.getImageData(x1, y1, x2 - x1, y2 - y1);
             let red = 0;
             for (let at = 0; at < data.length; at += 4) red += data[at] > 150 && data[at + 1] < 90 && data[at + 2] < 90;
             return red > data.length / 4 * 0.2;
           });
         })()",
    )
}

fn an_alert_is_listed_with_its_picture(stage: &Stage) -> Result<()> {
    stage.wait(
        "an alert with its picture",
        "[...document.querySelectorAll('[data-alert=red_car] img')].some((image) => image.naturalWidth > 100)",
    )?;
    stage.click("[data-alert=red_car] .thumb")?;
    stage.wait("the large picture", "document.querySelector('dialog[open] img').naturalWidth > 100")?;
    stage.assert_accessible("an alert's picture")?;
    stage.browser.press("Enter")?;
    stage.wait("the large picture to close", "!document.querySelector('dialog')")
}

fn a_question_is_answered_on_its_frame(stage: &Stage) -> Result<()> {
    // Whoever is seen may have left before the frame that is asked about: then again.
    let answer = loop {
        stage.wait(
            "a blue person",
            "[...document.querySelectorAll('.overlay .tag.alarm')].some((tag) => tag.textContent.startsWith('blue person'))",
        )?;
        stage.browser.evaluate("document.querySelector('.ask input').value = ''")?;
        stage.click(".ask input")?;
        stage.browser.type_text("a blue person")?;
        stage.browser.press("Enter")?;
        stage.wait("the answer", "document.querySelector('.answer')?.dataset.state")?;
        let answer = stage.text_of(".answer")?;
        if !answer.contains("Nothing was taken") {
            break answer;
        }
        stage.click(".answer button")?;
    };
    assert!(answer.contains("is the score that an alert for “a blue person” would have"), "{answer}");
    assert!(answer.contains("Against a blank picture"), "{answer}");
    stage.wait("the answer's frame", "document.querySelector('.answer img').naturalWidth > 100")?;
    assert!(stage.text_of(".answer .tag")?.starts_with("a blue person"));
    stage.browser.evaluate("document.querySelector('.answer').scrollIntoView({ block: 'end' })")?;
    stage.screenshot("answer")?;
    stage.assert_accessible("an answer")?;
    stage.click(".answer button")?;
    stage.wait("the answer to be gone", "!document.querySelector('.answer')")?;
    // A task without a text.
    stage.browser.evaluate(
        "(() => { const task = document.querySelector('.ask select'); task.value = 'caption';
           task.dispatchEvent(new Event('change')); })()",
    )?;
    assert_eq!(stage.browser.evaluate("document.querySelector('.ask input').hidden")?, true);
    stage.click(".ask button")?;
    stage.wait("the answer", "document.querySelector('.answer').dataset.state === 'answered'")?;
    assert!(stage.text_of(".verdict")?.split(' ').count() >= 2);
    stage.click(".answer button")
}

/// With the mouse and the keyboard; what comes out is pasted into the configuration, which is still good, and returned.
fn a_zone_is_drawn_and_its_lines_are_a_configuration(stage: &Stage, config: &str) -> Result<String> {
    stage.browser.evaluate("scrollTo(0, 0)")?;
    stage.click(&format!("{CARD} .card-head button"))?;
    stage.wait("the editor", "document.activeElement.classList.contains('zone-surface')")?;
    for corner in [[0.2, 0.5], [0.5, 0.9], [0.5, 0.5], [0.2, 0.9]] {
        let place = stage.place(".zone-surface", corner)?;
        stage.browser.drag(&[place])?;
    }
    stage.wait(
        "a bow tie to be refused, as `belvedere check` would",
        "document.querySelector('.zone-panel [role=status]').textContent.includes('does not cross or touch itself')
         && document.querySelector('.code').hidden && document.querySelector('.zone-panel .primary').disabled",
    )?;
    for _ in 0..4 {
        stage.browser.press("Backspace")?;
    }
    for corner in [[0.2, 0.5], [0.5, 0.5], [0.5, 0.9]] {
        let place = stage.place(".zone-surface", corner)?;
        stage.browser.drag(&[place])?;
    }
    let from = stage.place(".zone-surface", [0.5, 0.9])?;
    let to = stage.place(".zone-surface", [0.6, 0.8])?;
    stage.browser.drag(&[from, [from[0] + 10.0, from[1] - 10.0], to])?;
    // The cross is where the mouse was; ten steps to the left of it, a corner.
    for _ in 0..10 {
        stage.browser.press("ArrowLeft")?;
    }
    stage.browser.press("Enter")?;
    stage.browser.press("Enter")?;
    stage.browser.press("Backspace")?;
    stage.wait("four corners", "document.querySelectorAll('.handle').length === 4")?;
    stage.screenshot("zone")?;
    stage.assert_accessible("the zone editor")?;
    stage.browser.evaluate(
        "(() => { const name = document.querySelector('.zone-panel input'); name.value = 'the \"drive\" \\\\ way';
           name.dispatchEvent(new Event('input')); })()",
    )?;
    let lines = stage.text_of(".code")?;
    let numbers: Vec<f64> = lines
        .lines()
        .find_map(|line| line.strip_prefix("polygon = "))
        .with_context(|| lines.clone())?
        .split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .filter_map(|number| number.parse().ok())
        .collect();
    let expected = [0.2, 0.5, 0.5, 0.5, 0.6, 0.8, 0.5, 0.8];
    let is_near = |(found, expected): (&f64, &f64)| (found - expected).abs() < 0.004;
    assert!(numbers.len() == 8 && numbers.iter().zip(&expected).all(is_near), "{lines}");

    let folder = TempDir::new()?;
    let path = folder.path().join("belvedere.toml");
    let with_zone = format!("{config}\n{lines}\n");
    fs::write(&path, &with_zone)?;
    let path = path.to_str().context("a path")?;
    let checked = belvedere(&["check", "--config", path], Duration::from_secs(30))?;
    assert_eq!(checked.status.code(), Some(0), "{checked:#?}");
    stage.click(".zone-surface")?;
    stage.browser.press("Escape")?;
    stage.wait("the editor to close", "document.querySelector('.zone-surface').hidden")?;
    Ok(with_zone)
}

fn the_same_is_there_on_a_phone(stage: &Stage) -> Result<()> {
    stage.browser.set_size(390, 844, true)?;
    let frame = stage.browser.evaluate("document.querySelector('canvas').dataset.frame")?;
    stage.wait("a new picture", &format!("document.querySelector('canvas').dataset.frame !== {frame}"))?;
    stage.assert_fits("390 pixels")?;
    stage.assert_accessible("a phone")?;
    stage.wait("something found", "document.querySelectorAll('.overlay .tag.alarm').length > 0")?;
    stage.screenshot("phone")?;
    stage.browser.set_colours("dark")?;
    stage.screenshot("phone-dark")?;
    stage.browser.set_colours("light")?;
    let button = stage.place(&format!("{CARD} .card-head button"), [0.5, 0.5])?;
    stage.browser.tap(button)?;
    stage.wait("the editor", "!document.querySelector('.zone-surface').hidden")?;
    for corner in [[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]] {
        let place = stage.place(".zone-surface", corner)?;
        stage.browser.tap(place)?;
    }
    stage.wait(
        "three corners",
        "document.querySelectorAll('.handle').length === 3 && !document.querySelector('.code').hidden",
    )?;
    stage.assert_fits("the zone editor on a phone")?;
    stage.screenshot("phone-zone")?;
    stage.browser.press("Escape")?;
    stage.browser.set_size(1440, 900, false)
}

/// The zone is on the picture as soon as the configuration has it, a mistake is said with its place, and whoever is
/// writing a question writes on.
fn a_reload_is_seen_and_disturbs_nobody(stage: &Stage, with_zone: &str) -> Result<()> {
    stage.browser.evaluate(
        "(() => { const task = document.querySelector('.ask select'); task.value = 'phrase-grounding';
           task.dispatchEvent(new Event('change')); document.querySelector('.ask input').value = ''; })()",
    )?;
    stage.click(".ask input")?;
    stage.browser.type_text("two ")?;
    stage.daemon.reload(with_zone)?;
    stage.wait(
        "the zone with its name",
        "document.querySelector('.overlay .zone-name')?.textContent.includes('drive')",
    )?;
    stage.daemon.reload(&with_zone.replace("fps = 4", "fsp = 4"))?;
    stage.wait(
        "what is wrong with the configuration",
        "/has changed nothing: .*belvedere[.]toml:[0-9]+: .*fsp/.test(document.querySelector('.banner.bad')?.innerText)",
    )?;
    stage.assert_accessible("a mistake")?;
    stage.screenshot("mistake")?;
    stage.daemon.reload(with_zone)?;
    stage.wait("the end of the mistake", "!document.querySelector('.banner')")?;
    stage.browser.type_text("cars")?;
    let begun =
        "[document.querySelector('.ask select').value, document.querySelector('.ask input').value].join()";
    assert_eq!(stage.browser.evaluate(begun)?, "phrase-grounding,two cars");
    Ok(())
}

/// Its connections stand, and nothing comes: as when its machine has lost its power, or the network forgot about it.
fn a_daemon_that_hangs_is_seen_to_be_gone(stage: &Stage) -> Result<()> {
    stage.daemon.process.signal(Signal::STOP)?;
    stage.wait(
        "the page to say that the daemon is gone",
        "document.querySelector('.banner.bad')?.innerText.includes('does not answer')",
    )?;
    stage.wait(
        "the last picture to be said to be old",
        "/^Captured [0-9]+ s ago$/.test(document.querySelector('.captured').innerText)",
    )?;
    stage.screenshot("hangs")?;
    let last = stage.browser.evaluate("document.querySelector('canvas').dataset.frame")?;
    stage.daemon.process.signal(Signal::CONT)?;
    stage.wait(
        "the page to go on",
        &format!(
            "!document.querySelector('.banner') && document.querySelector('.captured').hidden
             && document.querySelector('canvas').dataset.frame !== {last}"
        ),
    )
}

/// From the top of the page with the Tab key alone.
fn the_keyboard_reaches_everything(stage: &Stage) -> Result<()> {
    stage.browser.evaluate("document.activeElement.blur(), scrollTo(0, 0)")?;
    let mut reached = Vec::new();
    for _ in 0..12 {
        stage.browser.press("Tab")?;
        let name = stage.browser.evaluate(
            "document.activeElement.getAttribute('aria-label') ?? document.activeElement.id + document.activeElement.textContent.slice(0, 20)",
        )?;
        reached.push(name.as_str().unwrap_or_default().to_owned());
    }
    for wanted in ["To the cameras", "theme", "Draw a zone", "What to ask", "Ask", "Enlarge the picture of"] {
        assert!(reached.iter().any(|name| name.contains(wanted)), "{wanted}: {reached:?}");
    }
    Ok(())
}
