//! A dataflow graph in TensorFlow's vocabulary, which is what TensorBoard's graph page draws.

use nn_core::graph::{DType, Dim, Graph, Node, Op, Shape};
use nn_core::ops::{Activation, Binary, Trans, Unary};

use super::proto::{
    self, Attr, AttrValue, DataType, GraphDef, ListValue, NodeDef, TensorShapeProto, VersionDef,
};

/// The version of the graph format that is written: the first in which everything used here reads as it does today.
const PRODUCER: i32 = 21;

/// The given nodes: one `NodeDef` for each, under the node's name.
pub(super) fn graph_def(graph: &Graph, nodes: impl Iterator<Item = Node>) -> GraphDef {
    let node = nodes.map(|node| node_def(graph, node)).collect();
    GraphDef { node, versions: Some(VersionDef { producer: PRODUCER }) }
}

fn node_def(graph: &Graph, node: Node) -> NodeDef {
    let data = graph.node(node);
    let mut input: Vec<String> = data.inputs.iter().map(|&i| graph.node(i).name.clone()).collect();
    match data.op {
        // What a group stands for is only waited for.
        Op::Group => input.iter_mut().for_each(|name| name.insert(0, '^')),
        Op::Assign(id) => input.insert(0, graph.var(id).name.clone()),
        // TensorFlow's gradients of tanh and sigmoid take the activation's output first.
        Op::Binary(Binary::Slope(Activation::Tanh | Activation::Sigmoid), ..) => input.reverse(),
        _ => {}
    }
    let shape = shape_proto(&graph.shape(node));
    let dtype = Attr::Type(data_type(data.dtype).into());
    let mut attr = vec![
        ("_output_shapes", Attr::List(ListValue { shape: vec![shape.clone()] })),
        ("_built_at", Attr::Text(format!("{}:{}", data.built_at.file(), data.built_at.line()).into_bytes())),
    ];
    match data.op {
        Op::Placeholder | Op::Variable(_) => attr.extend([("dtype", dtype), ("shape", Attr::Shape(shape))]),
        Op::Constant(_) => attr.push(("dtype", dtype)),
        Op::Cast(_) => {
            let from = data.inputs.first().map_or(DType::Float, |&x| graph.dtype(x));
            attr.extend([("SrcT", Attr::Type(data_type(from).into())), ("DstT", dtype)]);
        }
        Op::Group => {}
        Op::MatMul(a, b) => attr.extend([
            ("T", dtype),
            ("transpose_a", Attr::Bool(a == Trans::Yes)),
            ("transpose_b", Attr::Bool(b == Trans::Yes)),
        ]),
        Op::OneHot(depth) => {
            attr.extend([("T", dtype), ("depth", Attr::Int(i64::try_from(depth).unwrap_or(i64::MAX)))])
        }
        _ => attr.push(("T", dtype)),
    }
    let attr = attr.into_iter().map(|(name, value)| (name.to_owned(), AttrValue { value: Some(value) }));
    NodeDef { name: data.name.clone(), op: op_type(graph, node), input, attr: attr.collect() }
}

/// TensorFlow's name for an operation; our own in its spelling where it has none.
fn op_type(graph: &Graph, node: Node) -> String {
    let data = graph.node(node);
    let labels_are_classes = || data.inputs.get(1).is_some_and(|&l| graph.dtype(l) == DType::Int);
    let name = match &data.op {
        Op::Variable(_) => "VariableV2",
        Op::Constant(_) => "Const",
        Op::Binary(Binary::Add, ..) => "AddV2",
        Op::Binary(Binary::Div, ..) => "RealDiv",
        Op::Unary(Unary::Activation(Activation::Linear)) => "Identity",
        Op::MatMul(..) => "MatMul",
        Op::Broadcast(_) => "BroadcastTo",
        Op::CrossEntropy if labels_are_classes() => "SparseSoftmaxCrossEntropyWithLogits",
        Op::CrossEntropy => "SoftmaxCrossEntropyWithLogits",
        Op::ArgMax => "ArgMax",
        Op::Concatenate => "ConcatV2",
        Op::SliceColumns { .. } | Op::SliceRows { .. } => "Slice",
        Op::PadColumns { .. } | Op::PadRows { .. } => "Pad",
        Op::Select(..) => "SelectV2",
        Op::ReduceMax => "Max",
        Op::Uniform { .. } => "RandomUniform",
        Op::Group => "NoOp",
        // Placeholder, Tanh, ReluGrad, Softmax, OneHot, …: the same words.
        op => return camel_case(op.name()),
    };
    name.to_owned()
}

