//! Wrong use at each level of abstraction: one clear error each, which says what was expected, what was found and where.

use std::num::NonZeroUsize;
use std::sync::Arc;

use nn_core::backend::Naive;
use nn_core::exec::{Session, SessionOptions};
use nn_core::graph::{DType, Graph};
use nn_core::init::Initializer;
use nn_core::layers::{Add, BatchNormalization, Concatenate, Dense, Dropout};
use nn_core::losses::Loss;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::metrics::Metric;
use nn_core::models::{Apply, Batch, Compile, Model, Network, Sequential, Target, input};
use nn_core::optim::Optimizer;
use nn_train::{BatchSize, Dataset, FitData, FitOptions, evaluate, fit};

fn options() -> SessionOptions<f64> {
    SessionOptions { threads: 1, ..SessionOptions::new(Arc::new(Naive)) }
}

/// The error's text, which must be one line and hold all of `parts`.
#[track_caller]
fn says<R, E: std::fmt::Display>(result: Result<R, E>, parts: &[&str]) {
    let Err(error) = result else { panic!("expected an error that says {parts:?}, found none") };
    let text = error.to_string();
    assert!(!text.contains('\n'), "one line: {text}");
    for part in parts {
        assert!(text.contains(part), "expected \"{part}\" in: {text}");
    }
}

fn rows(values: &[f64], columns: usize) -> InputRef<'_, f64> {
    let matrix = MatRef::new(values, values.len() / columns, columns).expect("whole rows");
    InputRef::dense(matrix)
}

fn classifier() -> Sequential {
    Sequential::new(3).add(Dense::new(4)).add(Dense::new(2))
}

fn compile() -> Compile {
    Compile::new(Optimizer::sgd(0.1), Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy)
}

#[test]
fn a_placeholder_that_was_not_fed_or_was_fed_another_shape_is_named_with_what_it_expects() {
    let mut g = Graph::new();
    let x = g.placeholder("pixels", &[None, Some(3)]).expect("a placeholder");
    let y = g.typed_placeholder("classes", &[None], DType::Int).expect("a placeholder");
    let w = g.variable("w", &[3, 2], Initializer::Zeros).expect("a variable");
    let logits = g.matmul(x, w).expect("shapes fit");
    let loss = Loss::SparseCategoricalCrossEntropy.mean(&mut g, logits, y).expect("shapes fit");
    let mut session = Session::new(g, options()).expect("a session");

    let two = [0.0; 6];
    says(
        session.run(&[loss], &[(x, rows(&two, 3).into())]),
        &["placeholder \"classes\"", "int [None]", "not fed"],
    );
    says(
        session.run(&[logits], &[(x, rows(&two, 2).into())]),
        &["placeholder \"pixels\"", "[None, 3]", "3 rows of 2"],
    );
    let feeds = [(x, rows(&two, 3).into()), (y, [0, 1, 1].as_slice().into())];
    says(session.run(&[loss], &feeds), &["2", "3", "rows"]);
    let feeds = [(x, rows(&two, 3).into()), (y, [0, 2].as_slice().into())];
    says(session.run(&[loss], &feeds), &["placeholder \"classes\"", "class 2", "row 1", "0 to 1"]);
}

#[test]
fn a_layer_that_does_not_fit_its_input_says_which_layer_and_which_shape() {
    let images = input("images", &[28, 28]);
    says(Dense::new(10).name("digits").apply(&images), &["dense \"digits\"", "[None, 28, 28]", "flatten"]);
    says(BatchNormalization::new().apply(&images), &["batch_normalization", "[None, 28, 28]", "flatten"]);
    let x = input("x", &[4]);
    says(Dense::new(0).apply(&x), &["dense", "0 units", "1 or more"]);
    says(Dropout::new(1.0).apply(&x), &["dropout", "rate", "0 to below 1", "1"]);
    says(Dense::new(2).regularizer(-0.5, 0.0).apply(&x), &["dense", "l1", "-0.5"]);
    says(Add::new().apply([&x, &images]), &["add", "[None, 4]", "[None, 28, 28]", "same shape"]);
    says(Concatenate::new().apply(&x), &["concatenate", "two inputs or more", "found 1"]);
    says(Dense::new(2).apply([&x, &x]), &["dense", "one input", "found 2"]);
}

