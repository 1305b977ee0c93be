//! Compiles `cpp/shim.cpp` once for every TensorRT whose headers are here: a binary then takes whichever library it finds.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a set of headers is for, and what its object is called.
#[derive(Clone, Copy, PartialEq)]
struct Flavour {
    name: &'static str,
    major: u32,
    is_rtx: bool,
    /// The oldest minor version that has all that the shim uses.
    least_minor: u32,
}

const FLAVOURS: [Flavour; 3] = [
    Flavour { name: "tensorrt_10", major: 10, is_rtx: false, least_minor: 3 },
    Flavour { name: "tensorrt_11", major: 11, is_rtx: false, least_minor: 0 },
    Flavour { name: "tensorrt_rtx", major: 1, is_rtx: true, least_minor: 7 },
];

/// Where `scripts/tensorrt-headers.sh` puts what it fetched, below the repository's root.
const FETCHED: &str = ".runtime/tensorrt-headers/0.9.1+rtx1.7";

fn main() {
    for Flavour { name, .. } in FLAVOURS {
        println!("cargo::rustc-check-cfg=cfg({name})");
    }
    for path in ["build.rs", "cpp"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let mut compiled: Vec<Flavour> = Vec::new();
    let mut refused = Vec::new();
    for folder in folders() {
        let Some([major, minor, is_rtx]) = version(&folder) else { continue };
        let flavour = FLAVOURS.iter().find(|flavour| {
            flavour.major == major && flavour.is_rtx == (is_rtx == 1) && minor >= flavour.least_minor
        });
        match flavour {
            // The first folder wins: the user's, then the system's, then what was fetched.
            Some(flavour) if compiled.contains(flavour) => (),
            Some(flavour) => {
                compile(*flavour, &folder);
                compiled.push(*flavour);
                println!("cargo::rustc-cfg={}", flavour.name);
            }
            None => refused.push(format!("{} ({major}.{minor})", folder.display())),
        }
    }
    if compiled.is_empty() {
        let refused = if refused.is_empty() {
            String::new()
        } else {
            format!("; of no use are the headers in {}", refused.join(", "))
        };
        println!(
            "cargo::warning=built without TensorRT: no headers of TensorRT 10.3 to 11 or TensorRT-RTX 1.7 were found \
             (set TENSORRT_INCLUDE_DIR, or run scripts/tensorrt-headers.sh install){refused}"
        );
    }
}

/// Folders that may hold `NvInfer.h`, in the order in which they are preferred.
fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for variable in ["TENSORRT_INCLUDE_DIR", "TENSORRT_RTX_INCLUDE_DIR"] {
        println!("cargo::rerun-if-env-changed={variable}");
        if let Some(paths) = env::var_os(variable) {
            folders.extend(env::split_paths(&paths));
        }
    }
    let machine = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    folders.extend([
        PathBuf::from(format!("/usr/include/{machine}-linux-gnu")),
        "/usr/include".into(),
        "/usr/local/include".into(),
        "/usr/local/tensorrt/include".into(),
        "/opt/tensorrt/include".into(),
        "/usr/src/tensorrt/include".into(),
    ]);
    let root = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../..").join(FETCHED);
    folders.extend(["tensorrt-11", "tensorrt-rtx"].map(|name| root.join(name)));
    for folder in &folders {
        // Headers that come later are noticed; those that are not there would make every build a new one.
        let header = folder.join("NvInferVersion.h");
        if header.exists() {
            println!("cargo::rerun-if-changed={}", header.display());
        } else if folder.starts_with(&root) {
            println!("cargo::rerun-if-changed={}", nearest(&root).display());
        }
    }
    folders.retain(|folder| folder.join("NvInfer.h").exists() && folder.join("NvOnnxParser.h").exists());
    folders
}

/// The folder itself, or whichever above it is there.
fn nearest(folder: &Path) -> PathBuf {
    folder.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(folder).to_owned()
}

/// Major, minor, and 1 for TensorRT-RTX, as the compiler reads them: the macros refer to other macros.
fn version(folder: &Path) -> Option<[u32; 3]> {
    let probe = PathBuf::from(env::var_os("OUT_DIR")?).join("version.cpp");
    let text = "#include <NvInferVersion.h>\n#ifdef TRT_MAJOR_RTX\n#define IS_RTX 1\n#else\n#define IS_RTX 0\n#endif\n\
                belvedere NV_TENSORRT_MAJOR NV_TENSORRT_MINOR IS_RTX\n";
    std::fs::write(&probe, text).ok()?;
    let compiler = cc::Build::new().cpp(true).cargo_metadata(false).get_compiler();
    let output = Command::new(compiler.path())
        .args(["-E", "-P", "-x", "c++", "-I"])
        .arg(folder)
        .arg(&probe)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers = text.lines().find_map(|line| line.trim().strip_prefix("belvedere "))?;
    let numbers: Vec<u32> = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    numbers.try_into().ok()
}

fn compile(flavour: Flavour, headers: &Path) {
    let name = flavour.name;
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("cpp/shim.cpp")
        .include("cpp/cuda")
        // As system headers: their warnings are not ours.
        .flag("-isystem")
        .flag(headers)
        .flag("-fvisibility=hidden")
        .flag("-Wall")
        .flag("-Wextra")
        .define("BELVEDERE_SHIM", Some(&*format!("belvedere_{name}")))
        // One binary may hold several objects: see shim.cpp.
        .define("nvinfer1", Some(&*format!("nvinfer1_belvedere_{name}")))
        .define("nvonnxparser", Some(&*format!("nvonnxparser_belvedere_{name}")))
        .compile(&format!("belvedere_{name}"));
}
