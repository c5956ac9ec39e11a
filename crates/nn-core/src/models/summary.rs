//! The table that Keras prints of a model.

use super::layout::Value;
use super::model::Model;
use super::order::Row;

/// Bytes of a number, as Keras counts them for its sizes: those of f32.
const BYTES_PER_PARAMETER: usize = 4;

impl Model {
    /// The layers with their outputs' shapes and numbers of parameters, as Keras prints them; for a functional model that is no
    /// plain chain also what each is connected to.
    ///
    /// ```
    /// use nn_core::layers::Dense;
    /// use nn_core::models::Sequential;
    /// let table = Sequential::new(784).add(Dense::new(512)).add(Dense::new(10)).summary()?;
    /// assert!(table.contains("│ dense (Dense)   │ (None, 512)  │ 401,920 │"), "{table}");
    /// assert!(table.contains(" Total params: 407,050 (1.55 MB)"), "{table}");
    /// # Ok::<(), nn_core::Error>(())
    /// ```
    pub fn summary(&self) -> String {
        let connected = !self.is_sequential() && !self.layout.order.is_chain;
        let mut header = vec!["Layer (type)", "Output Shape", "Param #"];
        if connected {
            header.push("Connected to");
        }
        let shown = self.layout.order.rows.iter().filter(|row| match row {
            Row::Input(_) => !self.is_sequential(),
            Row::Layer(_) => true,
        });
        let rows: Vec<Vec<String>> = shown
            .map(|row| {
                let mut cells = self.cells(*row);
                cells.truncate(header.len());
                cells
            })
            .collect();

        let (learnt, fixed) =
            self.layout.layers.iter().fold((0, 0), |(learnt, fixed), layer| {
                (learnt + layer.parameters.0, fixed + layer.parameters.1)
            });
        let totals = [("Total", learnt + fixed), ("Trainable", learnt), ("Non-trainable", fixed)];
        let totals = totals.map(|(name, n)| format!(" {name} params: {} ({})\n", grouped(n), size(n)));
        format!("Model: \"{}\"\n{}{}", self.title(), table(&header, &rows), totals.concat())
    }

    /// Name and kind, the last output's shape, parameters, and what it reads.
    fn cells(&self, row: Row) -> Vec<String> {
        let number = match row {
            Row::Input(i) => {
                let input = &self.inputs[i];
                return vec![
                    format!("{} (InputLayer)", input.name),
                    shape(&input.dims),
                    "0".into(),
                    "-".into(),
                ];
            }
            Row::Layer(number) => number,
        };
        let placed = &self.layout.layers[number];
        let calls = || self.layout.calls.iter().filter(|call| call.layer == number);
        let shapes: Vec<String> =
            calls().next_back().map_or(vec![], |call| call.dims.iter().map(|dims| shape(dims)).collect());
        let origins = calls().flat_map(|call| call.inputs.iter().map(|&value| self.origin(value)));
        vec![
            format!("{} ({})", placed.name, placed.layer.layer().class_name()),
            if shapes.len() == 1 { shapes.concat() } else { format!("[{}]", shapes.join(", ")) },
            grouped(placed.parameters.0 + placed.parameters.1),
            origins.collect::<Vec<_>>().join(", "),
        ]
    }

    /// `dense[0][0]`: the layer, which of its calls, which of its outputs.
    fn origin(&self, value: Value) -> String {
        match value {
            Value::Input(i) => format!("{}[0][0]", self.inputs[i].name),
            Value::Output { call, index } => {
                let calls = &self.layout.calls;
                let layer = calls[call].layer;
                let before = calls[..call].iter().filter(|other| other.layer == layer).count();
                let name = &self.layout.layers[layer].name;
                format!("{name}[{before}][{index}]")
            }
        }
    }
}

/// `(None, 28, 28)`
fn shape(dims: &[usize]) -> String {
    let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
    if dims.is_empty() { "(None,)".into() } else { format!("(None, {})", dims.join(", ")) }
}

/// `401,920`
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The size of so many f32.
fn size(parameters: usize) -> String {
    let mut amount = (parameters * BYTES_PER_PARAMETER) as f64;
    for unit in ["B", "KB", "MB"] {
        if amount < 1024.0 {
            return format!("{amount:.2} {unit}");
        }
        amount /= 1024.0;
    }
    format!("{amount:.2} GB")
}

fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width_of = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..header.len()).map(width_of).collect();
    let rule = |left: &str, dash: &str, middle: &str, right: &str| {
        let dashes: Vec<String> = widths.iter().map(|width| dash.repeat(width + 2)).collect();
        format!("{left}{}{right}\n", dashes.join(middle))
    };
    let line = |bar: &str, cells: &[String]| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            // Numbers of parameters stand to the right.
            if column == 2 { format!(" {cell:>width$} ") } else { format!(" {cell:<width$} ") }
        });
        format!("{bar}{}{bar}\n", padded.collect::<Vec<_>>().join(bar))
    };
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    let body: Vec<String> = rows.iter().map(|row| line("│", row)).collect();
    rule("┏", "━", "┳", "┓")
        + &line("┃", &header)
        + &rule("┡", "━", "╇", "┩")
        + &body.join(&rule("├", "─", "┼", "┤"))
        + &rule("└", "─", "┴", "┘")
}
