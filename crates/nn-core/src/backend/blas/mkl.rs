//! Intel's MKL through its single library `mkl_rt`, which loads the rest of MKL when it is first called. If it does not
//! find it, it ends the process; so what it will need is looked for before.

use std::ffi::{c_char, c_int};
use std::path::Path;

use super::library::{Handle, can_load};
use super::vendor::text;
use crate::{Error, Result};

/// MKL's own functions. Those in small letters are for Fortran, with other arguments.
pub(super) struct Mkl {
    version: unsafe extern "C" fn(*mut c_char, c_int),
    branch: unsafe extern "C" fn() -> c_int,
    get_threads: unsafe extern "C" fn() -> c_int,
    pub(super) set_threads: unsafe extern "C" fn(c_int),
    set_interface: unsafe extern "C" fn(c_int) -> c_int,
    set_layer: unsafe extern "C" fn(c_int) -> c_int,
}

/// `MKL_INTERFACE_LP64`: 32-bit integers. Bit 0 of an answer is set for ILP64, bit 1 for GNU's calling convention.
const INTERFACE_LP64: c_int = 0;

/// The threading layers, with the part of MKL that each needs and the OpenMP that this part needs.
const SEQUENTIAL: Layer = Layer { code: 1, part: "mkl_sequential", openmp: None };
const PARALLEL: [Layer; 2] = [
    Layer { code: 0, part: "mkl_intel_thread", openmp: Some("libiomp5.so") },
    Layer { code: 3, part: "mkl_gnu_thread", openmp: Some("libgomp.so.1") },
];

struct Layer {
    code: c_int,
    part: &'static str,
    openmp: Option<&'static str>,
}

impl Mkl {
    pub(super) fn find(handle: &Handle) -> Option<Self> {
        // SAFETY: the types are those of the vendor's header (mkl_service.h).
        unsafe {
            Some(Self {
                version: handle.plain("MKL_Get_Version_String")?,
                branch: handle.plain("MKL_CBWR_Get_Auto_Branch")?,
                get_threads: handle.plain("MKL_Get_Max_Threads")?,
                set_threads: handle.plain("MKL_Set_Num_Threads")?,
                set_interface: handle.plain("MKL_Set_Interface_Layer")?,
                set_layer: handle.plain("MKL_Set_Threading_Layer")?,
            })
        }
    }

    /// Chooses 32-bit integers and a threading layer: the sequential one for one thread, else one whose OpenMP is
    /// there. MKL takes the first choice that is made in a process; a later one that differs shows in the number of
    /// threads that is read back.
    pub(super) fn prepare(&self, path: Option<&Path>, threads: usize) -> Result<()> {
        let wanted: &[Layer] = if threads == 1 { &[SEQUENTIAL] } else { &PARALLEL };
        let mut missing = Vec::new();
        let Some(layer) = wanted.iter().find(|layer| match layer.missing(path) {
            Some(file) => {
                missing.push(file);
                false
            }
            None => true,
        }) else {
            return Err(Error::unavailable(format_args!(
                "MKL was found, but not the parts of it that {threads} thread(s) per call need: {} (neither beside \
                 mkl_rt nor by the loader)",
                missing.join(", ")
            )));
        };
        // SAFETY: both take and return a number, and may be called before anything else.
        let interface = unsafe {
            (self.set_layer)(layer.code);
            (self.set_interface)(INTERFACE_LP64)
        };
        if interface & 1 != INTERFACE_LP64 {
            return Err(Error::unavailable(
                "MKL is already in use in this process with 64-bit integers (ILP64); expected 32-bit integers \
                 (is MKL_INTERFACE_LAYER set?)",
            ));
        }
        Ok(())
    }

    pub(super) fn version(&self) -> Option<String> {
        let mut buffer = [0 as c_char; 256];
        // SAFETY: MKL writes at most the given number of characters; the last stays the 0 that ends the string.
        let all = unsafe {
            (self.version)(buffer.as_mut_ptr(), buffer.len() as c_int - 1);
            text(buffer.as_ptr())
        }?;
        // "Intel(R) oneAPI Math Kernel Library Version 2024.0-Product Build 20231011 for Intel(R) 64 architecture …"
        let from = all.find("Version ").map_or(0, |i| i + "Version ".len());
        let version = &all[from..];
        Some(version.split(" for ").next().unwrap_or(version).to_owned())
    }

    /// The code path that MKL takes on this processor, as its reproducibility functions tell it.
    pub(super) fn kernel(&self) -> String {
        // SAFETY: takes nothing and returns a number.
        let name = match unsafe { (self.branch)() } {
            // "Auto", on processors for which it does not say.
            2 => return "kernel not told".into(),
            3 => "compatible",
            4 => "SSE2",
            8 => "SSE4.2",
            9 => "AVX",
            10 => "AVX2",
            12 | 14 => "AVX-512",
            15 => "AVX10",
            other => return format!("code branch {other}"),
        };
        format!("{name} code branch")
    }

    pub(super) fn threads(&self) -> c_int {
        // SAFETY: takes nothing and returns a number.
        unsafe { (self.get_threads)() }
    }
}

impl Layer {
    /// The first file that is neither beside `mkl_rt` nor found by the loader.
    fn missing(&self, path: Option<&Path>) -> Option<String> {
        let file = path.and_then(Path::file_name).map(|f| f.to_string_lossy().into_owned());
        // libmkl_rt.so.3 → libmkl_core.so.3
        let part = |name: &str| match &file {
            Some(file) if file.contains("mkl_rt") => file.replacen("mkl_rt", name, 1),
            _ => format!("lib{name}.so"),
        };
        let openmp = self.openmp.filter(|_| cfg!(target_os = "linux")).map(Into::into);
        [Some(part("mkl_core")), Some(part(self.part)), openmp].into_iter().flatten().find(|name| {
            let beside = path.and_then(Path::parent).map(|dir| dir.join(name));
            !beside.is_some_and(|beside| beside.exists()) && !can_load(name)
        })
    }
}
