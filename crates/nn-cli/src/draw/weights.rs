//! The first layer's weights as images: what each hidden unit looks for.

use nn_core::models::NamedTensor;

use super::bitmap::Bitmap;
use super::gallery::Item;
use super::paint::Rgb;

/// The most units that are drawn: ten rows of ten.
pub(crate) const MOST_UNITS: usize = 100;

/// The ends and the middle of the scale: blue against, red for, and nearly white where a pixel doesn't matter. Blue and
/// red stay apart for those who don't see red or green well.
const AGAINST: Rgb = Rgb(0x12, 0x4f, 0xa3);
const NOTHING: Rgb = Rgb(0xf7, 0xf7, 0xf7);
const FOR: Rgb = Rgb(0xb3, 0x1b, 0x2c);

/// Units' weights as images, all on one scale.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UnitPictures {
    /// The greatest |weight| among those drawn: the ends of the colour scale are ± this.
    pub(crate) limit: f64,
    /// How many units the layer has.
    pub(crate) units: usize,
    /// Those with the greatest norm, the greatest first.
    pub(crate) items: Vec<Item>,
}

impl UnitPictures {
    /// `kernel`: \[rows · columns, units\]; a unit is a column of it. Drawn are the `most` units of the greatest norm
    /// ‖w‖₂, first the greatest.
    ///
    /// # Errors
    /// If the kernel is no such matrix.
    pub(crate) fn new(
        kernel: &NamedTensor<f64>,
        (rows, columns): (usize, usize),
        most: usize,
    ) -> Result<Self, String> {
        let &[inputs, units] = kernel.dims.as_slice() else {
            return Err(format!(
                "expected \"{}\" to be a matrix, found the shape {:?}",
                kernel.name, kernel.dims
            ));
        };
        if inputs != rows * columns || kernel.values.len() != inputs * units {
            return Err(format!(
                "expected \"{}\" to have a row for each of the {} pixels of an image of {rows}×{columns}, found the shape {:?}",
                kernel.name,
                rows * columns,
                kernel.dims
            ));
        }
        let weights = |unit: usize| kernel.values.iter().skip(unit).step_by(units.max(1)).copied();
        let norm = |unit: usize| weights(unit).map(|w| w * w).sum::<f64>().sqrt();
        let mut chosen: Vec<(usize, f64)> = (0..units).map(|unit| (unit, norm(unit))).collect();
        chosen.sort_by(|a, b| b.1.total_cmp(&a.1));
        chosen.truncate(most);
        let sizes = chosen.iter().flat_map(|&(unit, _)| weights(unit)).map(f64::abs);
        let limit = sizes.filter(|w| w.is_finite()).fold(0.0, f64::max);
        let items = chosen
            .iter()
            .map(|&(unit, norm)| Item {
                bitmap: Bitmap::new(columns, rows, weights(unit).map(|w| colour(w, limit))),
                caption: vec![format!("unit {unit}"), format!("norm {norm:.2}")],
            })
            .collect();
        Ok(Self { limit, units, items })
    }

    /// What is shown, and how to read it.
    pub(crate) fn note(&self) -> String {
        let which = match self.items.len() {
            n if n == self.units => format!("All {n} hidden units"),
            n => format!("The {n} of {} hidden units with the greatest norm", self.units),
        };
        format!(
            "{which}. Red: the pixel speaks for the unit; blue: against it; full colour: ±{:.3}",
            self.limit
        )
    }
}

fn colour(weight: f64, limit: f64) -> Rgb {
    let t = if limit > 0.0 && weight.is_finite() { weight / limit } else { 0.0 };
    NOTHING.towards(if t < 0.0 { AGAINST } else { FOR }, t.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(dims: &[usize], values: Vec<f64>) -> NamedTensor<f64> {
        NamedTensor { name: "dense/kernel".into(), dims: dims.to_vec(), values }
    }

    #[test]
    fn units_are_columns_and_the_greatest_norm_comes_first() -> Result<(), String> {
        // Unit 0: (1, 0), unit 1: (-2, 4), unit 2: (0, 0).
        let pictures = UnitPictures::new(&kernel(&[2, 3], vec![1.0, -2.0, 0.0, 0.0, 4.0, 0.0]), (1, 2), 2)?;
        assert_eq!((pictures.limit, pictures.units), (4.0, 3));
        let captions: Vec<_> = pictures.items.iter().map(|i| i.caption.join(", ")).collect();
        assert_eq!(captions, ["unit 1, norm 4.47", "unit 0, norm 1.00"]);
        let first = &pictures.items[0].bitmap;
        assert_eq!((first.width(), first.height()), (2, 1));
        assert_eq!((first.at(0, 0), first.at(1, 0)), (NOTHING.towards(AGAINST, 0.5), FOR));
        assert_eq!(pictures.items[1].bitmap.at(1, 0), NOTHING);
        assert!(pictures.note().starts_with("The 2 of 3 hidden units"), "{}", pictures.note());
        Ok(())
    }

    #[test]
    fn weights_that_are_no_numbers_or_all_zero_are_drawn_as_nothing() -> Result<(), String> {
        for values in [vec![f64::NAN, 0.0], vec![0.0, 0.0]] {
            let pictures = UnitPictures::new(&kernel(&[2, 1], values), (2, 1), 5)?;
            assert_eq!(pictures.items[0].bitmap.at(0, 0), NOTHING);
        }
        Ok(())
    }

    #[test]
    fn a_kernel_that_does_not_fit_the_images_is_an_error_that_names_it() {
        for (dims, len) in [(&[4, 2][..], 8), (&[6], 6), (&[6, 2], 3)] {
            let error = UnitPictures::new(&kernel(dims, vec![0.0; len]), (2, 3), 5);
            assert!(error.is_err_and(|e| e.contains("dense/kernel")), "{dims:?}");
        }
    }
}
