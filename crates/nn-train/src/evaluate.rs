//! Measuring and asking a network, in batches.

use nn_core::Scalar;
use nn_core::matrix::InputRef;
use nn_core::models::Figures;

use crate::{Dataset, Error, Result, Trainable};

/// Rows per batch of a prediction, whose size changes nothing but time, and memory for the answers. So many rows keep every thread
/// busy, and the probabilities of so many digits are 1.3 MB in f64. It is 64 × 252: what the `simd` backend makes of sparse rows
/// it keeps, from one prediction to the next, for groups of 252 rows from the first on, and no batch should cut one.
const PREDICTION_BATCH: usize = 64 * 252;

/// Loss and metrics of a data set: those of all its rows together.
///
/// # Errors
/// If the data have no rows or don't fit the network.
pub fn evaluate<T: Scalar>(network: &mut dyn Trainable<T>, data: &Dataset<'_, T>) -> Result<Figures> {
    if data.rows() == 0 {
        return Err(Error::invalid("evaluate: expected at least one row, found none"));
    }
    network.check(&data.whole())?;
    measure(network, data)
}

/// The same for data that are known to fit. They are one batch: what is measured are sums over its rows, and where a step has
/// learnt from the same rows as a whole, the network can tell.
pub(crate) fn measure<T: Scalar>(network: &mut dyn Trainable<T>, data: &Dataset<'_, T>) -> Result<Figures> {
    Ok(network.test_batch(&data.whole())?)
}

/// What a network with one input and one output says about each row of `x`: \[rows, width\], row-major; of a classifier, the
/// probability of each class.
///
/// # Errors
/// If the network has several outputs, or the rows don't fit it.
pub fn predict<T: Scalar>(network: &mut dyn Trainable<T>, x: InputRef<'_, T>) -> Result<Vec<T>> {
    let mut outputs = predict_outputs(network, &[x])?;
    if x.rows() == 0 {
        return Ok(Vec::new());
    }
    match (outputs.pop(), outputs.len()) {
        (Some(output), 0) => Ok(output),
        (_, others) => Err(Error::invalid(format_args!(
            "predict: expected a network with one output, found {}; predict_outputs gives all of them",
            others + 1
        ))),
    }
}

/// What each output says about each row: for each output \[rows, width\], row-major. `inputs`: rows for each input of the
/// network, in its order. Of no rows nothing is said: there are no outputs then.
///
/// # Errors
/// If there are no inputs, if their numbers of rows differ, or if they don't fit the network.
pub fn predict_outputs<T: Scalar>(
    network: &mut dyn Trainable<T>,
    inputs: &[InputRef<'_, T>],
) -> Result<Vec<Vec<T>>> {
    let Some(rows) = inputs.first().map(InputRef::rows) else {
        return Err(Error::invalid("predict: expected at least one input, found none"));
    };
    if let Some((i, x)) = inputs.iter().enumerate().find(|(_, x)| x.rows() != rows) {
        return Err(Error::invalid(format_args!(
            "predict: expected as many rows everywhere, found {rows} in input 0 and {} in input {i}",
            x.rows()
        )));
    }
    let mut all: Vec<Vec<T>> = Vec::new();
    for (start, len) in pieces(rows) {
        let part: Vec<_> = inputs.iter().map(|x| x.slice(start, len)).collect();
        let outputs = network.predict_batch(&part)?;
        all.resize_with(outputs.len(), Vec::new);
        for (all, part) in all.iter_mut().zip(outputs) {
            all.reserve_exact(if start == 0 { part.len() / len * rows } else { 0 });
            all.extend_from_slice(part);
        }
    }
    Ok(all)
}

/// Start and length of each batch.
fn pieces(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).step_by(PREDICTION_BATCH).map(move |start| (start, PREDICTION_BATCH.min(rows - start)))
}
