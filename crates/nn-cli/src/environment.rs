//! What figures were measured with and on, so that none goes without its origin.

use std::fs;
use std::path::PathBuf;

use nn_core::backend::Description;
use serde::Serialize;

use crate::args::DType;

/// What a run ran on.
#[derive(Debug, Serialize)]
pub(crate) struct Environment {
    #[serde(flatten)]
    engine: Engine,
    #[serde(flatten)]
    machine: Machine,
}

/// What computed.
#[derive(Debug, Serialize)]
pub(crate) struct Engine {
    backend: &'static str,
    library: String,
    library_version: Option<String>,
    library_path: Option<PathBuf>,
    isa: String,
    threads: usize,
    threads_per_call: usize,
    dtype: DType,
    #[serde(skip)]
    description: String,
}

/// What it computed on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    os: &'static str,
    arch: &'static str,
    cpu: Option<String>,
    cpus: usize,
    nn_version: &'static str,
}

impl Environment {
    pub(crate) fn new(backend: Description, threads: usize, dtype: DType) -> Self {
        Self { engine: Engine::new(backend, threads, dtype), machine: Machine::here() }
    }

    /// All of it, as names and values.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        let Self { engine, machine } = self;
        let path = engine.library_path.as_ref().map(|path| path.display().to_string());
        let facts = [
            ("backend", Some(engine.backend.to_owned())),
            ("library", Some(engine.library.clone())),
            ("library's version", engine.library_version.clone()),
            ("library's file", path),
            ("instructions", Some(engine.isa.clone())),
            ("threads", Some(engine.threads.to_string())),
            ("threads per call", Some(engine.threads_per_call.to_string())),
            ("type of numbers", Some(engine.dtype_name().to_owned())),
            ("processor", machine.cpu.clone()),
            ("processors", Some(machine.cpus.to_string())),
            ("system", Some(format!("{}, {}", machine.os, machine.arch))),
            ("nn", Some(machine.nn_version.to_owned())),
        ];
        facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// Backend, library, instruction set, threads and element type in one line.
    pub(crate) fn line(&self) -> String {
        self.engine.line()
    }
}

impl Engine {
    pub(crate) fn new(backend: Description, threads: usize, dtype: DType) -> Self {
        Self {
            description: backend.to_string(),
            backend: backend.backend,
            library: backend.library,
            library_version: backend.version,
            library_path: backend.path,
            isa: backend.isa,
            threads,
            threads_per_call: backend.threads_per_call,
            dtype,
        }
    }

    fn dtype_name(&self) -> &'static str {
        match self.dtype {
            DType::F32 => "f32",
            DType::F64 => "f64",
        }
    }

    fn line(&self) -> String {
        let threads =
            if self.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", self.threads) };
        format!("{}, {threads}, {}", self.description, self.dtype_name())
    }
}

impl Machine {
    /// This one.
    pub(crate) fn here() -> Self {
        Self {
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            cpu: cpu_name(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            nn_version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The processor's name, where the system tells, and how many of them this process may use.
    pub(crate) fn line(&self) -> String {
        let cpu = self.cpu.as_deref().unwrap_or(self.arch);
        let unit = if self.cpus == 1 { "processor" } else { "processors" };
        format!("{cpu}, {} {unit}", self.cpus)
    }
}

/// What the processor calls itself, where the system tells.
fn cpu_name() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
