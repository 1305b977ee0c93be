//! Finding and loading TensorRT.

use std::ffi::c_void;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use libloading::os::unix;

use crate::error::{Attempt, TensorRtError};
use crate::shim::{Shim, compiled};
use crate::{Flavour, Version};

/// Names the library file, or the folder of the libraries, instead of searching.
pub const LIBRARY_VARIABLE: &str = "BELVEDERE_TENSORRT_LIBRARY";

/// A loaded TensorRT: builder and runtime. The parser is loaded when something is to be parsed. Neither is ever unloaded;
/// TensorRT does not survive that. Cheap to clone.
#[derive(Clone)]
pub struct Library(Arc<Loaded>);

struct Loaded {
    flavour: Flavour,
    version: Version,
    build: Option<i32>,
    path: PathBuf,
    shim: &'static Shim,
    builder: Entry,
    runtime: Entry,
    parser: Mutex<Option<Entry>>,
}

/// The address of a function that makes an object.
#[derive(Clone, Copy)]
pub(crate) struct Entry(*mut c_void);

// SAFETY: a function's address, valid for ever since the library is never unloaded.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Entry {
    pub(crate) fn address(self) -> *mut c_void {
        self.0
    }
}

impl Library {
    /// The first library that can be used: the one that the environment names, or else TensorRT 11, 10 and TensorRT-RTX
    /// in the loader's own places, those of them that this build was compiled for.
    ///
    /// # Errors
    /// None can be used: every attempt with its reason.
    pub fn find() -> Result<Library, TensorRtError> {
        match std::env::var_os(LIBRARY_VARIABLE) {
            Some(path) if !path.is_empty() => Library::at(Path::new(&path)),
            _ => first(compiled().into_iter().map(|(flavour, _)| PathBuf::from(flavour.library_name()))),
        }
    }

    /// The library at a path, or the first that can be used in a folder.
    ///
    /// # Errors
    /// None there can be used: every attempt with its reason.
    pub fn at(path: &Path) -> Result<Library, TensorRtError> {
        if path.is_dir() {
            first(compiled().into_iter().map(|(flavour, _)| path.join(flavour.library_name())))
        } else {
            first([path.to_owned()])
        }
    }

    fn load(path: &Path) -> Result<Library, String> {
        let loaded = open(path)?;
        let [version, builder, runtime] =
            ["getInferLibVersion", "createInferBuilder_INTERNAL", "createInferRuntime_INTERNAL"]
                .map(|name| entry(loaded, name));
        // SAFETY: this is the function's type in every TensorRT (NvInferRuntimeBase.h).
        let version: extern "C" fn() -> i32 = unsafe { std::mem::transmute(version?.0) };
        let version = Version::from_number(version());
        let (flavour, shim) = compiled()
            .into_iter()
            .find(|(flavour, _)| flavour.soname_major() == version.major)
            .ok_or_else(|| format!("it is version {version}, which this build was not compiled for"))?;
        if let Some(reason) = version.mismatch(flavour, Version::from_number(shim.header_version)) {
            return Err(reason);
        }
        // Not in every version.
        let build = entry(loaded, "getInferLibBuildVersion").ok().map(|build| {
            // SAFETY: this is the function's type wherever it exists (NvInferRuntime.h).
            let build: extern "C" fn() -> i32 = unsafe { std::mem::transmute(build.0) };
            build()
        });
        Ok(Library(Arc::new(Loaded {
            flavour,
            version,
            build,
            path: path.to_owned(),
            shim,
            builder: builder?,
            runtime: runtime?,
            parser: Mutex::default(),
        })))
    }

    /// Which line of TensorRT it is.
    pub fn flavour(&self) -> Flavour {
        self.0.flavour
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// Its version with the number of its build, if it tells: an engine runs on no other.
    pub fn full_version(&self) -> String {
        let version = self.version();
        self.0.build.map_or_else(|| version.to_string(), |build| format!("{version}.{build}"))
    }

    /// Name or path under which it was loaded.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn shim(&self) -> &'static Shim {
        self.0.shim
    }

