//! Views, splits and batches: what training loops build on.

use mnist_data::shuffle::permutation;
use mnist_data::{Batches, Error, Holdout, Images, Labels};

fn every_byte() -> Images {
    Images::new(4, 8, 8, (0..=255).collect()).unwrap()
}

#[test]
fn scaling_is_division_in_the_target_type_for_every_byte() {
    let images = every_byte();
    for (byte, (single, double)) in images.scaled::<f32>().iter().zip(images.scaled::<f64>()).enumerate() {
        assert_eq!(*single, byte as f32 / 255.0);
        assert_eq!(double, byte as f64 / 255.0);
    }
    let quantized = images.quantized();
    assert_eq!((quantized.rows, quantized.columns, quantized.divisor), (4, 64, 255));
    assert_eq!(quantized.bytes, images.bytes());
}

#[test]
fn gathered_rows_are_those_of_the_scaled_matrix() {
    let images = every_byte();
    let all = images.scaled::<f32>();
    let mut rows = vec![7.0; 3];
    images.gather_scaled(&[3, 0, 3], &mut rows).unwrap();
    assert_eq!(rows, [&all[192..256], &all[..64], &all[192..256]].concat());
    assert!(matches!(images.gather_scaled(&[4], &mut rows), Err(Error::InvalidArgument { .. })));
}

#[test]
fn a_sparse_matrix_written_back_densely_is_the_dense_one() {
    let images = Images::new(3, 1, 4, vec![0, 9, 0, 255, 0, 0, 0, 0, 1, 2, 3, 4]).unwrap();
    let (sparse, bytes) = (images.csr::<f64>(), images.csr_bytes());
    let mut dense = vec![0.0; 12];
    let mut dense_bytes = vec![0; 12];
    for row in 0..3 {
        let (columns, values) = sparse.row(row).unwrap();
        assert!(columns.is_sorted_by(|a, b| a < b));
        for (&column, &value) in columns.iter().zip(values) {
            dense[row * 4 + column as usize] = value;
        }
        let (columns, values) = bytes.row(row).unwrap();
        for (&column, &value) in columns.iter().zip(values) {
            dense_bytes[row * 4 + column as usize] = value;
        }
    }
    assert_eq!(dense, images.scaled::<f64>());
    assert_eq!(dense_bytes, images.bytes());
    assert_eq!((sparse.non_zeros(), sparse.row(1).unwrap().0.len()), (6, 0));
    assert_eq!(sparse.row(3), None);
    assert_eq!(sparse.row(usize::MAX), None);
}

#[test]
fn one_hot_refuses_a_label_beyond_the_classes() {
    let error = Labels::new(vec![1, 3]).one_hot::<f32>(3).unwrap_err();
    assert!(matches!(error, Error::LabelOutOfRange { expected: 3, found: 3, offset: 9, .. }));
    assert!(Labels::new(vec![]).one_hot::<f32>(0).unwrap().is_empty());
}

/// Computed independently, in Python, from ChaCha's definition with 8 rounds, a 64-bit counter and a 64-bit nonce, and the documented algorithm;
/// a change here breaks everyone's reproducibility.
#[test]
fn shuffled_orders_stay_what_they_are_across_versions() {
    assert_eq!(permutation(10, 0, 0), GOLDEN_SEED_0);
    assert_eq!(permutation(10, 42, 3), GOLDEN_SEED_42_STREAM_3);
    assert!(permutation(0, 1, 1).is_empty());
}

const GOLDEN_SEED_0: [usize; 10] = [9, 2, 3, 4, 6, 7, 0, 1, 5, 8];
const GOLDEN_SEED_42_STREAM_3: [usize; 10] = [1, 5, 9, 3, 2, 0, 7, 8, 6, 4];

/// With 6 equally likely orders of 3 elements, 6000 draws have a count with σ = √(6000·(1/6)·(5/6)) ≈ 28.9;
/// 5σ off has a chance below 1e-6 for each, and the draws are fixed.
#[test]
fn all_orders_of_three_come_up_equally_often() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..6000 {
        *counts.entry(permutation(3, seed, 0)).or_insert(0i32) += 1;
    }
    assert_eq!(counts.len(), 6);
    assert!(counts.values().all(|&n| (n - 1000).abs() < 145), "{counts:?}");
}

