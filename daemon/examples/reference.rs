//! Writes what is made from the code's own lists:
//!
//!     reference kept REPOSITORY    the example configuration and its schema, which the repository keeps
//!     reference packaged FOLDER    manual pages and shell completions, which a package has

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use belvedere::cli::Cli;
use belvedere::config;
use clap::CommandFactory;
use clap_complete::Shell;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["kept", repository] => kept(Path::new(repository)),
        ["packaged", folder] => packaged(Path::new(folder)),
        _ => {
            eprintln!("usage: reference kept REPOSITORY | packaged FOLDER");
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

fn kept(repository: &Path) -> io::Result<()> {
    let folder = repository.join("systemd");
    fs::write(folder.join("belvedere.toml"), config::example())?;
    fs::write(folder.join("belvedere.schema.json"), format!("{:#}\n", config::schema()))
}

fn packaged(folder: &Path) -> io::Result<()> {
    let man = folder.join("man");
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(Cli::command(), &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "belvedere", folder)?;
    }
    Ok(())
}
