//! The summary, held to what Keras prints (`reference/summaries.py` made the texts).

use std::path::PathBuf;

use nn_core::Result;
use nn_core::layers::{
    Activate, Add, BatchNormalization, Concatenate, Dense, Dropout, Flatten, Nonlinearity,
};
use nn_core::models::{Apply, Model, Sequential, Shared, input};
use nn_core::ops::Activation;

use super::options;

/// Rows of cells and lines of text, without frames, widths and white space at the ends.
fn normalised(text: &str) -> Vec<Vec<String>> {
    let is_frame = |line: &str| line.starts_with(['┏', '┡', '├', '└']);
    let lines = text.lines().filter(|line| !is_frame(line) && !line.trim().is_empty());
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches(['│', '┃']).split(['│', '┃']);
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    lines.map(cells).collect()
}

/// Panics unless the model's summary and weights are those of Keras.
fn assert_as_keras_prints(file: &str, model: &Model) -> Result<()> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("reference/summaries").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (summary, weights) = text.split_once("Weights:\n").expect("a list of weights");
    let (found, expected) = (normalised(&model.summary()), normalised(summary));
    assert!(expected.len() > 6, "a header, rows and totals");
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "{file}");
    }
    assert_eq!(found.len(), expected.len(), "{file}");

    // Keras knows a weight by its layer and its own name; ours say in which model that layer is, too.
    let found = model.build::<f64>(options())?.weights().into_iter().map(|tensor| {
        let parts: Vec<&str> = tensor.name.rsplitn(3, '/').take(2).collect();
        format!("{}/{} {:?}", parts[1], parts[0], tensor.dims)
    });
    assert_eq!(found.collect::<Vec<_>>(), weights.lines().collect::<Vec<_>>(), "{file}");
    Ok(())
}

#[test]
fn a_stack_is_listed_as_keras_lists_it() -> Result<()> {
    let model = Sequential::over(&[28, 28])
        .add(Flatten::new())
        .add(Dense::new(512).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(Dropout::new(0.2))
        .add(Dense::new(64).name("features"))
        .add(Activate::new(Activation::Tanh))
        .add(Dense::new(10).activation(Nonlinearity::Softmax));
    assert_as_keras_prints("sequential.txt", &model.model()?)
}

#[test]
fn a_functional_chain_is_listed_with_its_input_and_without_connections() -> Result<()> {
    let x = input("pixels", &[784]);
    let hidden = Dense::new(512).activation(Activation::Relu).apply(&x)?;
    let digit = Dense::new(10).activation(Nonlinearity::Softmax).apply(&hidden)?;
    assert_as_keras_prints("chain.txt", &Model::new(&x, &digit)?.name("chain"))
}

#[test]
fn branches_shared_layers_and_nested_models_are_listed_in_keras_order_with_their_connections() -> Result<()> {
    let joined = input("joined", &[6]);
    let hidden = Dense::new(5).activation(Activation::Tanh).name("inner_1").apply(&joined)?;
    let inner = Model::new(&joined, &Dense::new(3).name("inner_2").apply(&hidden)?)?;
    let inner = Shared::new(inner.name("inner"));

    let (left, right) = (input("left", &[4]), input("right", &[4]));
    let short = Dense::new(6).apply(&right)?;
    let shared = Shared::new(Dense::new(4).activation(Activation::Relu).name("shared"));
    let first = shared.apply(&left)?;
    let second = shared.apply(&first)?;
    let third = shared.apply(&right)?;
    let normal = BatchNormalization::new().apply(&second)?;
    let dropped = Dropout::new(0.5).apply(&normal)?;
    let total = Add::new().apply([&dropped, &third])?;
    let wide = Dense::new(6).apply(&total)?;
    let (of_wide, of_short) = (inner.apply(&wide)?, inner.apply(&short)?);
    let both = Concatenate::new().apply([&of_wide, &of_short, &left])?;
    let size = Dense::new(1).name("size").apply(&of_short)?;
    let digit = Dense::new(10).activation(Nonlinearity::Softmax).name("digit").apply(&both)?;
    let model = Model::new([&left, &right], [&digit, &size])?.name("two_ways");
    assert_as_keras_prints("functional.txt", &model)
}
