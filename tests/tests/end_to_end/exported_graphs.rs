//! `belvedere model export`: the graphs are good ONNX for others too.

use std::{env, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};
use belvedere_tests::{SmallCheckpoint, belvedere};
use tempfile::TempDir;

/// Checks every graph of a folder, shapes included, and prints how many there were.
const CHECK: &str = "
import pathlib, sys, onnx
graphs = sorted(pathlib.Path(sys.argv[1]).glob('*.onnx'))
for graph in graphs:
    onnx.checker.check_model(str(graph), full_check=True)
print(len(graphs))
";

#[test]
fn exported_graphs_are_accepted_by_the_onnx_checker() -> Result<()> {
    let python = env::var_os("BELVEDERE_PYTHON")
        .context("BELVEDERE_PYTHON names no Python with the onnx package: `make test` sets it")?;
    let (checkpoint, folder) = (SmallCheckpoint::write()?, TempDir::new()?);
    let out = folder.path().join("graphs");
    let exported = belvedere(
        &[Path::new("model"), Path::new("export"), checkpoint.path(), &out],
        Duration::from_secs(60),
    )?;
    assert_eq!(exported.status.code(), Some(0), "{exported:#?}");
    let checked = Command::new(python).args(["-c", CHECK]).arg(&out).output()?;
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let graphs: usize = String::from_utf8(checked.stdout)?.trim().parse()?;
    assert!(graphs >= 3, "{graphs} graphs: {exported:#?}");
    Ok(())
}