#[test]
fn a_model_whose_ends_do_not_belong_together_says_what_is_missing() {
    let (a, b) = (input("a", &[2]), input("b", &[2]));
    let sum = Add::new().apply([&a, &b]).expect("shapes fit");
    says(Model::new(&a, &sum), &["input \"b\"", "not among"]);
    let one = Dense::new(2).name("twin").apply(&a).expect("shapes fit");
    let other = Dense::new(2).name("twin").apply(&one).expect("shapes fit");
    says(Model::new(&a, &other), &["\"twin\"", "two"]);
    says(Model::new([&one], &other), &["input", "dense"]);
    let inner = Model::new([&a, &b], &sum).expect("a model").name("inner");
    says(inner.apply(&a), &["model \"inner\"", "[None, 2], [None, 2]", "found [None, 2]"]);
    says(Sequential::new(3).compile(compile(), options()), &["sequential", "one layer or more", "0"]);
}

#[test]
fn training_before_compiling_says_to_compile() {
    let mut network = classifier().build(options()).expect("a network");
    let values = [0.0; 6];
    says(network.train_on_batch(rows(&values, 3), &[0, 1]), &["not compiled", "call compile"]);
    let data = Dataset::new(rows(&values, 3), &[0, 1]).expect("rows and labels");
    let fit_options = FitOptions { batch_size: BatchSize::Full, ..FitOptions::default() };
    says(
        fit(&mut network, &FitData::new(data.clone()), &fit_options, &mut []),
        &["not compiled", "call compile"],
    );
    says(evaluate(&mut network, &data), &["not compiled", "call compile"]);
    assert_eq!(network.predict_on_batch(rows(&values, 3)).expect("it can predict").len(), 4);
}

#[test]
fn unknown_losses_and_metrics_and_such_that_do_not_fit_are_named_with_what_there_is() {
    says("acuracy".parse::<Metric>(), &["\"acuracy\"", "accuracy", "recall_CLASS"]);
    says("top_0_accuracy".parse::<Metric>(), &["\"top_0_accuracy\""]);
    says("hinge".parse::<Loss>(), &["\"hinge\"", "mean_squared_error"]);
    let with = |metric| Compile::new(Optimizer::sgd(0.1), Loss::SparseCategoricalCrossEntropy).metric(metric);
    says(
        classifier().compile(with(Metric::Recall(2)), options()),
        &["output \"dense_1\"", "recall_2", "0 to 1"],
    );
    says(
        classifier().compile(with(Metric::MeanSquaredError), options()),
        &["mean_squared_error", "classes", "accuracy"],
    );
    let rate = Compile::new(Optimizer::sgd(f64::NAN), Loss::MeanSquaredError);
    says(classifier().compile(rate, options()), &["sgd", "learning rate", "NaN"]);
}

fn two_outputs() -> Model {
    let x = input("x", &[3]);
    let digit = Dense::new(4).name("digit").apply(&x).expect("shapes fit");
    let size = Dense::new(1).name("size").apply(&x).expect("shapes fit");
    Model::new(&x, [&digit, &size]).expect("a model")
}

#[test]
fn every_output_needs_one_loss_and_every_loss_an_output() {
    let digit =
        || Compile::outputs(Optimizer::sgd(0.1)).loss("digit", Loss::SparseCategoricalCrossEntropy, 1.0);
    says(two_outputs().compile(digit(), options()), &["output \"size\"", "no loss", "digit, size"]);
    let stranger = digit().loss("sise", Loss::MeanSquaredError, 1.0);
    says(two_outputs().compile(stranger, options()), &["\"sise\"", "digit, size"]);
    let twice = digit().loss("size", Loss::MeanSquaredError, 1.0).loss("digit", Loss::MeanSquaredError, 1.0);
    says(two_outputs().compile(twice, options()), &["output \"digit\"", "two losses"]);
    let negative = digit().loss("size", Loss::MeanSquaredError, -1.0);
    says(two_outputs().compile(negative, options()), &["\"size\"", "weight -1"]);
    let metric = digit().loss("size", Loss::MeanSquaredError, 1.0).metric_of("weight", Metric::Accuracy);
    says(two_outputs().compile(metric, options()), &["\"weight\"", "digit, size"]);
}

