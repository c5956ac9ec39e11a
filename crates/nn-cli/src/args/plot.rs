//! The options of `nn plot`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct PlotArgs {
    /// Folders that nn train left, or files of its --json; several histories go into one picture
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// What to draw
    #[arg(long, value_enum, default_value_t = What::History)]
    pub(crate) what: What,
    /// Write the picture to FILE, as SVG or PNG by its ending
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    pub(crate) out: Option<PathBuf>,
    /// Draw in the terminal, which is what happens without --out, beside writing FILE
    #[arg(long)]
    pub(crate) terminal: bool,
    /// How to draw in the terminal [default: the best that the terminal says it can]
    #[arg(long, value_enum)]
    pub(crate) graphics: Option<Graphics>,
    /// Draw PNG and terminal pictures on light or on dark ground; SVG files know both
    #[arg(long, value_enum, default_value_t = Ground::Light)]
    pub(crate) theme: Ground,
    /// How many digits, mistakes or hidden units to draw at most [default: 25 digits or mistakes, 100 units]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<NonZeroUsize>,
}

/// What `nn plot` draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Accuracy and loss over the epochs
    History,
    /// Which class was taken for which
    Confusion,
    /// The first test images and what they were taken for
    Digits,
    /// The test images that the network was most wrong about
    Mistakes,
    /// The first layer's weights as images
    Weights,
}

impl What {
    /// The word of `--what`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Confusion => "confusion",
            Self::Digits => "digits",
            Self::Mistakes => "mistakes",
            Self::Weights => "weights",
        }
    }
}

/// How a terminal is drawn in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Graphics {
    /// Pixels, by the Kitty graphics protocol
    Kitty,
    /// Pixels, as iTerm2's inline images
    Iterm,
    /// Pixels, as DEC's Sixel
    Sixel,
    /// Block and braille characters
    Blocks,
    /// ASCII characters
    Ascii,
}

/// What a picture stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ground {
    /// Dark on light
    Light,
    /// Light on dark
    Dark,
}
