//! Axes: from values to places, and where the ticks are.

/// A range of values along a line, with round numbers marked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
    decimals: usize,
}

/// A range of which the greatest value is so many times the least is shown on a logarithmic axis: on a linear one the
/// lower two thirds of its decades would be within a tenth of the height.
const LOGARITHMIC_FROM: f64 = 50.0;

impl Axis {
    /// Round numbers around a range, some `count` of them; the axis begins and ends with one.
    pub(crate) fn around(low: f64, high: f64, count: usize) -> Self {
        let (low, high) = widened(low, high);
        let step = round_step((high - low) / count.max(1) as f64);
        // A value within rounding of a tick is that tick.
        let slack = 1e-9;
        let (first, last) = ((low / step + slack).floor(), (high / step - slack).ceil());
        let ticks = (0..=(last - first) as usize).map(|i| (first + i as f64) * step).collect();
        Self { low: first * step, high: last * step, logarithmic: false, ticks, decimals: decimals(step) }
    }

    /// Like [`around`](Self::around), or by powers of ten where all values are positive and their range asks for it.
    pub(crate) fn linear_or_by_ratio(low: f64, high: f64, count: usize) -> Self {
        if low > 0.0 && high / low >= LOGARITHMIC_FROM {
            Self::logarithmic(low, high)
        } else {
            Self::around(low, high, count)
        }
    }

    /// Beginning and ending with a number of the form 1, 2 or 5 · 10ⁿ; powers of ten alone where there are many.
    fn logarithmic(low: f64, high: f64) -> Self {
        const MOST: usize = 8;
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let fine = (first..=last).flat_map(|n| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(n)));
        let below = fine.clone().rfind(|&t| t <= low).unwrap_or(low);
        let above = fine.clone().find(|&t| t >= high).unwrap_or(high);
        let mut ticks: Vec<f64> = fine.filter(|t| (below..=above).contains(t)).collect();
        if ticks.len() > MOST {
            let every = ((last - first) as usize).div_ceil(MOST).max(1);
            ticks = (first..=last)
                .step_by(every)
                .map(|n| 10f64.powi(n))
                .filter(|t| (below..=above).contains(t))
                .collect();
        }
        Self { low: below, high: above, logarithmic: true, ticks, decimals: 0 }
    }

    /// Epochs 1 to `count`, whole numbers marked; a single one stands in the middle.
    pub(crate) fn epochs(count: usize) -> Self {
        const MARKED: f64 = 8.0;
        let last = count.max(1);
        let step = round_step(last as f64 / MARKED).max(1.0).round() as usize;
        let mut ticks: Vec<f64> = (1..=last / step).map(|i| (i * step) as f64).collect();
        // The first one, unless it would stand in the way of the next.
        if step > 1 && step <= last {
            ticks.insert(0, 1.0);
        }
        let (low, high) = if last == 1 { (0.5, 1.5) } else { (1.0, last as f64) };
        Self { low, high, logarithmic: false, ticks, decimals: 0 }
    }

    /// Where a value is between the axis' beginning, 0, and its end, 1.
    pub(crate) fn place(&self, value: f64) -> f64 {
        if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// The values that are marked, in order.
    pub(crate) fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    /// Whether equal ratios, not equal differences, are equally far apart.
    pub(crate) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// How a marked value is written: all with as many decimals as the finest needs.
    pub(crate) fn label(&self, value: f64) -> String {
        let size = value.abs();
        if size != 0.0 && !(1e-4..1e6).contains(&size) {
            // Rust writes `1e-7`; more digits than the tick has are rounding.
            return format!("{value:.0e}");
        }
        if self.logarithmic {
            let decimals = if size < 1.0 { -size.log10().floor() as usize } else { 0 };
            return format!("{value:.decimals$}");
        }
        format!("{value:.*}", self.decimals)
    }
}

/// A range that is not empty.
fn widened(low: f64, high: f64) -> (f64, f64) {
    if high > low {
        return (low, high);
    }
    let margin = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
    (low - margin, low + margin)
}

/// 1, 2 or 5 · 10ⁿ, whichever is the first not below.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * power >= least * (1.0 - 1e-9)).unwrap_or(10.0);
    step * power
}

fn decimals(step: f64) -> usize {
    // 0.05 has two, 20 has none; the slack is for a logarithm that falls just short of a whole number.
    (-(step.log10() + 1e-9).floor()).max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().iter().map(|&t| axis.label(t)).collect()
    }

    #[test]
    fn ticks_are_round_numbers_around_the_values() {
        assert_eq!(labels(&Axis::around(0.903, 0.998, 5)), ["0.90", "0.92", "0.94", "0.96", "0.98", "1.00"]);
        assert_eq!(labels(&Axis::around(0.0, 7.0, 5)), ["0", "2", "4", "6", "8"]);
        assert_eq!(labels(&Axis::around(0.5, 0.5, 2)), ["0.45", "0.50", "0.55"]);
        assert_eq!(labels(&Axis::around(0.0, 0.0, 2)), ["-1", "0", "1"]);
        for (low, high) in [(0.1, 0.3), (1e-9, 3e-9), (-5.0, 12345.0), (0.7, 0.7)] {
            let axis = Axis::around(low, high, 5);
            assert!((2..=9).contains(&axis.ticks().len()), "{axis:?}");
            assert!(axis.place(low) >= -1e-9 && axis.place(high) <= 1.0 + 1e-9, "{axis:?}");
        }
    }

    #[test]
    fn epochs_are_marked_at_whole_numbers_however_many_there_are() {
        assert_eq!((labels(&Axis::epochs(1)), Axis::epochs(1).place(1.0)), (vec!["1".into()], 0.5));
        assert_eq!(labels(&Axis::epochs(3)), ["1", "2", "3"]);
        assert_eq!(labels(&Axis::epochs(12)), ["1", "2", "4", "6", "8", "10", "12"]);
        assert_eq!(labels(&Axis::epochs(1000)), ["1", "200", "400", "600", "800", "1000"]);
        for count in 1..2000 {
            let axis = Axis::epochs(count);
            assert!((1..=10).contains(&axis.ticks().len()), "{count}: {:?}", labels(&axis));
            assert!(axis.ticks().iter().all(|&t| (0.0..=1.0).contains(&axis.place(t))), "{count}");
        }
    }

    #[test]
    fn losses_over_decades_are_marked_by_ratios_and_others_are_not() {
        let axis = Axis::linear_or_by_ratio(0.003, 2.3, 5);
        assert!(axis.is_logarithmic() && !Axis::linear_or_by_ratio(0.1, 2.3, 5).is_logarithmic());
        assert_eq!(labels(&axis), ["0.01", "0.1", "1"]);
        assert_eq!(
            labels(&Axis::linear_or_by_ratio(0.02, 1.0, 5)),
            ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]
        );
        assert!((axis.place(0.1) - axis.place(0.01) - (axis.place(1.0) - axis.place(0.1))).abs() < 1e-12);
        let wide = Axis::linear_or_by_ratio(1e-9, 1e3, 5);
        assert!(wide.ticks().len() <= 9 && wide.ticks().len() >= 3, "{wide:?}");
        assert!(labels(&wide).contains(&"1e-7".to_owned()), "{:?}", labels(&wide));
        assert!(!Axis::linear_or_by_ratio(0.0, 9.0, 5).is_logarithmic(), "there is no logarithm of 0");
    }
}
