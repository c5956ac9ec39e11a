//! A part as it is told: printed at once, and kept for the page.

use nn_cli::lesson::Page;
use nn_train::History;
use nn_train::metrics::{ClassificationReport, ConfusionMatrix};

use super::{percent, points};
use crate::render::{Gray, Table};
use crate::screen::Screen;

/// A piece of what a part tells.
pub(super) enum Block {
    /// The beginning of a step.
    Step { title: String, text: String },
    /// Lines of output.
    Text(String),
    /// A digit's pixels.
    Digit { pixels: Vec<u8>, caption: String },
    /// The figures of each epoch.
    History { title: String, history: History },
    /// Which class was taken for which.
    Confusion(ConfusionMatrix),
    /// An accuracy beside the exercise's.
    Compare { what: String, ours: f64, theirs: f64 },
}

/// The edge of a digit, in pixels.
const DIGIT: usize = 28;

/// Epochs that a printed table shows; more are thinned out.
const SHOWN_EPOCHS: usize = 12;

/// Prints what is told, and keeps it.
pub(super) struct Told<'s> {
    screen: &'s mut Screen,
    blocks: Vec<Block>,
}

impl<'s> Told<'s> {
    pub(super) fn new(screen: &'s mut Screen) -> Self {
        Self { screen, blocks: Vec::new() }
    }

    pub(super) fn into_blocks(self) -> Vec<Block> {
        self.blocks
    }
}

impl Page for Told<'_> {
    fn cell(&mut self, title: &str, text: &str) {
        self.screen.print(format!("\n{}\n{text}", self.screen.style.bold(title)));
        self.blocks.push(Block::Step { title: title.to_owned(), text: text.to_owned() });
    }

    fn say(&mut self, text: &str) {
        self.screen.print(text.lines().map(|line| format!("    {line}\n")).collect::<String>());
        match self.blocks.last_mut() {
            Some(Block::Text(said)) => {
                said.push('\n');
                said.push_str(text.trim_end());
            }
            _ => self.blocks.push(Block::Text(text.trim_end().to_owned())),
        }
    }

    fn digit(&mut self, pixels: &[u8], caption: &str) {
        let picture = Gray::new(pixels, DIGIT, DIGIT).picture(self.screen.style).join("\n");
        self.screen.print(format!("{picture}\n    {caption}"));
        self.blocks.push(Block::Digit { pixels: pixels.to_vec(), caption: caption.to_owned() });
    }

    fn history(&mut self, title: &str, history: &History) {
        self.screen.print(epochs(history).lines().map(|line| format!("    {line}\n")).collect::<String>());
        self.blocks.push(Block::History { title: title.to_owned(), history: history.clone() });
    }

    fn confusion(&mut self, matrix: &ConfusionMatrix) {
        self.screen.print(format!("{matrix}\n{}", ClassificationReport::new(matrix)));
        self.blocks.push(Block::Confusion(matrix.clone()));
    }

    fn compare(&mut self, what: &str, ours: f64, theirs: f64) {
        self.screen.print(format!(
            "    {what}: {} (the exercise: {}, {} points)",
            percent(ours),
            percent(theirs),
            points(ours - theirs)
        ));
        self.blocks.push(Block::Compare { what: what.to_owned(), ours, theirs });
    }
}

/// A line for each epoch, or for some of them where there are many, the last always.
pub(super) fn epochs(history: &History) -> String {
    let mut table = Table::default();
    table.row([String::from("epoch")].into_iter().chain(history.iter().map(|(name, _)| name.to_owned())));
    let every = history.epochs().div_ceil(SHOWN_EPOCHS).max(1);
    for epoch in (1..=history.epochs()).filter(|epoch| epoch % every == 0 || *epoch == history.epochs()) {
        let values =
            history.iter().map(|(_, values)| values.get(epoch - 1).map_or("".into(), |v| format!("{v:.4}")));
        table.row([epoch.to_string()].into_iter().chain(values));
    }
    table.text()
}
