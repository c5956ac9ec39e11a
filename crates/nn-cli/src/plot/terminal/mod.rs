//! Pictures in a terminal: as pixels where it has a way to show them, as characters elsewhere.

mod blocks;
mod curves;
mod heat;
mod iterm;
mod kitty;
mod sixel;

pub(crate) use blocks::{Depth, side_by_side};
pub(crate) use curves::curves;
pub(crate) use heat::heat;

use crate::args::Graphics;
use crate::draw::{Bitmap, Scene, Theme, render};

/// Columns of a picture at most: wider ones are no better to look at.
const MOST_COLUMNS: usize = 120;
/// Pixels per unit of a picture where the terminal fits it into its columns: sharp on screens of two pixels per point.
const SHARP: f64 = 2.0;
/// Sixel has no way to ask for columns, only pixels. Terminals' characters are 8 pixels wide or wider; a picture that is
/// as wide as that fits.
const CHARACTER_WIDTH: f64 = 8.0;

/// The escape sequences that show the picture, in a terminal of so many columns; `None` for ways of drawing that have
/// no pixels.
///
/// # Errors
/// If the picture can't be drawn.
pub(crate) fn pixels(
    scene: &Scene,
    theme: Theme,
    graphics: Graphics,
    columns: usize,
) -> Result<Option<String>, String> {
    let columns = columns.clamp(1, MOST_COLUMNS);
    let fitted = || (columns as f64 * CHARACTER_WIDTH / scene.width).min(1.0);
    let shown = |scale: f64, show: &dyn Fn(&Bitmap) -> Result<String, String>| {
        show(&render(scene, theme, scale)?).map(Some)
    };
    match graphics {
        Graphics::Kitty => shown(SHARP, &|b| Ok(kitty::sequence(&b.png()?, columns))),
        Graphics::Iterm => shown(SHARP, &|b| Ok(iterm::sequence(&b.png()?, columns))),
        Graphics::Sixel => shown(fitted(), &|b| Ok(sixel::sequence(b))),
        Graphics::Blocks | Graphics::Ascii => Ok(None),
    }
}

/// What the terminal says it can, by the environment's variables.
pub(crate) fn detect(variable: impl Fn(&str) -> String, unicode: bool) -> Graphics {
    let is = |name: &str, values: &[&str]| values.contains(&variable(name).as_str());
    let has = |name: &str| !variable(name).is_empty();
    let characters = if unicode { Graphics::Blocks } else { Graphics::Ascii };
    // What runs inside of these is shown by them, whatever the terminal around them can.
    if has("TMUX") || has("STY") || variable("TERM") == "dumb" {
        return characters;
    }
    let term = variable("TERM");
    if has("KITTY_WINDOW_ID")
        || is("TERM", &["xterm-kitty", "xterm-ghostty"])
        || is("TERM_PROGRAM", &["ghostty"])
    {
        Graphics::Kitty
    } else if is("TERM_PROGRAM", &["iTerm.app", "WezTerm", "mintty"]) || is("LC_TERMINAL", &["iTerm2"]) {
        Graphics::Iterm
    } else if term.contains("sixel")
        || ["foot", "mlterm", "yaft", "contour"].iter().any(|name| term.starts_with(name))
    {
        Graphics::Sixel
    } else {
        characters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(variables: &[(&str, &str)], unicode: bool) -> Graphics {
        detect(
            |name| variables.iter().find(|v| v.0 == name).map_or(String::new(), |v| v.1.to_owned()),
            unicode,
        )
    }

    #[test]
    fn a_terminal_that_says_what_it_can_is_believed_unless_another_program_is_in_between() {
        for (variables, expected) in [
            (&[("TERM", "xterm-kitty")][..], Graphics::Kitty),
            (&[("TERM", "xterm-256color"), ("KITTY_WINDOW_ID", "1")], Graphics::Kitty),
            (&[("TERM_PROGRAM", "ghostty")], Graphics::Kitty),
            (&[("TERM_PROGRAM", "iTerm.app")], Graphics::Iterm),
            (&[("TERM", "xterm-256color"), ("LC_TERMINAL", "iTerm2")], Graphics::Iterm),
            (&[("TERM", "foot-extra")], Graphics::Sixel),
            (&[("TERM", "xterm-sixel")], Graphics::Sixel),
            (&[("TERM", "xterm-256color")], Graphics::Blocks),
            (&[("TERM", "xterm-kitty"), ("TMUX", "/tmp/tmux")], Graphics::Blocks),
            (&[("TERM", "dumb"), ("TERM_PROGRAM", "iTerm.app")], Graphics::Blocks),
            (&[], Graphics::Blocks),
        ] {
            assert_eq!(detected(variables, true), expected, "{variables:?}");
        }
        assert_eq!(detected(&[], false), Graphics::Ascii);
    }

    #[test]
    fn pixels_are_drawn_as_wide_as_the_terminal_and_characters_are_not_pixels() -> Result<(), String> {
        let scene = Scene::new(1000.0, 10.0, "wide");
        let sixel = pixels(&scene, Theme::Light, Graphics::Sixel, 50)?.unwrap_or_default();
        assert!(sixel.contains("\"1;1;400;4"), "{sixel}");
        assert_eq!(pixels(&scene, Theme::Light, Graphics::Blocks, 50)?, None);
        Ok(())
    }
}
