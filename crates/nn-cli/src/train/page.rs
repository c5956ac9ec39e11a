//! What `report.html` shows of a run.

use std::path::Path;

use nn_core::Scalar;
use nn_core::models::Network;
use serde_json::Value;

use super::record::Record;
use crate::draw::{Bitmap, Item, MOST_UNITS, UnitPictures};
use crate::failure::Failure;
use crate::graph::as_built;
use crate::mistakes::Mistake;
use crate::render::grouped;
use crate::report::{Fact, Report, page};

/// How many mistakes are shown: five rows of eight on a wide screen.
const SHOWN: usize = 40;

/// The page of a run that is over. `config`: its `config.toml`. `introduction`: names and values that say what was
/// trained on what.
pub(crate) fn report<T: Scalar>(
    title: &str,
    config: &Path,
    introduction: &[Fact],
    record: &Record<'_>,
    data: &mnist_data::Dataset,
    mistakes: &[Mistake],
    network: &Network<T>,
) -> Result<String, Failure> {
    let (_, rows, columns) = data.train.images.shape();
    let picture = |m: &Mistake| {
        let bitmap = Bitmap::grey(columns, rows, data.test.images.get(m.index)?);
        Some(Item { bitmap, caption: m.caption(&data.classes) })
    };
    let seconds = &record.seconds;
    let time = |name: &str, value: f64| (name.to_owned(), format!("{value:.2} s"));
    let rate = grouped(record.images_per_second.round() as usize);
    Ok(page(&Report {
        title,
        facts: introduction.to_vec(),
        history: record.history,
        matrix: record.confusion_matrix,
        scores: record.classification_report,
        classes: &data.classes,
        mistakes: mistakes.iter().take(SHOWN).filter_map(picture).collect(),
        mistakes_in_all: mistakes.len(),
        weights: units(network, (rows, columns)),
        graph: Some(as_built(network)?),
        environment: record.environment.facts(),
        seconds: vec![
            time("until the first update", seconds.until_first_step.unwrap_or(seconds.load)),
            time("training", seconds.training),
            time("measuring after each epoch", seconds.evaluation),
            time("in all", seconds.total),
            ("images trained on per second".to_owned(), rate),
        ],
        options: flat(&record.config),
        command: Some(format!("nn train --config {}", quoted(&config.display().to_string()))),
    }))
}

/// The weights of the first layer, if it is a dense one over the images' pixels.
fn units<T: Scalar>(network: &Network<T>, shape: (usize, usize)) -> Option<UnitPictures> {
    let first = network.weights().into_iter().find(|t| t.dims.len() == 2)?;
    let values = first.values.iter().map(|v| v.wide()).collect();
    let kernel = nn_core::models::NamedTensor { name: first.name, dims: first.dims, values };
    UnitPictures::new(&kernel, shape, MOST_UNITS).ok()
}

/// The options as text, nested ones flat; those that were not given are left out.
pub(super) fn flat(config: &Value) -> Vec<Fact> {
    fn walk(prefix: &str, value: &Value, out: &mut Vec<Fact>) {
        match value {
            Value::Null => {}
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| walk(&format!("{prefix}{key} "), value, out))
            }
            Value::Array(values) => {
                let all: Vec<String> = values.iter().map(text).collect();
                out.push((prefix.trim_end().replace('_', " "), all.join(", ")));
            }
            value => out.push((prefix.trim_end().replace('_', " "), text(value))),
        }
    }
    fn text(value: &Value) -> String {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }
    let mut out = Vec::new();
    walk("", config, &mut out);
    out
}

/// A word as a shell reads it: in single quotes unless it is made of characters that mean nothing else.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:+,@%=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_would_take_them_apart() {
        assert_eq!(quoted("runs/20260102-030405-512/config.toml"), "runs/20260102-030405-512/config.toml");
        assert_eq!(quoted("my runs/it's"), r"'my runs/it'\''s'");
    }

    #[test]
    fn options_are_names_and_values_without_braces() {
        let config = serde_json::json!({"hidden": [8, 5], "optimizer": {"name": "sgd", "learning_rate": 0.5}, "blas": null});
        let expected = [("hidden", "8, 5"), ("optimizer learning rate", "0.5"), ("optimizer name", "sgd")];
        assert_eq!(flat(&config), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
