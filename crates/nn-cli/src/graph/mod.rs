//! `nn graph`: the training graph of a network, as it is built, differentiated, fused and partitioned.

mod dot;
mod html;
mod layout;
mod operations;
mod picture;
mod program;
mod svg;
mod text;

use std::collections::BTreeSet;
use std::path::Path;

use nn_core::Scalar;
use nn_core::backend::Choice;
use nn_core::exec::{Explained, SessionOptions};
use nn_core::graph::Node;
use nn_core::models::{FigureNodes, Network};
use nn_train::files::write_atomically;
use nn_train::tensorboard::EventWriter;

use self::picture::Picture;
use crate::args::{Format, GraphArgs, GraphStage};
use crate::data::load;
use crate::failure::Failure;
use crate::render::grouped;
use crate::screen::Screen;
use crate::train::config::NetworkConfig;
use crate::train::model;

pub(crate) fn run(args: GraphArgs, screen: &mut Screen) -> Result<(), Failure> {
    let GraphArgs { stage, format, out, rows, data, network } = args;
    let config = NetworkConfig::new(network)?;
    let operations = matches!(stage, GraphStage::Built | GraphStage::Gradients);
    if format == Format::Tensorboard && !operations {
        return Err(Failure::usage(
            "--format tensorboard draws operations, expected --stage built or gradients; svg, html, dot and text draw kernels",
        ));
    }
    let data = load(&data)?;
    let options =
        SessionOptions { backend: Choice::default().open::<f32>()?, threads: 1, seed: 0, pin: false };
    let network = model::build(&config, data.train.images.pixels(), data.class_count(), options)?;
    if format == Format::Tensorboard {
        let Some(dir) = out else {
            return Err(Failure::usage(
                "--format tensorboard writes an event file into a directory; expected --out DIR",
            ));
        };
        return write_events(&network, stage, &dir, screen);
    }
    let picture = picture(&network, stage, rows.map_or(data.train.len(), usize::from))?;
    let drawn = match format {
        Format::Svg => svg::svg(picture, true),
        Format::Html => html::html(picture),
        Format::Dot => dot::dot(&picture),
        Format::Text | Format::Tensorboard => text::text(&picture),
    };
    match out {
        Some(path) => write_atomically(&path, drawn.as_bytes())?,
        None => screen.print(drawn),
    }
    Ok(())
}

/// The network, its loss and its accuracy as they were built: an `svg` element for a page that has its own heading.
pub(crate) fn as_built<T: Scalar>(network: &Network<T>) -> Result<String, Failure> {
    // As built, the graph is the same for any number of rows.
    Ok(svg::svg(picture(network, GraphStage::Built, 1)?, false))
}

/// The graph at one stage, for a batch of `rows` rows.
fn picture<T: Scalar>(network: &Network<T>, stage: GraphStage, rows: usize) -> Result<Picture, Failure> {
    let graph = network.session().graph();
    let drawn = match stage {
        GraphStage::Built | GraphStage::Gradients => {
            let nodes = nodes(network, stage);
            let picture = operations::picture(graph, &nodes);
            Picture { subtitle: format!("{} nodes", grouped(nodes.len())), ..picture }
        }
        GraphStage::Fused | GraphStage::Partition => {
            let explained = network.session().explain(&fetches(network), rows)?;
            let picture = program::picture(graph, &explained, stage == GraphStage::Partition);
            Picture { subtitle: figures(&explained, stage), ..picture }
        }
    };
    let what = match stage {
        GraphStage::Built => "Network, loss and accuracy, as built",
        GraphStage::Gradients => "Training graph: with gradients and update",
        GraphStage::Fused => "Training step after fusion",
        GraphStage::Partition => "Training step after partition",
    };
    Ok(Picture { title: what.to_owned(), ..drawn })
}

/// The nodes of the figures that a training step reports.
fn figure_nodes<T: Scalar>(network: &Network<T>) -> Vec<Node> {
    let figures = network.endpoints().into_iter().flat_map(|ends| &ends.train_figures);
    figures
        .flat_map(|(_, figure)| match *figure {
            FigureNodes::Mean(mean) => vec![mean],
            FigureNodes::Ratio(ratio) => [ratio.sum].into_iter().chain(ratio.count).collect(),
        })
        .collect()
}

/// What a training step fetches.
fn fetches<T: Scalar>(network: &Network<T>) -> Vec<Node> {
    let train = network.endpoints().map(|ends| ends.train);
    figure_nodes(network).into_iter().chain(train).collect()
}

/// The nodes that a stage shows: what outputs and figures are computed from, or all.
fn nodes<T: Scalar>(network: &Network<T>, stage: GraphStage) -> Vec<Node> {
    let graph = network.session().graph();
    if stage != GraphStage::Built {
        return graph.handles().collect();
    }
    let mut shown = BTreeSet::new();
    let mut open: Vec<Node> = network.outputs().to_vec();
    open.extend(figure_nodes(network));
    while let Some(node) = open.pop() {
        if shown.insert(node) {
            open.extend(&graph.node(node).inputs);
        }
    }
    shown.into_iter().collect()
}

/// Figures of a program in one line.
fn figures(explained: &Explained, stage: GraphStage) -> String {
    let computed: usize = explained.steps.iter().map(|step| step.nodes.len()).sum();
    let kernels = format!("{} kernels for {} operations", explained.steps.len(), grouped(computed));
    let sharded = explained.stages.iter().find(|s| s.shards > 0);
    match sharded {
        Some(s) if stage == GraphStage::Partition => format!(
            "{} rows in {} of {}, {}; {kernels}",
            grouped(explained.rows),
            program::counted(s.shards, "shard"),
            grouped(explained.shard_rows),
            program::counted(s.lanes, "lane")
        ),
        _ => kernels,
    }
}

fn write_events(
    network: &Network<f32>,
    stage: GraphStage,
    dir: &Path,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut events = EventWriter::create(dir)?;
    let count = events.graph_of(network.session().graph(), &nodes(network, stage))?;
    events.flush()?;
    screen.print(format!("{count} nodes in {}", events.path().display()));
    Ok(())
}
