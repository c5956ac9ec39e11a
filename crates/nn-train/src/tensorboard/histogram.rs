//! Counting values by range.

use nn_core::Scalar;

use super::proto::HistogramProto;

/// Ranges that the values of a histogram are counted in: as many as TensorBoard's own `histogram` takes by default.
const BUCKETS: usize = 30;

/// Counts the finite ones of `values` in [`BUCKETS`] ranges of equal width from the least to the largest; in one if
/// they are all alike or if there are none.
pub(super) fn histogram<T: Scalar>(values: &[T]) -> HistogramProto {
    let finite = || values.iter().map(|v| v.wide()).filter(|v| v.is_finite());
    let mut sums = HistogramProto { min: f64::INFINITY, max: f64::NEG_INFINITY, ..HistogramProto::default() };
    for v in finite() {
        sums.min = sums.min.min(v);
        sums.max = sums.max.max(v);
        sums.num += 1.0;
        sums.sum += v;
        sums.sum_squares += v * v;
    }
    if sums.num == 0.0 {
        return HistogramProto { bucket_limit: vec![0.0], bucket: vec![0.0], ..HistogramProto::default() };
    }
    let (min, max) = (sums.min, sums.max);
    let width = (max - min) / BUCKETS as f64;
    if !(width.is_finite() && width > 0.0) {
        return HistogramProto { bucket_limit: vec![max], bucket: vec![sums.num], ..sums };
    }
    let mut bucket = vec![0.0; BUCKETS];
    for v in finite() {
        bucket[(((v - min) / width) as usize).min(BUCKETS - 1)] += 1.0;
    }
    let inner = (1..BUCKETS).map(|i| min + width * i as f64);
    HistogramProto { bucket_limit: inner.chain([max]).collect(), bucket, ..sums }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_value_is_counted_once_in_its_range() {
        let values: Vec<f64> = (0..300).map(|i| f64::from(i) / 100.0).chain([3.0, f64::NAN]).collect();
        let h = histogram(&values);
        assert_eq!((h.min, h.max, h.num), (0.0, 3.0, 301.0));
        assert_eq!((h.bucket.len(), h.bucket_limit.len(), h.bucket_limit[29]), (30, 30, 3.0));
        assert_eq!(h.bucket.iter().sum::<f64>(), 301.0);
        // Ten hundredths per range of a tenth; rounding may move a value that lies on a limit.
        assert!(h.bucket[..29].iter().all(|&n| (9.0..=11.0).contains(&n)), "{:?}", h.bucket);
        assert!(h.bucket_limit.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn values_that_are_all_alike_or_missing_or_too_far_apart_have_one_range() {
        let h = histogram(&[0.5f32; 4]);
        assert_eq!((h.bucket_limit, h.bucket, h.sum, h.sum_squares), (vec![0.5], vec![4.0], 2.0, 1.0));
        let h = histogram(&[f32::NAN]);
        assert_eq!((h.bucket_limit, h.bucket, h.num), (vec![0.0], vec![0.0], 0.0));
        let h = histogram(&[f64::MIN, f64::MAX]);
        assert_eq!((h.bucket_limit, h.bucket), (vec![f64::MAX], vec![2.0]));
    }
}
