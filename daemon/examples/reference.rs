//! Writes what is made from the code's own lists:
//!
//!     reference kept REPOSITORY    the example configuration and its schema, which the repository keeps

use std::path::Path;
use std::process::ExitCode;

use belvedere::config;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["kept", repository] => kept(Path::new(repository)),
        _ => {
            eprintln!("usage: reference kept REPOSITORY");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reference: {error}");
            ExitCode::FAILURE
        }
    }
}

fn kept(repository: &Path) -> std::io::Result<()> {
    let folder = repository.join("systemd");
    std::fs::write(folder.join("belvedere.toml"), config::example())?;
    std::fs::write(folder.join("belvedere.schema.json"), format!("{:#}\n", config::schema()))
}
