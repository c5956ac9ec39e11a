//! Numbers within bounds, as options take them.

pub(super) fn number(text: &str, fits: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    text.parse().ok().filter(|&x| fits(x)).ok_or_else(|| format!("expected {expected}"))
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    number(text, |x| x.is_finite() && x > 0.0, "a finite number greater than 0")
}

pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |x| x.is_finite() && x >= 0.0, "a finite number, 0 or greater")
}

pub(super) fn fraction(text: &str) -> Result<f64, String> {
    number(text, |x| (0.0..1.0).contains(&x), "a number from 0 to below 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused() {
        for wrong in ["0", "-1", "inf", "nan", "x", ""] {
            assert!(positive(wrong).is_err(), "{wrong}");
        }
        for wrong in ["1", "-0.1", "nan", "1e9"] {
            assert!(fraction(wrong).is_err(), "{wrong}");
        }
        assert_eq!((fraction("0"), not_negative("0")), (Ok(0.0), Ok(0.0)));
        assert!(not_negative("-1e-9").is_err());
    }
}
