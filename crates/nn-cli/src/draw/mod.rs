//! Pictures: training curves, confusion matrices, images and weights, and what work costs as it grows.
//!
//! A picture is a [`Scene`], a list of shapes whose colours are roles ([`Paint`]) rather than numbers. It becomes SVG
//! ([`mod@svg`]), where a style sheet turns roles into the colours of a light or a dark page, or pixels ([`raster`]), where
//! text is drawn with a font that is inside the program. Nothing here reads or writes a file.

mod area;
mod axis;
mod bitmap;
mod confusion;
mod curves;
mod font;
mod gallery;
mod growth;
mod paint;
mod raster;
mod scene;
mod svg;
mod weights;

pub(crate) use axis::Axis;
pub(crate) use bitmap::Bitmap;
pub(crate) use confusion::{confusion, shades};
pub(crate) use curves::{Curve, Figure, Line, MOST_RUNS, history, lines, panel};
pub(crate) use gallery::{Item, gallery};
pub(crate) use growth::{Growth, growth};
pub(crate) use paint::{Paint, Rgb, Theme, css_rules};
pub(crate) use raster::render;
pub(crate) use scene::Scene;
pub(crate) use svg::{Use, escaped, svg};
pub(crate) use weights::{MOST_UNITS, UnitPictures};
