//! `nn bench` as a person or a script meets it. Sizes are tiny, and no test looks at how long anything took.

mod common;

use std::fs;

use common::{TestResult, assert_refused, nn};
use serde_json::Value;

/// Some of MNIST, and a network that takes microseconds.
const SMALL: [&str; 6] = ["--rows", "60", "--hidden", "8", "--repeat", "2"];

/// The backends that every build has.
const OWN: [&str; 2] = ["--backend", "simd,ndarray"];

/// Measures, and gives back what was printed and what `--json` holds.
fn measure(args: &[&str]) -> Result<(String, Value), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let json = dir.path().join("figures.json");
    let run = nn(&[&["bench"], args, &["--json", &json.display().to_string()]].concat())?;
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{args:?}");
    Ok((run.stdout, serde_json::from_slice(&fs::read(json)?)?))
}

/// `series[i].name`, one after the other.
fn names(record: &Value) -> Vec<&str> {
    series(record).iter().filter_map(|one| one["name"].as_str()).collect()
}

fn series(record: &Value) -> &[Value] {
    record["series"].as_array().map_or(&[], Vec::as_slice)
}

/// A number greater than 0.
fn assert_positive(value: &Value, what: &str) {
    assert!(value.as_f64().is_some_and(|x| x.is_finite() && x > 0.0), "{what}: {value}");
}

/// What every record of times has, whatever was measured.
fn assert_whole(record: &Value, benchmark: &str) {
    assert_eq!(record["benchmark"], benchmark);
    for name in ["os", "arch", "cpus", "nn_version"] {
        assert!(!record["environment"][name].is_null(), "{name}: {record}");
    }
    for when in ["before", "after"] {
        for threads in ["one_thread", "all_threads"] {
            for dtype in ["f32", "f64"] {
                assert_positive(&record["peak"][when][threads][dtype], "peak");
            }
        }
    }
    assert!(record["counted"].as_str().is_some_and(|text| text.contains("2·m·n·k")), "{record}");
    assert!(record["left_out"].is_array() && !series(record).is_empty(), "{record}");
    for one in series(record) {
        let name = &one["name"];
        for time in ["min", "median", "mean", "p99", "max"] {
            assert_positive(&one["seconds"][time], &format!("{name}: {time}"));
        }
        for rate in ["images_per_second", "gflops", "dense_equivalent_gflops", "share_of_peak"] {
            assert_positive(&one["rates"][rate], &format!("{name}: {rate}"));
        }
        for fact in ["backend", "library", "isa", "threads", "threads_per_call", "dtype"] {
            assert!(!one[fact].is_null(), "{name}: {fact} is missing");
        }
    }
}

#[test]
fn the_peak_is_measured_on_one_thread_and_on_all_at_once() -> TestResult {
    let (printed, record) = measure(&["peak", "--threads", "2"])?;
    assert!(printed.contains("GFLOP/s in f32"), "{printed}");
    assert_eq!((&record["benchmark"], &record["peak"]["unit"]), (&"peak".into(), &"GFLOP/s".into()));
    for threads in ["one_thread", "all_threads"] {
        for dtype in ["f32", "f64"] {
            assert_positive(&record["peak"]["reading"][threads][dtype], "peak");
        }
    }
    assert!(record["environment"]["cpus"].is_u64() && record["peak"]["isa"].is_string(), "{record}");
    Ok(())
}

#[test]
fn a_step_is_measured_for_each_backend_and_form_and_its_operations_are_counted() -> TestResult {
    let (printed, record) = measure(&[&["step", "--threads", "2"][..], &SMALL, &OWN].concat())?;
    assert_whole(&record, "step");
    assert_eq!(names(&record), ["simd dense", "simd sparse", "ndarray dense", "ndarray sparse"]);
    for text in ["of peak", "ndarray sparse", "784 → 8 → 10", "again"] {
        assert!(printed.contains(text), "no {text:?} in {printed}");
    }
    // 60 rows, 784 → 8 → 10: two products of the first layer's size and three of the second's.
    let dense = 2 * 60 * (2 * 784 * 8 + 3 * 8 * 10);
    for one in series(&record) {
        assert_eq!(one["flops"]["dense_equivalent"], dense, "{one}");
        assert_eq!(one["flops"]["done"] == dense, one["input"] == "dense", "{one}");
        assert_eq!((&one["seconds"]["count"], &one["images"]), (&2.into(), &60.into()), "{one}");
    }
    assert_eq!(record["config"]["optimizer"]["name"], "sgd");
    Ok(())
}

