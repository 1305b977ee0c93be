//! `belvedere calibrate` on pictures whose meaning is known.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use belvedere_tests::{Finished, belvedere};
use image::RgbImage;
use tempfile::TempDir;

const STREET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pictures/tiny_street.png");
const WITHIN: Duration = Duration::from_secs(120);
const CONFIG: &str = "[mqtt]\nurl = \"mqtt://localhost\"\n\n[[camera]]\nname = \"porch\"\nurl = \"test://\"\n\n\
    [[camera.alert]]\nphrase = \"red car\" # ours\nmin_score = 0.999 # a guess\n\n\
    [[camera.alert]]\nphrase = \"dog\"\n";

/// A folder with pictures in `with` and `without`: a street with a red car, and the same street when it is empty.
struct Pictures {
    folder: TempDir,
}

impl Pictures {
    fn draw() -> Result<Self> {
        let pictures = Self { folder: TempDir::new()? };
        let street = image::open(STREET)?.into_rgb8();
        // This column of the picture shows the background alone.
        let empty = RgbImage::from_fn(street.width(), street.height(), |_, y| *street.get_pixel(70, y));
        for (name, picture) in [("with", &street), ("without", &empty)] {
            fs::create_dir(pictures.path(name))?;
            for (number, brightness) in [0.8, 0.9, 1.0].into_iter().enumerate() {
                let mut picture = picture.clone();
                for value in picture.iter_mut() {
                    *value = (f64::from(*value) * brightness) as u8;
                }
                picture.save(pictures.path(name).join(format!("{number}.png")))?;
            }
        }
        fs::write(pictures.path("belvedere.toml"), CONFIG)?;
        Ok(pictures)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn calibrate(&self, phrase: &str, present: &str, absent: &str, further: &[&Path]) -> Result<Finished> {
        let (present, absent) = (self.path(present), self.path(absent));
        let options: [&Path; 7] = [
            "calibrate".as_ref(),
            "--phrase".as_ref(),
            phrase.as_ref(),
            "--present".as_ref(),
            &present,
            "--absent".as_ref(),
            &absent,
        ];
        belvedere(&[&options, further].concat(), WITHIN)
    }
}

#[test]
fn a_red_car_gets_a_score_between_the_groups_a_plot_and_a_line_in_its_alert() -> Result<()> {
    let pictures = Pictures::draw()?;
    let (config, plot) = (pictures.path("belvedere.toml"), pictures.path("plot.png"));
    fs::write(pictures.path("with").join("broken.jpg"), "no picture")?;
    let finished = pictures.calibrate(
        "red car",
        "with",
        "without",
        &["--config".as_ref(), &config, "--write".as_ref(), &config, "--plot".as_ref(), &plot],
    )?;
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    for said in [
        "3 with it, 3 without it",
        "1.000 under the ROC curve",
        "WARNING",
        "Every picture with the phrase",
        "0.999 (porch)",
        "[[camera.alert]]\nphrase = \"red car\"\nmin_score = ",
    ] {
        assert!(finished.stdout.contains(said), "{said}: {finished:#?}");
    }
    assert!(finished.stderr.contains("broken.jpg"), "{finished:#?}");
    let line = finished.stdout.lines().find(|line| line.starts_with("min_score = ")).context("a line")?;
    let wanted = CONFIG.replace("min_score = 0.999", line);
    assert_eq!(fs::read_to_string(&config)?, wanted);
    assert_eq!(
        belvedere(&["check".as_ref(), "--config".as_ref(), config.as_path()], WITHIN)?.status.code(),
        Some(0)
    );
    assert!(image::open(&plot)?.width() > 500);
    Ok(())
}

#[test]
fn pictures_that_are_the_same_cannot_be_told_apart_and_nothing_is_written() -> Result<()> {
    let pictures = Pictures::draw()?;
    let config = pictures.path("belvedere.toml");
    fs::create_dir(pictures.path("again"))?;
    for name in ["0.png", "1.png", "2.png"] {
        fs::copy(pictures.path("with").join(name), pictures.path("again").join(name))?;
    }
    let finished = pictures.calibrate("red car", "with", "again", &["--write".as_ref(), &config])?;
    finished.assert_fails_saying(1, &["red car", "do not tell these pictures apart"]);
    assert!(finished.stdout.contains("CANNOT BE TOLD APART"), "{finished:#?}");
    assert!(!finished.stdout.contains("[[camera.alert]]"), "{finished:#?}");
    assert_eq!(fs::read_to_string(&config)?, CONFIG);
    Ok(())
}

#[test]
fn what_cannot_be_calibrated_is_said_before_pictures_are_looked_at() -> Result<()> {
    let pictures = Pictures::draw()?;
    let config = pictures.path("belvedere.toml");
    fs::create_dir(pictures.path("empty"))?;
    fs::write(pictures.path("empty").join("text.txt"), "no picture")?;
    let fails = |phrase, present, absent, further: &[&Path], said: &[&str]| -> Result<()> {
        pictures.calibrate(phrase, present, absent, further)?.assert_fails_saying(1, said);
        Ok(())
    };
    pictures.calibrate("a <dog>", "with", "without", &[])?.assert_fails_saying(2, &["--phrase"]);
    fails("dog", "absent", "without", &[], &["absent"])?;
    fails("dog", "with", "with", &[], &["cannot hold both"])?;
    fails(
        "cat",
        "with",
        "without",
        &["--write".as_ref(), &config],
        &["belvedere.toml", "cat", "\"red car\""],
    )?;
    fails("dog", "with", "empty", &[], &["text.txt", "empty: there is no picture"])?;
    let beside = [Path::new("--config"), &config, Path::new("--model"), Path::new("model")];
    pictures.calibrate("dog", "with", "without", &beside)?.assert_fails_saying(2, &["--model"]);
    Ok(())
}
