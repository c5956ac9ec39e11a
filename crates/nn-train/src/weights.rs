//! Weights in safetensors files, under Keras' names and in Keras' shapes: `dense/kernel` of \[in, out\], `dense/bias` of
//! \[out\], `dense_1/kernel`, ….

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use nn_core::Scalar;
use nn_core::models::NamedTensor;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use crate::files::write_atomically;
use crate::{Error, Result};

/// Writes tensors to a safetensors file in their own precision, whole or not at all.
///
/// # Errors
/// If a tensor has not as many elements as its shape says, a name comes twice, or the file can't be written.
///
/// ```
/// use nn_core::models::NamedTensor;
/// use nn_train::weights::{read_weights, write_weights};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("model.safetensors");
/// let bias = NamedTensor { name: "dense/bias".into(), dims: vec![2], values: vec![0.5f32, -1.0] };
/// write_weights(&path, &[bias])?;
/// assert_eq!(read_weights::<f64>(&path)?[0].values, [0.5, -1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_weights<T: Scalar>(path: &Path, tensors: &[NamedTensor<T>]) -> Result<()> {
    write_atomically(path, &encode(path, tensors, None)?)
}

/// Reads all tensors of a safetensors file, in order of their names, converted to `T` (f64 to f32 by rounding).
///
/// # Errors
/// If the file can't be read, is not safetensors, or holds anything but f32 and f64.
pub fn read_weights<T: Scalar>(path: &Path) -> Result<Vec<NamedTensor<T>>> {
    let bytes = fs::read(path).map_err(|e| Error::file(path, "read", e))?;
    decode(path, &bytes)
}

/// The tensors of a file in the order and the shapes that a network expects.
///
/// # Errors
/// If one is missing, has another shape, or belongs to no layer of the network; the message names `path`.
pub fn match_weights<T: Scalar>(
    path: &Path,
    expected: &[NamedTensor<T>],
    found: Vec<NamedTensor<T>>,
) -> Result<Vec<NamedTensor<T>>> {
    let mut found: HashMap<String, NamedTensor<T>> = found.into_iter().map(|t| (t.name.clone(), t)).collect();
    let mut matched = Vec::with_capacity(expected.len());
    for want in expected {
        let Some(tensor) = found.remove(&want.name) else {
            let rest: BTreeSet<_> =
                matched.iter().map(|t: &NamedTensor<T>| &t.name).chain(found.keys()).collect();
            return Err(Error::format(
                path,
                format_args!(
                    "expected a tensor \"{}\" of shape {:?}, found only {rest:?}",
                    want.name, want.dims
                ),
            ));
        };
        if tensor.dims != want.dims {
            return Err(Error::format(
                path,
                format_args!(
                    "expected \"{}\" to have the shape {:?}, found {:?}",
                    want.name, want.dims, tensor.dims
                ),
            ));
        }
        matched.push(tensor);
    }
    if !found.is_empty() {
        let rest: BTreeSet<_> = found.keys().collect();
        return Err(Error::format(
            path,
            format_args!("found tensors that no layer of this network has: {rest:?}"),
        ));
    }
    Ok(matched)
}

/// A safetensors file's bytes. One metadata entry at most, so that the same content is always the same bytes.
pub(crate) fn encode<T: Scalar>(
    path: &Path,
    tensors: &[NamedTensor<T>],
    metadata: Option<(&str, String)>,
) -> Result<Vec<u8>> {
    let mut names = BTreeSet::new();
    let mut raw = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        if !names.insert(&tensor.name) {
            return Err(Error::format(path, format_args!("two tensors are named \"{}\"", tensor.name)));
        }
        raw.push(tensor.values.iter().flat_map(|&v| to_le_bytes(v)).collect::<Vec<u8>>());
    }
    let mut views = Vec::with_capacity(tensors.len());
    for (tensor, raw) in tensors.iter().zip(&raw) {
        let view = TensorView::new(dtype::<T>(), tensor.dims.clone(), raw)
            .map_err(|e| Error::format(path, format_args!("\"{}\": {e}", tensor.name)))?;
        views.push((tensor.name.as_str(), view));
    }
    let metadata = metadata.map(|(key, value)| HashMap::from([(key.to_owned(), value)]));
    serialize(views, metadata).map_err(|e| Error::format(path, e))
}