#[test]
fn what_an_image_costs_is_measured_for_every_count_beyond_those_that_there_are_and_drawn() -> TestResult {
    let dir = tempfile::tempdir()?;
    let svg = dir.path().join("rows.svg").display().to_string();
    let args = ["rows", "--counts", "130,20,60,20", "--threads", "2", "--svg", &svg];
    let (printed, record) = measure(&[&args[..], &SMALL].concat())?;
    assert_whole(&record, "rows");
    let images: Vec<_> = series(&record).iter().filter_map(|one| one["images"].as_u64()).collect();
    assert_eq!((images, names(&record)), (vec![20, 60, 130], vec!["simd sparse"; 3]));
    assert_eq!(record["config"]["counts"], Value::from(vec![20, 60, 130]));
    let done = |at: usize| series(&record)[at]["flops"]["done"].as_u64();
    let dense = |n: u64| 2 * n * (2 * 784 * 8 + 3 * 8 * 10);
    for (at, n) in [20, 60, 130].into_iter().enumerate() {
        assert_eq!(series(&record)[at]["flops"]["dense_equivalent"], dense(n));
    }
    // 130 images are the 60 that there are twice, and ten of them once more: fewer pixels than those of 180.
    let (sixty, most) = (done(1).ok_or("flops")?, done(2).ok_or("flops")?);
    assert!(2 * sixty < most && most < 3 * sixty, "{record}");
    for one in series(&record) {
        let (cost, rate) = (&one["rates"]["nanoseconds_per_image"], &one["rates"]["images_per_second"]);
        let product = cost.as_f64().zip(rate.as_f64()).map(|(cost, rate)| cost * rate);
        // One is 10⁹ over the other: three roundings.
        assert!(product.is_some_and(|product| (product - 1e9).abs() < 1e9 * 4.0 * f64::EPSILON), "{one}");
    }
    for text in ["ns per image", "of least", "1.000", "wrote "] {
        assert!(printed.contains(text), "no {text:?} in {printed}");
    }
    let drawn = fs::read_to_string(&svg)?;
    assert!(
        drawn.starts_with("<svg") && drawn.contains("simd sparse") && drawn.contains("130 images"),
        "{drawn}"
    );
    Ok(())
}

#[test]
fn all_backends_and_forms_did_the_same_work_to_the_same_loss() -> TestResult {
    let more = ["--dtype", "f64", "--batch-size", "7", "--optimizer", "adam"];
    for benchmark in ["step", "epoch"] {
        let (_, record) = measure(&[&[benchmark][..], &SMALL, &OWN, &more].concat())?;
        assert_whole(&record, benchmark);
        let losses: Vec<f64> = series(&record).iter().filter_map(|one| one["loss"].as_f64()).collect();
        assert_eq!(losses.len(), 4, "{record}");
        // Four rounds of nine updates in f64: sums of up to 784 terms in another order differ by less than
        // 784 · 2⁻⁵³ ≈ 1e-13 of their terms' sizes, and 36 updates of at most 1e-3 multiply that by far less than 1e4.
        for loss in &losses {
            assert!((loss - losses[0]).abs() < 1e-9, "{benchmark}: {losses:?}");
        }
        assert_eq!(record["config"]["optimizer"]["name"], "adam");
    }
    Ok(())
}

#[test]
fn an_epoch_goes_through_fit_and_the_exercises_one_measures_both_parts() -> TestResult {
    let args = [&["epoch", "--input", "dense", "--backend", "simd"][..], &SMALL].concat();
    let (_, record) = measure(&args)?;
    assert_whole(&record, "epoch");
    let step = 2 * 60 * (2 * 784 * 8 + 3 * 8 * 10);
    assert_eq!(series(&record)[0]["flops"]["done"], step);
    assert_eq!((&record["config"]["batch_size"], &record["config"]["shuffle"]), (&50.into(), &true.into()));

    let (printed, record) = measure(&[&args[..], &["--exercise"]].concat())?;
    assert_whole(&record, "epoch");
    assert!(printed.contains("exercise's epoch"), "{printed}");
    let forward = 2 * (60 + 10_000) * (784 * 8 + 8 * 10);
    assert_eq!(series(&record)[0]["flops"]["done"], step + forward);
    assert!(series(&record)[0]["loss"].is_f64(), "{record}");

    let bytes = ["epoch", "--exercise", "--input", "bytes", "--backend", "simd"];
    let (_, record) = measure(&[&bytes[..], &SMALL].concat())?;
    assert_eq!(names(&record), ["simd bytes"]);
    assert_eq!(series(&record)[0]["flops"]["done"], step + forward, "all pixels count");

    let sparse = ["epoch", "--exercise", "--input", "sparse", "--backend", "simd"];
    let (_, record) = measure(&[&sparse[..], &SMALL].concat())?;
    let test = 2 * 10_000 * (784 * 8 + 8 * 10);
    let counted = &series(&record)[0]["flops"]["dense_equivalent"];
    assert_eq!(*counted, step + test, "the training images' forward pass is the step's");
    Ok(())
}

