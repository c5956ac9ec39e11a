//! Libraries that are opened at run time, shown on a CBLAS that counts its calls and is built here, by the compiler that
//! builds the tests. Where real libraries are there, their threads are tried too.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

use nn_core::backend::blas::{Blas, Threading};
use nn_core::backend::{Backend, BackendKind, Choice, Description};
use nn_core::matrix::{MatMut, MatRef, Scratch};
use nn_core::ops::{Gemm, Trans};
use nn_core::{Error, Scalar};

/// The mock library, built under a name of its own with these `--cfg` flags: each test has one to itself.
fn mock(name: &str, flags: &[&str]) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("mock/cblas.rs");
    let file = format!("{}mock_{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let file: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    // Beside the cargo that built this test, so that it is the same toolchain's.
    let beside = Path::new(env!("CARGO")).with_file_name("rustc");
    let mut rustc = Command::new(if beside.exists() { beside } else { "rustc".into() });
    rustc.args(["--edition=2024", "--crate-type=cdylib", "--crate-name=mock", "-Cpanic=abort", "-Awarnings"]);
    rustc.arg(source).arg("-o").arg(&file);
    for flag in flags {
        rustc.args(["--cfg", flag]);
    }
    let output = rustc.output().unwrap_or_else(|error| panic!("{rustc:?}: {error}"));
    assert!(output.status.success(), "{rustc:?}: {}", String::from_utf8_lossy(&output.stderr));
    file.into_os_string().into_string().expect("cargo's target directory is UTF-8 here")
}

/// [1 2; 3 4] · [1; 10]
fn multiply<T: Scalar>(backend: &dyn Backend<T>) {
    let (a, b) = ([1.0, 2.0, 3.0, 4.0].map(T::of), [1.0, 10.0].map(T::of));
    let mut c = [T::nan(); 2];
    let (a, b) = (MatRef::new(&a, 2, 2).expect("2x2"), MatRef::new(&b, 2, 1).expect("2x1"));
    let c_view = MatMut::new(&mut c, 2, 1).expect("2x1");
    let gemm = Gemm::new(T::one(), a, Trans::No, b, Trans::No, T::zero(), c_view).expect("the shapes fit");
    backend.gemm(gemm, &mut Scratch::default());
    assert_eq!(c, [21.0, 43.0].map(T::of));
}

fn describe(blas: &Blas) -> Description {
    Backend::<f32>::describe(blas)
}

fn library_threads(n: usize) -> Threading {
    Threading::Library(NonZeroUsize::new(n).expect("not zero"))
}

fn refusal(file: &str) -> String {
    match Blas::open(file) {
        Err(Error::Unavailable(message)) => message,
        other => panic!("expected an Unavailable error, found {other:?}"),
    }
}

#[test]
fn every_product_goes_to_the_library_that_was_opened_and_the_description_is_the_librarys_own() {
    let file = mock("counting", &[]);
    let blas = Blas::open(&file).expect("it was just built");
    let before = describe(&blas);
    assert_eq!((before.library.as_str(), before.version.as_deref()), ("OpenBLAS", Some("7.8.9")));
    if cfg!(unix) {
        let path = Path::new(&file).canonicalize().expect("it was just built");
        assert_eq!(before.path, Some(path));
    }
    assert_eq!(before.isa, "products 0 settings 1");
    multiply::<f32>(&blas);
    multiply::<f64>(&blas);
    multiply::<f64>(&blas);
    assert_eq!(describe(&blas).isa, "products 3 settings 1");
}

#[test]
fn two_libraries_in_one_process_do_not_mix() {
    let (first, second) = (mock("first", &[]), mock("second", &[]));
    let (first, second) = (Blas::open(&first).expect("built"), Blas::open(&second).expect("built"));
    multiply::<f32>(&first);
    multiply::<f32>(&second);
    multiply::<f32>(&second);
    assert!(describe(&first).isa.starts_with("products 1 "), "{}", describe(&first).isa);
    assert!(describe(&second).isa.starts_with("products 2 "), "{}", describe(&second).isa);
}