pub(crate) fn decode<T: Scalar>(path: &Path, bytes: &[u8]) -> Result<Vec<NamedTensor<T>>> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| Error::format(path, format_args!("expected a safetensors file: {e}")))?;
    let mut tensors = Vec::with_capacity(file.len());
    for (name, view) in file.iter() {
        let values = match view.dtype() {
            Dtype::F32 => numbers(view.data(), |b| T::of(f64::from(f32::from_le_bytes(b)))),
            Dtype::F64 => numbers(view.data(), |b| T::of(f64::from_le_bytes(b))),
            other => {
                return Err(Error::format(
                    path,
                    format_args!("expected \"{name}\" to be of type F32 or F64, found {other}"),
                ));
            }
        };
        tensors.push(NamedTensor { name: name.to_owned(), dims: view.shape().to_vec(), values });
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

/// The file type of `T`'s elements.
pub(crate) fn dtype<T: Scalar>() -> Dtype {
    if size_of::<T>() == size_of::<f32>() { Dtype::F32 } else { Dtype::F64 }
}

fn to_le_bytes<T: Scalar>(value: T) -> impl Iterator<Item = u8> {
    // An f32 widened and narrowed again is the same number, so one conversion serves both.
    let wide = value.wide();
    let (bytes, len) = match dtype::<T>() {
        Dtype::F32 => {
            let mut padded = [0; 8];
            padded[..4].copy_from_slice(&(wide as f32).to_le_bytes());
            (padded, 4)
        }
        _ => (wide.to_le_bytes(), 8),
    };
    bytes.into_iter().take(len)
}

fn numbers<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| number(chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = std::result::Result<(), Box<dyn std::error::Error>>;

    fn tensor<T>(name: &str, dims: &[usize], values: Vec<T>) -> NamedTensor<T> {
        NamedTensor { name: name.into(), dims: dims.to_vec(), values }
    }

    #[test]
    fn both_precisions_come_back_bit_by_bit_and_convert_into_each_other() -> TestResult {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("w.safetensors");
        let narrow = vec![0.1f32, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX, 1e-45, 3.0];
        write_weights(&path, &[tensor("dense/kernel", &[2, 3], narrow.clone())])?;
        let back = read_weights::<f32>(&path)?;
        assert_eq!((back[0].name.as_str(), &back[0].dims[..]), ("dense/kernel", &[2, 3][..]));
        assert!(back[0].values.iter().zip(&narrow).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert!(read_weights::<f64>(&path)?[0].values.iter().zip(&narrow).all(|(&a, &b)| a == f64::from(b)));

        let wide = vec![0.1f64, 1.0 / 3.0, 5e-324];
        write_weights(&path, &[tensor("b", &[3], wide.clone())])?;
        assert_eq!(read_weights::<f64>(&path)?[0].values, wide);
        assert_eq!(read_weights::<f32>(&path)?[0].values, [0.1f32, 1.0 / 3.0, 0.0]);
        Ok(())
    }

    #[test]
    fn what_is_no_safetensors_file_is_an_error_that_names_it() -> TestResult {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("w.safetensors");
        let message =
            |path: &Path| read_weights::<f32>(path).map_err(|e| e.to_string()).err().unwrap_or_default();
        assert!(message(&path).contains("w.safetensors: cannot read: "), "{}", message(&path));
        for bytes in [&b""[..], b"PK\x03\x04 something else entirely", &[255; 64]] {
            fs::write(&path, bytes)?;
            assert!(message(&path).contains("w.safetensors: expected a safetensors file: "));
        }
        write_weights(&path, &[tensor("a", &[4], vec![1.0f32; 4])])?;
        let whole = fs::read(&path)?;
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len])?;
            assert!(read_weights::<f32>(&path).is_err(), "{len} of {} bytes", whole.len());
        }
        let view = TensorView::new(Dtype::I64, vec![1], &[0; 8])?;
        fs::write(&path, serialize([("steps", view)], None)?)?;
        assert!(message(&path).ends_with("expected \"steps\" to be of type F32 or F64, found I64"));
        Ok(())
    }

    #[test]
    fn a_tensor_whose_shape_and_length_differ_or_whose_name_comes_twice_is_not_written() -> TestResult {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("w.safetensors");
        assert!(write_weights(&path, &[tensor("a", &[2, 2], vec![1.0f64; 3])]).is_err());
        let twice = [tensor("a", &[1], vec![1.0f64]), tensor("a", &[1], vec![2.0])];
        assert!(write_weights(&path, &twice).is_err());
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn matching_sorts_by_the_network_and_names_what_is_missing_misshaped_or_too_much() -> Result<()> {
        let path = Path::new("w.safetensors");
        let (kernel, bias) =
            (tensor("dense/kernel", &[1, 2], vec![1.0, 2.0]), tensor("dense/bias", &[2], vec![3.0; 2]));
        let expected = [kernel.clone(), bias.clone()];
        let matched = match_weights(path, &expected, vec![bias.clone(), kernel.clone()])?;
        assert_eq!(matched, expected);
        let message =
            |found: Vec<NamedTensor<f64>>| match_weights(path, &expected, found).map_err(|e| e.to_string());
        assert_eq!(
            message(vec![kernel.clone()]),
            Err(
                "w.safetensors: expected a tensor \"dense/bias\" of shape [2], found only {\"dense/kernel\"}"
                    .into()
            )
        );
        let flat = tensor("dense/kernel", &[2], vec![0.0; 2]);
        assert_eq!(
            message(vec![bias.clone(), flat]),
            Err("w.safetensors: expected \"dense/kernel\" to have the shape [1, 2], found [2]".into())
        );
        let more = tensor("dense_1/bias", &[2], vec![0.0; 2]);
        assert_eq!(
            message(vec![bias, kernel, more]),
            Err("w.safetensors: found tensors that no layer of this network has: {\"dense_1/bias\"}".into())
        );
        Ok(())
    }
}
