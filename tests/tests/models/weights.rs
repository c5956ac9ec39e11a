//! Weights read and replaced.

use nn_core::Result;
use nn_core::graph::{DType, Graph};
use nn_core::layers::{Dense, dense};
use nn_core::losses::Loss;
use nn_core::metrics::MetricNodes;
use nn_core::models::{Apply, Batch, Endpoints, FigureNodes, Model, Network, Sequential, input};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;

use super::{FEATURES, classify, examples, losses_of_steps, names, options, rows, stack, values};

#[test]
fn weights_go_from_one_model_to_another_of_other_names_in_their_order() -> Result<()> {
    let renamed = Sequential::new(FEATURES)
        .add(Dense::new(5).activation(Activation::Tanh).name("below"))
        .add(Dense::new(3).name("above"));
    let mut from = stack().compile(classify(Optimizer::sgd(0.5)), options())?;
    let data = examples(20, 4);
    losses_of_steps(&mut from, &data, 3)?;
    let mut to = renamed.compile(classify(Optimizer::sgd(0.5)), options())?;
    assert!(to.set_weights(&from.weights()).is_err(), "by name they don't fit");
    to.set_weights_in_order(&from.weights())?;
    assert_eq!(values(&to.weights()), values(&from.weights()));
    assert_eq!(names(&to.weights()), ["below/kernel", "below/bias", "above/kernel", "above/bias"]);
    // Softmax or logits: the same loss.
    assert_eq!(losses_of_steps(&mut to, &data, 3)?, losses_of_steps(&mut from, &data, 3)?);

    let mut reversed = from.weights();
    reversed.reverse();
    let before = to.weights();
    let error = to.set_weights_in_order(&reversed).expect_err("they don't fit").to_string();
    assert!(error.contains("\"below/kernel\" [4, 5]") && error.contains("[3]"), "{error}");
    assert_eq!(to.weights(), before);
    from.set_weights(&reversed)?;
    Ok(())
}

#[test]
fn a_popped_layer_is_as_if_it_had_never_been_added() -> Result<()> {
    let mut longer = stack().add(Dense::new(7).name("too_much"));
    let popped = longer.pop().map(|layer| layer.name().map(str::to_owned));
    assert_eq!(popped, Some(Some("too_much".to_owned())));
    assert_eq!(longer.summary()?, stack().summary()?);
    let data = examples(20, 4);
    let mut longer = longer.compile(classify(Optimizer::adam(0.1)), options())?;
    let mut plain = stack().compile(classify(Optimizer::adam(0.1)), options())?;
    assert_eq!(losses_of_steps(&mut longer, &data, 3)?, losses_of_steps(&mut plain, &data, 3)?);
    assert_eq!(longer.state(), plain.state());

    let mut empty = Sequential::new(3);
    assert!(empty.pop().is_none());
    Ok(())
}

#[test]
fn a_model_describes_and_its_networks_have_values_of_their_own() -> Result<()> {
    let x = input("x", &[FEATURES]);
    let model = Model::new(&x, &Dense::new(3).apply(&x)?)?;
    let mut one = model.compile(classify(Optimizer::sgd(0.5)), options())?;
    let two = model.compile(classify(Optimizer::sgd(0.5)), options())?;
    assert_eq!(one.weights(), two.weights());
    losses_of_steps(&mut one, &examples(5, 1), 1)?;
    assert_ne!(one.weights(), two.weights());
    Ok(())
}

/// A classifier built by layers whose loss knows weights.
fn weighted_by_hand() -> Result<Network<f64>> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(FEATURES)])?;
    let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
    let weights = g.placeholder("weights", &[None])?;
    let logits = dense(&mut g, x, 3, Activation::Linear)?;
    let loss = Loss::SparseCategoricalCrossEntropy.weighted_mean(&mut g, logits, labels, weights)?;
    let total = g.reduce_sum(weights)?;
    let figures = vec![
        ("loss".to_owned(), FigureNodes::Mean(loss)),
        ("weight".to_owned(), FigureNodes::Ratio(MetricNodes { sum: total, count: None })),
    ];
    let train = Optimizer::sgd(0.1).minimize(&mut g, loss)?;
    let ends = Endpoints {
        inputs: vec![x],
        targets: vec![labels],
        row_weights: Some(weights),
        outputs: vec![logits],
        train_figures: figures.clone(),
        test_figures: figures,
        train,
    };
    Network::new(g, ends, options())
}

#[test]
fn a_graph_of_ones_own_that_knows_weights_is_fed_them_or_ones() -> Result<()> {
    let (x, labels) = examples(6, 2);
    let batch = || Batch::new(rows(&x, FEATURES), &labels);
    let (mut with, mut without) = (weighted_by_hand()?, weighted_by_hand()?);
    let ones = [1.0; 6];
    let figures = with.train(&batch().weighted(&ones))?;
    assert_eq!(figures, without.train(&batch())?);
    assert_eq!(figures.get("weight"), Some(1.0));
    assert_eq!(with.weights(), without.weights());
    let half = with.test(&batch().weighted(&[0.5; 6]))?;
    assert_eq!((half.get("weight"), half.loss()), (Some(0.5), with.test(&batch())?.loss() * 0.5));
    assert!(with.test(&batch().weighted(&[0.5; 5])).is_err());
    Ok(())
}

#[test]
fn endpoints_that_are_not_in_the_graph_or_not_a_whole_are_an_error() -> Result<()> {
    let network = weighted_by_hand()?;
    let graph = || network.session().graph().clone();
    let ends = network.endpoints().cloned().expect("it was built with them");
    let says = |graph: Graph, ends: Endpoints, part: &str| {
        let error = Network::new(graph, ends, options()).expect_err(part).to_string();
        assert!(error.contains(part), "expected \"{part}\" in: {error}");
    };
    says(Graph::new(), ends.clone(), "no node of the graph");
    says(graph(), Endpoints { targets: vec![], ..ends.clone() }, "1 inputs, 0 targets and 1 outputs");
    says(graph(), Endpoints { test_figures: vec![], ..ends.clone() }, "the same figures");
    says(graph(), Endpoints { train_figures: vec![], test_figures: vec![], ..ends }, "expected the loss");
    Ok(())
}