    pub(crate) fn builder_entry(&self) -> Entry {
        self.0.builder
    }

    pub(crate) fn runtime_entry(&self) -> Entry {
        self.0.runtime
    }

    /// The parser's entry, loaded with the first call from where the library came from.
    pub(crate) fn parser_entry(&self) -> Result<Entry, TensorRtError> {
        let mut parser = self.0.parser.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = *parser {
            return Ok(entry);
        }
        let name = self.0.flavour.parser_name();
        // A bare name has no folder and is searched for as the library was.
        let path = self.0.path.with_file_name(&name);
        let missing = |reason| {
            let tried = vec![Attempt { library: path.display().to_string(), reason }];
            TensorRtError::LibraryMissing { tried }
        };
        let loaded = open(&path).map_err(missing)?;
        let found = entry(loaded, "createNvOnnxParser_INTERNAL").map_err(missing)?;
        *parser = Some(found);
        Ok(found)
    }

    pub(crate) fn not_made(&self, object: impl Into<String>, messages: Vec<String>) -> TensorRtError {
        let (flavour, version) = (self.flavour(), self.version());
        TensorRtError::NotMade { flavour, version, object: object.into(), messages }
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Library({self})")
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.flavour(), self.version(), self.path().display())
    }
}

/// What `doctor` tells.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which line of TensorRT.
    pub flavour: Flavour,
    /// Its version.
    pub version: Version,
    /// Name or path under which it was loaded.
    pub path: PathBuf,
    /// Why engines can be run but not built, if so: the parser that reads ONNX is a library of its own.
    pub parser_missing: Option<TensorRtError>,
}

/// Looks for TensorRT, for those who only want to know.
///
/// # Errors
/// [`TensorRtError::NotBuilt`], or every library that was tried with its reason.
pub fn find() -> Result<Found, TensorRtError> {
    let library = Library::find()?;
    Ok(Found {
        flavour: library.flavour(),
        version: library.version(),
        path: library.path().to_owned(),
        parser_missing: library.parser_entry().err(),
    })
}

/// The headers that this binary was compiled against, in the order in which their libraries are looked for.
pub fn built_for() -> Vec<(Flavour, Version)> {
    let version = |shim: &Shim| Version::from_number(shim.header_version);
    compiled().into_iter().map(|(flavour, shim)| (flavour, version(shim))).collect()
}

fn first(paths: impl IntoIterator<Item = PathBuf>) -> Result<Library, TensorRtError> {
    if compiled().is_empty() {
        return Err(TensorRtError::NotBuilt);
    }
    let mut tried = Vec::new();
    for path in paths {
        match Library::load(&path) {
            Ok(library) => return Ok(library),
            Err(reason) => tried.push(Attempt { library: path.display().to_string(), reason }),
        }
    }
    Err(TensorRtError::LibraryMissing { tried })
}

/// Opens a library for the rest of the process.
fn open(path: &Path) -> Result<&'static unix::Library, String> {
    // SAFETY: the initialisers of a library run, which is what loading one means; the user installed or named it.
    let library = unsafe { unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_LOCAL) };
    library.map(|library| &*Box::leak(Box::new(library))).map_err(|error| {
        let said = said(&error);
        // The loader mostly begins with the name, which stands before the reason anyway.
        said.strip_prefix(&format!("{}: ", path.display())).map_or(said.clone(), str::to_owned)
    })
}

fn entry(library: &'static unix::Library, name: &str) -> Result<Entry, String> {
    // SAFETY: the address is only kept; whoever calls it says why its type is right.
    let symbol = unsafe { library.get::<*mut c_void>(name) }.map_err(|error| said(&error))?;
    match symbol.into_raw() {
        address if address.is_null() => Err(format!("{name} is null")),
        address => Ok(Entry(address)),
    }
}

/// The loader's own words, which `libloading` keeps as the cause.
fn said(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