#[test]
fn predictions_are_measured_at_once_and_one_at_a_time() -> TestResult {
    let args = [&["predict", "--input", "sparse", "--backend", "simd", "--backend", "naive"][..], &SMALL];
    let (printed, record) = measure(&args.concat())?;
    assert_whole(&record, "predict");
    assert!(printed.contains("60 images") && printed.contains("99 %"), "{printed}");
    let found: Vec<_> = series(&record).iter().map(|one| (&one["what"], &one["seconds"]["count"])).collect();
    let (all, single) = (Value::from("60 images"), Value::from("one image"));
    // Twice all images, and twice each of them.
    let (two, each) = (Value::from(2), Value::from(120));
    assert_eq!(found, [(&all, &two), (&all, &two), (&single, &each), (&single, &each)]);
    Ok(())
}

#[test]
fn a_backend_that_was_named_and_is_not_there_is_an_error_and_one_that_was_not_is_left_out() -> TestResult {
    let run = nn(&[&["bench", "step", "--backend", "simd", "--blas", "./no-such.so"][..], &SMALL].concat())?;
    assert_refused(&run, &["no-such.so"], "a library that is not there");
    let (_, record) = measure(&[&["step", "--input", "sparse"][..], &SMALL].concat())?;
    let left_out = record["left_out"].as_array().ok_or("no list of what was left out")?;
    assert_eq!(names(&record)[..2], ["simd sparse", "ndarray sparse"]);
    assert!(left_out.iter().all(|left| left["why"].as_str().is_some_and(|why| !why.is_empty())), "{record}");
    Ok(())
}

#[test]
fn times_of_a_network_that_diverged_are_not_reported() -> TestResult {
    let more = ["--backend", "simd", "--input", "dense", "--activation", "relu", "--lr", "1e30"];
    let run = nn(&[&["bench", "step", "--rows", "60", "--hidden", "8"], &more[..]].concat())?;
    assert_eq!(run.status, Some(1), "{run:?}");
    assert!(run.stderr.contains("simd dense") && run.stderr.contains("--lr"), "{run:?}");
    Ok(())
}

#[test]
fn wrong_use_exits_with_2_and_says_what_is_expected() -> TestResult {
    for (args, words) in [
        (&["bench", "step", "--backend", "gpu"][..], "possible values"),
        (&["bench", "step", "--repeat", "0"], "--repeat"),
        (&["bench", "step", "--rows", "60001"], "60000"),
        (&["bench", "step", "--rows", "10", "--batch-size", "11"], "no more than the 10 images"),
        (&["bench", "step", "--batch-size", "half"], "or full"),
        (&["bench", "step", "--momentum", "0.5", "--optimizer", "adam"], "--momentum"),
        (&["bench", "epoch", "--exercise", "--batch-size", "50"], "--exercise"),
        (&["bench", "predict", "--rows", "10001"], "10000"),
        (&["bench", "rows", "--rows", "60001"], "60000"),
        (&["bench", "rows", "--counts", "10,0"], "--counts"),
        (&["bench", "predict", "--batch-size", "50"], "--batch-size"),
        (&["bench", "peak", "--threads", "0"], "--threads"),
        (&["bench", "gem"], "gem"),
        (&["bench", "grid", "--rows", "60", "--batch", "61"], "no more than the 60 images"),
        (&["bench", "grid", "--rows", "60001"], "60000"),
        (&["bench", "grid", "--input", "cifar"], "possible values"),
        (&["bench", "grid", "--seconds", "0"], "--seconds"),
        (&["bench", "gemm", "--hidden", "0"], "--hidden"),
    ] {
        let run = nn(args)?;
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{args:?}: {run:?}");
        assert!(run.stderr.contains(words), "{args:?}: no {words:?} in {}", run.stderr);
    }
    Ok(())
}

