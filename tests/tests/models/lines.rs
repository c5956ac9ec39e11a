//! Errors, and nodes, of models say which line of the program they come from.

use nn_core::Result;
use nn_core::graph::{Graph, Node, Shape};
use nn_core::layers::{Concatenate, Dense, Layer, Mode, Variables};
use nn_core::losses::Loss;
use nn_core::metrics::Metric;
use nn_core::models::{Apply, Compile, Model, Sequential, Shared, input};
use nn_core::optim::Optimizer;

use super::{FEATURES, classify, options};

#[track_caller]
fn says<R>(result: Result<R>, line: u32, parts: &[&str]) {
    let Err(error) = result else { panic!("expected an error that says {parts:?}, found none") };
    let text = error.to_string();
    let at = format!("(built at {}:{line})", file!());
    for part in parts.iter().chain([&at.as_str()]) {
        assert!(text.contains(part), "expected \"{part}\" in: {text}");
    }
}

#[test]
fn a_call_that_does_not_fit_says_the_line_of_the_call() -> Result<()> {
    let (image, x) = (input("image", &[28, 28]), input("x", &[4]));
    says(Dense::new(3).apply(&image), line!(), &["dense", "[None, 28, 28]", "flatten"]);
    says(Concatenate::new().apply([&image, &x]), line!(), &["concatenate"]);
    let shared = Shared::new(Dense::new(3).name("step"));
    shared.apply(&x)?;
    let wider = input("wider", &[5]);
    says(shared.apply(&wider), line!(), &["matmul \"step\"", "[None, 5] · [4, 3]", "5 vs 4"]);
    let inner = Model::new(&x, &Dense::new(3).apply(&x)?)?.name("inner");
    says(inner.apply(&wider), line!(), &["model \"inner\"", "[None, 4]", "[None, 5]"]);
    Ok(())
}

#[test]
fn a_layer_of_a_stack_that_does_not_fit_says_the_line_that_added_it() {
    let model = Sequential::over(&[28, 28]);
    let (model, line) = (model.add(Dense::new(3)), line!());
    says(model.model(), line, &["dense", "flatten"]);
    says(model.summary(), line, &["dense", "flatten"]);
    says(model.compile::<f64>(classify(Optimizer::sgd(0.1)), options()), line, &["dense", "flatten"]);
}

#[test]
fn a_loss_or_metric_that_does_not_fit_says_the_line_that_compiled() {
    let stack = Sequential::new(FEATURES).add(Dense::new(3));
    let with = |metric| classify(Optimizer::sgd(0.1)).metric(metric);
    says(
        stack.compile::<f64>(with(Metric::TopK(0)), options()),
        line!() - 1,
        &["compile: output \"dense\"", "top"],
    );
    let mut network = stack.build::<f64>(options()).expect("a network");
    let wrong =
        Compile::new(Optimizer::sgd(0.1), Loss::SparseCategoricalCrossEntropy).metric(Metric::Recall(3));
    says(network.compile(wrong), line!(), &["compile: output \"dense\"", "recall_3", "0 to 2"]);
}

#[test]
fn a_node_of_a_network_says_the_line_that_called_its_layer() -> Result<()> {
    let x = input("x", &[4]);
    let (hidden, line) = (Dense::new(3).apply(&x)?, line!());
    let network =
        Model::new(&x, &Dense::new(2).apply(&hidden)?)?.compile(classify(Optimizer::sgd(0.1)), options());
    let network = network.map(|network| network.session().graph().clone())?;
    let of_layer: Vec<_> = network.nodes().iter().filter(|node| node.name.starts_with("dense/")).collect();
    assert!(of_layer.len() >= 4, "two variables, a product and a sum");
    for node in of_layer {
        assert_eq!((node.built_at.file(), node.built_at.line()), (file!(), line), "{}", node.name);
    }
    Ok(())
}

/// A layer that is not the same twice: it has two outputs to predict and one to learn.
#[derive(Debug)]
struct Fickle;

impl Layer for Fickle {
    fn class_name(&self) -> &'static str {
        "Fickle"
    }
    fn create(&self, _: &mut Graph, _: &[Shape]) -> Result<Variables> {
        Ok(Variables::default())
    }
    fn call(&self, _: &mut Graph, _: &Variables, inputs: &[Node], mode: &mut Mode<'_>) -> Result<Vec<Node>> {
        let outputs = if let Mode::Inference = mode { 2 } else { 1 };
        Ok(vec![inputs[0]; outputs])
    }
    fn has_modes(&self) -> bool {
        true
    }
}

#[test]
fn a_layer_that_makes_fewer_outputs_than_it_said_is_an_error() -> Result<()> {
    let x = input("x", &[3]);
    assert!(Fickle.apply(&x).is_err(), "it has two outputs");
    let both = Fickle.apply_all(&x)?;
    let model = Model::new(&x, &Dense::new(3).apply(&both[1])?)?;
    let error =
        model.compile::<f64>(classify(Optimizer::sgd(0.1)), options()).expect_err("one output is missing");
    assert!(error.to_string().contains("fickle: it made 1 outputs, expected 2"), "{error}");
    Ok(())
}
