//! `belvedere model pull`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::CommandError;
use crate::cli::Pull;
use crate::config::Secret;
use crate::folders;
use crate::hub::{self, HubError, HubOptions, ModelName, PullEvent};

/// The hub itself, to which the token of `hf auth login` belongs.
const HUB: &str = "https://huggingface.co";
/// What the package makes for the service.
const SERVICE_STATE: &str = "/var/lib/belvedere";

pub(super) fn pull(options: &Pull) -> Result<(), CommandError> {
    let models = models_folder(options.into.as_deref())?;
    let hub = HubOptions::new(&options.endpoint, token(options)?);
    let mut shown = Shown::new();
    let pulled = hub::pull(&hub, &options.model, &options.revision, &models, &mut |event| shown.tell(&event));
    shown.finish();
    let pulled = pulled.map_err(|error| match error.is_offline() {
        true => CommandError::Advised { advice: advice(&options.model, &models), error },
        false if error.is_denied() && options.into.is_none() => {
            CommandError::Advised { advice: as_the_service(&options.model), error }
        }
        false => CommandError::Hub(error),
    })?;
    match pulled.was_there {
        true => println!("{} is there already, as the hub has it", pulled.path.display()),
        false => println!("{} is there, checked", pulled.path.display()),
    }
    println!("commit {}", pulled.commit);
    if pulled.replaced {
        println!("it was another version: restart Belvedere, if it runs this model");
    }
    for file in &pulled.unchecked {
        println!("not checked: {file}, of which {} tells no checksum", options.endpoint);
    }
    println!("\n[model]\npath = {:?}", pulled.path);
    Ok(())
}

/// `--into`, or the service's folder where there is a service, or the user's.
fn models_folder(into: Option<&Path>) -> Result<PathBuf, CommandError> {
    if let Some(into) = into {
        return std::path::absolute(into)
            .map_err(CommandError::system(format!("finding {}", into.display())));
    }
    let state = match Path::new(SERVICE_STATE) {
        service if service.is_dir() => Some(service.to_owned()),
        _ => folders::state(),
    };
    let state = state
        .ok_or_else(|| CommandError::Usage("there is no home folder; name one with --into".to_owned()))?;
    Ok(state.join("models"))
}

fn token(options: &Pull) -> Result<Option<Secret>, CommandError> {
    let given = match &options.token_file {
        Some(path) => Some(
            Secret::from_file(path).map_err(CommandError::system(format!("reading {}", path.display())))?,
        ),
        None => std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty()).map(Secret::new),
    };
    let left = || hf_hub::Cache::from_env().token().filter(|_| options.endpoint == HUB).map(Secret::new);
    let token = given.or_else(left);
    match &token {
        Some(token) if !token.reveal().bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(CommandError::Usage("the token holds characters that no token has".to_owned()))
        }
        _ => Ok(token),
    }
}

/// What to do where the folder of models is the service's.
fn as_the_service(model: &ModelName) -> String {
    format!(
        "The folder is the service's:\n  sudo -u belvedere belvedere model pull {model}\nOr choose another one: --into DIR."
    )
}

/// What to do without a network.
fn advice(model: &ModelName, models: &Path) -> String {
    let place = models.join(model.path()).display().to_string();
    format!(
        "Without a way to the hub, copy the checkpoint by hand:\n  \
         1. on a machine that has one: hf download {model} --local-dir {name}\n     \
         (or fetch config.json, tokenizer.json, preprocessor_config.json, generation_config.json and the .safetensors\n     \
         files of {HUB}/{model} with a browser)\n  \
         2. copy the folder to {place}\n  \
         3. belvedere model info {place}\n\
         Where there is a mirror of the hub: --endpoint URL, or HF_ENDPOINT.",
        name = model.path().file_name().unwrap_or_default().display(),
    )
}

/// Bars on a terminal, lines elsewhere.
enum Shown {
    Bars(Option<ProgressBar>),
    Lines,
}

impl Shown {
    fn new() -> Shown {
        match std::io::stderr().is_terminal() {
            true => Shown::Bars(None),
            false => Shown::Lines,
        }
    }

    fn tell(&mut self, event: &PullEvent<'_>) {
        match (self, event) {
            (Shown::Bars(bar), PullEvent::File { name, bytes, already }) => {
                // The bar of a file that is tried again goes on.
                let again = bar.take().filter(|bar| bar.message() == *name);
                let next = again.unwrap_or_else(|| new_bar(name, *bytes));
                next.set_position(*already);
                if *bytes == Some(*already) {
                    next.finish();
                }
                *bar = Some(next);
            }
            (Shown::Bars(Some(bar)), PullEvent::Bytes(bytes)) => {
                bar.inc(*bytes);
                if bar.length() == Some(bar.position()) {
                    bar.finish();
                }
            }
            (Shown::Bars(Some(bar)), PullEvent::Again { error, wait }) => {
                bar.suspend(|| eprintln!("{}", again(error, *wait)));
            }
            (Shown::Lines, PullEvent::File { name, bytes, already }) => {
                let size = bytes.map_or("unknown size".to_owned(), |bytes| format!("{bytes} bytes"));
                eprintln!("{name}: {size}, {already} there");
            }
            (Shown::Bars(None) | Shown::Lines, PullEvent::Again { error, wait }) => {
                eprintln!("{}", again(error, *wait));
            }
            (Shown::Bars(None) | Shown::Lines, PullEvent::Bytes(_)) => {}
        }
    }

    fn finish(&self) {
        if let Shown::Bars(Some(bar)) = self {
            bar.abandon();
        }
    }
}

fn again(error: &HubError, wait: std::time::Duration) -> String {
    format!("{error}; again in {} s", wait.as_secs_f64())
}

fn new_bar(name: &str, bytes: Option<u64>) -> ProgressBar {
    let bar = bytes.map_or_else(ProgressBar::no_length, ProgressBar::new);
    const LINE: &str = "{msg:<28} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    // A template that does not parse would be shown as indicatif's own.
    if let Ok(style) = ProgressStyle::with_template(LINE) {
        bar.set_style(style);
    }
    bar.with_message(name.to_owned())
}
