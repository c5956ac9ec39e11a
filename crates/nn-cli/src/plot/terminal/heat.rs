//! A confusion matrix as characters: its counts, on the colours of the heat map where there are any.

use nn_train::metrics::ConfusionMatrix;

use super::Depth;
use crate::draw::{Theme, shades};
use crate::screen::Style;

/// The matrix with its names, a line per true class.
pub(crate) fn heat(
    matrix: &ConfusionMatrix,
    classes: &[String],
    theme: Theme,
    style: Style,
    depth: Depth,
) -> String {
    if depth == Depth::None {
        return format!("{}\n{matrix}", style.bold("Confusion matrix"));
    }
    let name = |c: usize| classes.get(c).cloned().unwrap_or_else(|| c.to_string());
    let length = |text: &str| text.chars().count();
    let margin = (0..matrix.classes()).map(|c| length(&name(c))).max().unwrap_or(0).max(4);
    let cells = || (0..matrix.classes()).flat_map(|t| matrix.row(t).iter().map(|n| n.to_string().len()));
    let width = cells().max().unwrap_or(1).max(3) + 1;
    // Names that are wider than a column are their beginnings there; the rows have them whole.
    let short = |c: usize| name(c).chars().take(width - 1).collect::<String>();
    let mut text = style.bold("Confusion matrix") + "\n";
    text += &format!("{:margin$}  predicted\n{:>margin$} ", "", "true");
    for class in 0..matrix.classes() {
        text += &format!("{:>width$} ", short(class));
    }
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
    for truth in 0..matrix.classes() {
        text += &format!("{:>margin$} ", name(truth));
        for (predicted, count) in matrix.row(truth).iter().enumerate() {
            let (ground, ink) = shades(matrix, truth, predicted);
            let colours =
                [depth.parameters(ink.colour(theme), false), depth.parameters(ground.colour(theme), true)];
            text += &format!("\x1b[{}m{count:>width$} \x1b[0m", colours.join(";"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_on_the_heat_maps_colours() -> Result<(), nn_train::Error> {
        let matrix = ConfusionMatrix::from_labels(&[0, 0, 1], &[0, 1, 1], 2)?;
        let style = Style { terminal: false, colour: true, unicode: true, width: 80 };
        let names = ["T-shirt".to_owned(), "Bag".to_owned()];
        let text = heat(&matrix, &names, Theme::Dark, style, Depth::True);
        let (ground, _) = shades(&matrix, 0, 0);
        let colour = Depth::True.parameters(ground.colour(Theme::Dark), true);
        assert!(text.contains(&format!(";{colour}m   1 \x1b[0m")), "{text:?}");
        assert!(text.lines().any(|line| line == "   true  T-s  Bag"), "{text}");
        let plain = heat(
            &matrix,
            &names,
            Theme::Dark,
            Style { terminal: false, colour: false, ..style },
            Depth::None,
        );
        assert!(!plain.contains('\x1b') && plain.contains("predicted"), "{plain}");
        Ok(())
    }
}