#[test]
fn one_thread_per_call_is_set_and_read_back_and_so_is_the_librarys_own_threading() {
    let file = mock("threads", &[]);
    let one = Blas::open(&file).expect("built");
    assert_eq!((describe(&one).threads_per_call, Backend::<f32>::shard_rows(&one)), (1, 256));
    let three = Blas::open_with(&file, library_threads(3)).expect("built");
    assert_eq!((describe(&three).threads_per_call, Backend::<f32>::shard_rows(&three)), (3, 8192));
    assert!(!Backend::<f32>::is_deterministic(&three));
    // It is the library's one setting, and each use of either must see to its own.
    multiply::<f32>(&one);
    assert_eq!(describe(&one).threads_per_call, 1);
    multiply::<f32>(&three);
    assert_eq!(describe(&three).threads_per_call, 3);
}

#[test]
fn a_library_that_does_not_take_the_number_of_threads_is_refused() {
    let message = refusal(&mock("stubborn", &["stubborn"]));
    assert!(message.contains("asked for 1 thread(s) per call and reports 4"), "{message}");
}

#[test]
fn a_library_with_64_bit_integers_is_refused_whether_its_names_or_its_configuration_say_so() {
    for (name, flag) in [("wide_names", "wide_names"), ("wide_integers", "wide_integers")] {
        let message = refusal(&mock(name, &[flag]));
        assert!(message.contains("64-bit integers") && message.contains("32-bit"), "{message}");
    }
}

#[test]
fn a_library_that_answers_no_questions_runs_and_says_so_and_is_not_given_threads() {
    let file = mock("silent", &["silent"]);
    let blas = Blas::open(&file).expect("built");
    multiply::<f32>(&blas);
    let description = describe(&blas);
    assert!(description.library.contains("mock_silent") && description.version.is_none(), "{description}");
    assert!(description.isa.contains("not told"), "{description}");
    let message = Blas::open_with(&file, library_threads(2)).expect_err("no way to set them").to_string();
    assert!(message.contains("no known way"), "{message}");
}

#[test]
fn a_setting_that_is_kept_per_thread_is_made_once_on_each_thread_that_calls() {
    let blas = Blas::open(&mock("openmp", &["openmp"])).expect("built");
    let settings = || describe(&blas).isa;
    assert!(settings().contains("settings 1"), "{}", settings());
    multiply::<f32>(&blas);
    multiply::<f32>(&blas);
    assert!(settings().contains("products 2 settings 1"), "{}", settings());
    std::thread::scope(|s| {
        s.spawn(|| {
            multiply::<f32>(&blas);
            multiply::<f32>(&blas);
        });
    });
    assert!(settings().contains("products 4 settings 2"), "{}", settings());
}

#[test]
fn a_choice_by_path_opens_that_library() {
    let file = mock("chosen", &[]);
    for kind in [BackendKind::Blas, BackendKind::Auto] {
        let choice = Choice { kind, blas: Some(file.clone()), threading: Threading::OnePerCall };
        let backend = choice.open::<f64>().expect("built");
        multiply(&*backend);
        assert_eq!(backend.describe().version.as_deref(), Some("7.8.9"));
    }
}

#[test]
fn real_libraries_where_there_are_any_report_the_threads_they_were_given() {
    for one in nn_tests::conformance::blas_libraries() {
        assert_eq!(describe(&one).threads_per_call, 1, "{}", describe(&one));
        let Some(path) = describe(&one).path else { continue };
        let Some(path) = path.to_str() else { continue };
        match Blas::open_with(path, library_threads(2)) {
            Ok(two) => {
                multiply::<f32>(&two);
                println!("{}", describe(&two));
                assert_eq!(describe(&two).threads_per_call, 2, "{}", describe(&two));
            }
            // A sequential build, or one that can't be asked.
            Err(error) => println!("{error}"),
        }
    }
}