/// `relu_grad` → `ReluGrad`
fn camel_case(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    name.split('_').map(capital).collect()
}

fn data_type(dtype: DType) -> DataType {
    match dtype {
        DType::Float => DataType::Float,
        DType::Int => DataType::Int32,
        DType::Bool => DataType::Bool,
    }
}

fn shape_proto(shape: &Shape) -> TensorShapeProto {
    let size = |dim: &Dim| match *dim {
        Dim::Fixed(n) => i64::try_from(n).unwrap_or(i64::MAX),
        Dim::Symbol(_) => -1,
    };
    TensorShapeProto { dim: shape.dims().iter().map(|dim| proto::Dim { size: size(dim) }).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nn_core::init::Initializer;
    use nn_core::layers::Dense;
    use nn_core::optim::Optimizer;

    fn classifier() -> nn_core::Result<Graph> {
        let mut g = Graph::new();
        let x = g.placeholder("x", &[None, Some(4)])?;
        let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
        let hidden = Dense::new(3).activation(Activation::Tanh).build(&mut g, x)?;
        let logits = Dense::new(2).build(&mut g, hidden.output)?.output;
        let losses = g.softmax_cross_entropy(logits, labels)?;
        let loss = g.reduce_mean(losses)?;
        Optimizer::sgd(0.1).minimize(&mut g, loss)?;
        Ok(g)
    }

    #[test]
    fn every_node_is_there_and_every_input_names_one() -> nn_core::Result<()> {
        let g = classifier()?;
        let def = graph_def(&g, g.handles());
        assert_eq!(def.node.len(), g.nodes().len());
        for (node, data) in def.node.iter().zip(g.nodes()) {
            assert_eq!(node.name, data.name);
            for input in &node.input {
                let name = input.trim_start_matches('^');
                assert!(def.node.iter().any(|n| n.name == name), "{}: no node {name}", node.name);
            }
        }
        Ok(())
    }

    #[test]
    fn operations_have_tensorflows_names_and_shapes() -> nn_core::Result<()> {
        let g = classifier()?;
        let def = graph_def(&g, g.handles());
        let has = |op: &str| def.node.iter().any(|n| n.op == op);
        for op in [
            "Placeholder",
            "VariableV2",
            "Const",
            "MatMul",
            "AddV2",
            "Tanh",
            "TanhGrad",
            "SparseSoftmaxCrossEntropyWithLogits",
            "Assign",
            "NoOp",
        ] {
            assert!(has(op), "no {op}");
        }
        let x = def.node.iter().find(|n| n.name == "x").map(|n| n.attr["_output_shapes"].clone());
        let shape = TensorShapeProto { dim: vec![proto::Dim { size: -1 }, proto::Dim { size: 4 }] };
        assert_eq!(x, Some(AttrValue { value: Some(Attr::List(ListValue { shape: vec![shape] })) }));
        Ok(())
    }

    #[test]
    fn an_assignment_names_its_variable_first() -> nn_core::Result<()> {
        let mut g = Graph::new();
        let w = g.variable("w", &[2], Initializer::Zeros)?;
        let doubled = g.add(w, w)?;
        g.assign(w, doubled)?;
        let def = graph_def(&g, g.handles());
        assert_eq!(def.node[2].input, ["w", "add"]);
        Ok(())
    }
}