#[test]
fn a_batch_that_does_not_fit_a_model_says_which_part_of_it_and_why() {
    let compile = Compile::outputs(Optimizer::sgd(0.1))
        .loss("digit", Loss::SparseCategoricalCrossEntropy, 1.0)
        .loss("size", Loss::MeanSquaredError, 0.5);
    let network = two_outputs().compile(compile, options()).expect("a network");
    let (values, sizes) = ([0.0; 6], [1.0, 2.0]);
    let (x, size) = (rows(&values, 3), Target::Values(rows(&sizes, 1)));
    let digit: Target<'_, f64> = Target::Classes(&[0, 3]);
    assert!(network.check(&Batch::of(&[x], &[digit, size])).is_ok());
    says(network.check(&Batch::of(&[x], &[digit])), &["2 targets", "found 1"]);
    says(network.check(&Batch::of(&[x, x], &[digit, size])), &["1 inputs", "found 2"]);
    says(network.check(&Batch::of(&[rows(&values, 2)], &[digit, size])), &["\"x\"", "2 numbers", "3"]);
    says(network.check(&Batch::of(&[x], &[size, digit])), &["digit_labels", "numbers", "class indices"]);
    let four: Target<'_, f64> = Target::Classes(&[0, 4]);
    says(network.check(&Batch::of(&[x], &[four, size])), &["digit_labels", "class 4", "row 1", "0 to 3"]);
    let three: Target<'_, f64> = Target::Classes(&[0, 1, 2]);
    says(network.check(&Batch::of(&[x], &[three, size])), &["digit_labels", "3 rows", "2"]);
    says(network.check(&Batch::of(&[x], &[digit, size]).weighted(&[1.0])), &["weights", "1 rows", "2"]);
}

#[test]
fn weights_that_do_not_fit_are_named_and_nothing_has_changed() {
    let mut network: Network<f64> = classifier().compile(compile(), options()).expect("a network");
    let before = network.weights();
    let mut wrong = before.clone();
    wrong[0].dims = vec![4, 3];
    says(network.set_weights(&wrong), &["\"dense/kernel\"", "[3, 4]", "[4, 3]"]);
    says(network.set_weights(&before[1..]), &["\"dense/kernel\"", "missing"]);
    says(network.set_weights_in_order(&before[1..]), &["expected 4", "found 3"]);
    let mut renamed = before.clone();
    renamed[3].name = "dense_2/bias".into();
    says(network.set_weights(&renamed), &["\"dense_1/bias\"", "missing"]);
    let rate = network.learning_rate();
    says(network.set_learning_rate(-1.0), &["learning rate", "-1"]);
    assert_eq!((network.weights(), network.learning_rate()), (before, rate));
}

#[test]
fn options_of_fit_that_can_not_be_met_say_why() {
    let mut network = classifier().compile(compile(), options()).expect("a network");
    let values = [0.0; 12];
    let data = FitData::new(Dataset::new(rows(&values, 3), &[0, 1, 0, 1]).expect("rows and labels"));
    let batch_size = NonZeroUsize::new(2).map_or(BatchSize::Full, BatchSize::Rows);
    let split = |validation_split| FitOptions { validation_split, batch_size, ..FitOptions::default() };
    says(fit(&mut network, &data, &split(1.5), &mut []), &["validation split", "(0, 1)", "1.5"]);
    says(fit(&mut network, &data, &split(0.9), &mut []), &["validation split", "4 rows", "0 for training"]);
    let late = FitOptions { initial_epoch: 3, epochs: 2, ..FitOptions::default() };
    says(fit(&mut network, &data, &late, &mut []), &["epoch", "3", "2"]);
    let other = Dataset::new(rows(&values, 3), &[0, 1, 0, 5]).expect("rows and labels");
    says(fit(&mut network, &FitData::new(other), &split(0.0), &mut []), &["5", "row 3", "0 to 1"]);
}