/// Whether there is a BLAS to measure beside; without one, `grid` and `gemm` have nothing to do and say so.
fn blas_is_there() -> Result<bool, Box<dyn std::error::Error>> {
    let run = nn(&["bench", "gemm", "--rows", "1", "--hidden", "8", "--repeat", "1", "--threads", "1"])?;
    if run.status != Some(0) {
        assert_refused(&run, &["blas"], "a machine without a BLAS");
    }
    Ok(run.status == Some(0))
}

#[test]
fn a_grid_has_a_ratio_for_each_cell_and_says_which_way_of_the_library_was_the_best() -> TestResult {
    if !blas_is_there()? {
        return Ok(());
    }
    let sizes =
        ["--rows", "60", "--hidden", "8,128", "--batch", "1,60", "--seconds", "0.001", "--threads", "2"];
    let (printed, record) = measure(&[&["grid"][..], &sizes].concat())?;
    assert_eq!(record["benchmark"], "grid");
    let cells = record["cells"].as_array().ok_or("no cells")?;
    // Two kinds of data, two depths, two widths, two batches.
    assert_eq!(cells.len(), 16, "{record}");
    for cell in cells {
        assert_positive(&cell["ratio"], "ratio");
        let series = cell["series"].as_array().ok_or("no series")?;
        let simd = if cell["input"] == "mnist" { "simd, sparse" } else { "simd" };
        assert_eq!(series[0]["name"], simd, "{cell}");
        let best =
            series.iter().find(|one| one["name"] == cell["best_blas"]).ok_or("the best was measured")?;
        let ratio = series[0]["seconds"]["min"].as_f64().zip(best["seconds"]["min"].as_f64());
        assert_eq!(ratio.map(|(simd, blas)| simd / blas), cell["ratio"].as_f64(), "{cell}");
        for other in &series[1..] {
            let mins = other["seconds"]["min"].as_f64().zip(best["seconds"]["min"].as_f64());
            assert!(mins.is_some_and(|(other, best)| best <= other), "{cell}");
        }
    }
    for text in ["| random, 2 hidden | batch 1 | batch 60 |", "| mnist | 128, 128 | 60 |", "in bold"] {
        assert!(printed.contains(text), "no {text:?} in {printed}");
    }
    Ok(())
}

#[test]
fn each_product_of_a_step_is_measured_in_shards_and_at_once() -> TestResult {
    if !blas_is_there()? {
        return Ok(());
    }
    let sizes = ["--rows", "300", "--hidden", "128,16", "--repeat", "1", "--threads", "2"];
    let (printed, record) = measure(&[&["gemm"][..], &sizes].concat())?;
    assert_eq!(record["benchmark"], "gemm");
    let products = record["products"].as_array().ok_or("no products")?;
    // Two of the first layer, three of each other.
    assert_eq!(products.len(), 8, "{record}");
    for product in products {
        let times = ["rows", "inputs", "units"].map(|size| product[size].as_u64().unwrap_or(0));
        assert_eq!(product["flops"].as_u64(), Some(2 * times.iter().product::<u64>()), "{product}");
        let series = product["series"].as_array().ok_or("no series")?;
        assert_eq!(series.len(), 3, "{product}");
        for one in series {
            assert_positive(&one["seconds"]["min"], "min");
            assert_positive(&one["gflops"], "gflops");
            assert_positive(&one["share_of_peak"], "share_of_peak");
        }
    }
    for text in ["dY·Wᵀ: [300, 10]·[16, 10]ᵀ", "blas, all at once", "of peak"] {
        assert!(printed.contains(text), "no {text:?} in {printed}");
    }
    Ok(())
}

#[test]
fn a_file_that_cannot_be_written_is_found_out_before_anything_is_measured() -> TestResult {
    for benchmark in ["peak", "step", "rows", "epoch", "predict", "grid", "gemm"] {
        let run = nn(&["bench", benchmark, "--json", "no-such-folder/figures.json"])?;
        assert_refused(&run, &["no-such-folder/figures.json"], benchmark);
    }
    let run = nn(&["bench", "rows", "--svg", "no-such-folder/rows.svg"])?;
    assert_refused(&run, &["no-such-folder/rows.svg"], "rows, drawn");
    Ok(())
}