#[test]
fn an_epoch_has_every_example_once_unless_the_last_batch_is_dropped() {
    let batches = Batches::new(103, 10).unwrap().shuffled(7);
    assert_eq!(batches.len(), 11);
    let mut seen = batches.epoch(5).order().to_vec();
    seen.sort_unstable();
    assert_eq!(seen, (0..103).collect::<Vec<_>>());

    let whole = batches.clone().drop_last(true);
    assert_eq!(whole.len(), 10);
    assert!(whole.epoch(5).iter().all(|b| b.len() == 10));
    assert_eq!(whole.epoch(5).order(), &batches.epoch(5).order()[..100]);
}

#[test]
fn batches_of_extreme_sizes_work() {
    assert!(matches!(Batches::new(5, 0), Err(Error::InvalidArgument { .. })));
    assert_eq!(Batches::new(5, usize::MAX).unwrap().epoch(0).iter().count(), 1);
    assert!(Batches::new(5, usize::MAX).unwrap().drop_last(true).is_empty());
    assert_eq!(Batches::new(0, 5).unwrap().epoch(0).iter().count(), 0);
}

#[test]
fn unshuffled_batches_keep_the_order() {
    let epoch = Batches::new(5, 2).unwrap().epoch(9);
    let batches: Vec<&[usize]> = epoch.iter().collect();
    assert_eq!(batches, [&[0, 1][..], &[2, 3], &[4]]);
}

fn assert_partition(holdout: &Holdout, count: usize) {
    assert!(holdout.train.is_sorted() && holdout.validation.is_sorted());
    let mut all = [&holdout.train[..], &holdout.validation].concat();
    all.sort_unstable();
    assert_eq!(all, (0..count).collect::<Vec<_>>());
}

#[test]
fn every_way_to_hold_back_examples_is_a_partition_of_the_same_sizes() {
    let labels = Labels::new((0..97).map(|i| (i * i % 7) as u8).collect());
    for fraction in [0.0, 0.01, 0.1, 0.25, 0.5, 0.999] {
        let train = (97.0 * (1.0 - fraction)) as usize;
        let ways = [
            Holdout::last(97, fraction).unwrap(),
            Holdout::shuffled(97, fraction, 1).unwrap(),
            Holdout::stratified(&labels, fraction, 1).unwrap(),
        ];
        for holdout in ways {
            assert_partition(&holdout, 97);
            assert_eq!(holdout.train.len(), train, "{fraction}");
        }
    }
}

#[test]
fn stratified_parts_have_each_class_in_proportion_up_to_one_example() {
    let labels = Labels::new((0..1000).map(|i| if i % 10 == 0 { 0 } else { 1 + (i % 3) as u8 }).collect());
    let counts = labels.counts(4).unwrap();
    let holdout = Holdout::stratified(&labels, 0.15, 9).unwrap();
    let held = labels.select(&holdout.validation).unwrap().counts(4).unwrap();
    for (all, held) in counts.iter().zip(held) {
        assert!((0.15 * *all as f64 - held as f64).abs() < 1.0, "{held} of {all}");
    }
}

#[test]
fn seeds_decide_what_is_held_back() {
    let labels = Labels::new((0..100).map(|i| (i % 4) as u8).collect());
    let by_seed = |seed| (Holdout::shuffled(100, 0.3, seed), Holdout::stratified(&labels, 0.3, seed));
    let ((a, b), (c, d), (e, f)) = (by_seed(1), by_seed(1), by_seed(2));
    let [a, b, c, d, e, f] = [a, b, c, d, e, f].map(Result::unwrap);
    assert!(a == c && b == d);
    assert!(a != e && b != f);
}

#[test]
fn fractions_that_leave_nothing_to_train_on_are_refused() {
    for fraction in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Holdout::last(10, fraction), Err(Error::InvalidArgument { .. })), "{fraction}");
    }
}
