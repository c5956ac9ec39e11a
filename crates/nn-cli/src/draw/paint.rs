//! Colours by role, for light and for dark ground.

use std::fmt::Write as _;

/// What a picture stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// A colour's red, green and blue, as sRGB bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rgb(pub(crate) u8, pub(crate) u8, pub(crate) u8);

impl Rgb {
    /// `t` = 0: this colour; 1: the other; in between on the straight line through sRGB.
    pub(crate) fn towards(self, other: Self, t: f64) -> Self {
        let mix =
            |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * t.clamp(0.0, 1.0)).round() as u8;
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// As CSS and SVG write it: `#rrggbb`.
    pub(crate) fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// WCAG 2's relative luminance, 0 black to 1 white.
    fn luminance(self) -> f64 {
        let linear = |v: u8| {
            let v = f64::from(v) / 255.0;
            if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// WCAG 2's contrast ratio, 1 to 21.
    pub(crate) fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance() + 0.05, other.luminance() + 0.05);
        a.max(b) / a.min(b)
    }
}

/// The steps between no and full shade of a heat map: enough to tell 1 % from 3 %, few enough to tell them apart.
pub(crate) const SHADES: u8 = 8;

/// How many lines can be told apart by their colours.
pub(crate) const SERIES: usize = 8;

/// What something is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// The ground.
    Surface,
    /// Text, axes.
    Ink,
    /// Text of less weight.
    Muted,
    /// Lines that guide the eye.
    Grid,
    /// A line of its own, by number below [`SERIES`].
    Series(usize),
    /// A heat map's cell of what is right, in a shade of 0 to [`SHADES`].
    Hit(u8),
    /// A heat map's cell of what is wrong, likewise.
    Miss(u8),
    /// Text on [`Hit`](Self::Hit).
    OnHit(u8),
    /// Text on [`Miss`](Self::Miss).
    OnMiss(u8),
}

const WHITE: Rgb = Rgb(0xff, 0xff, 0xff);
const BLACK: Rgb = Rgb(0, 0, 0);

/// Light and dark. Each is at least 3 : 1 against its ground, WCAG's contrast for graphics; a test says so.
const SERIES_COLOURS: [(Rgb, Rgb); SERIES] = [
    (Rgb(0x0b, 0x62, 0xc4), Rgb(0x6c, 0xb0, 0xff)),
    (Rgb(0xc2, 0x51, 0x0c), Rgb(0xff, 0x9d, 0x57)),
    (Rgb(0x12, 0x80, 0x3c), Rgb(0x4f, 0xd0, 0x7a)),
    (Rgb(0x7c, 0x43, 0xd6), Rgb(0xbf, 0x94, 0xff)),
    (Rgb(0xb8, 0x25, 0x6f), Rgb(0xff, 0x86, 0xbe)),
    (Rgb(0x0a, 0x7c, 0x86), Rgb(0x3f, 0xcb, 0xd6)),
    (Rgb(0x7a, 0x5a, 0x14), Rgb(0xd9, 0xb4, 0x4a)),
    (Rgb(0x57, 0x60, 0x6a), Rgb(0xa9, 0xb4, 0xc0)),
];

impl Paint {
    /// Every paint there is.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let shades = |paint: fn(u8) -> Self| (0..=SHADES).map(paint);
        [Self::Surface, Self::Ink, Self::Muted, Self::Grid]
            .into_iter()
            .chain((0..SERIES).map(Self::Series))
            .chain(shades(Self::Hit))
            .chain(shades(Self::Miss))
            .chain(shades(Self::OnHit))
            .chain(shades(Self::OnMiss))
    }

    /// The colour on a light or a dark ground.
    pub(crate) fn colour(self, theme: Theme) -> Rgb {
        let pick = |light, dark| if theme == Theme::Light { light } else { dark };
        match self {
            Self::Surface => pick(WHITE, Rgb(0x14, 0x18, 0x1f)),
            Self::Ink => pick(Rgb(0x1b, 0x1f, 0x24), Rgb(0xe8, 0xec, 0xf1)),
            Self::Muted => pick(Rgb(0x57, 0x60, 0x6a), Rgb(0xa3, 0xad, 0xb9)),
            Self::Grid => pick(Rgb(0xdd, 0xe1, 0xe6), Rgb(0x33, 0x3b, 0x46)),
            Self::Series(n) => {
                let (light, dark) = SERIES_COLOURS[n % SERIES];
                pick(light, dark)
            }
            Self::Hit(n) => shade(theme, n, pick(Rgb(0x0b, 0x4f, 0x9e), Rgb(0x9c, 0xc9, 0xff))),
            Self::Miss(n) => shade(theme, n, pick(Rgb(0xa3, 0x32, 0x0b), Rgb(0xff, 0xb4, 0x8a))),
            Self::OnHit(n) => readable_on(Self::Hit(n).colour(theme)),
            Self::OnMiss(n) => readable_on(Self::Miss(n).colour(theme)),
        }
    }

    /// The class that says the paint in SVG and HTML, without what it is used for (`-f` fill, `-s` stroke).
    pub(crate) fn class(self) -> String {
        match self {
            Self::Surface => "nn-surface".into(),
            Self::Ink => "nn-ink".into(),
            Self::Muted => "nn-muted".into(),
            Self::Grid => "nn-grid".into(),
            Self::Series(n) => format!("nn-s{}", n % SERIES),
            Self::Hit(n) => format!("nn-h{n}"),
            Self::Miss(n) => format!("nn-m{n}"),
            Self::OnHit(n) => format!("nn-oh{n}"),
            Self::OnMiss(n) => format!("nn-om{n}"),
        }
    }
}

fn shade(theme: Theme, n: u8, full: Rgb) -> Rgb {
    Paint::Surface.colour(theme).towards(full, f64::from(n) / f64::from(SHADES))
}

/// Black or white, whichever stands out more: one of them always has 4.58 : 1, for √(1.05 · 0.05) is where they are equal.
fn readable_on(ground: Rgb) -> Rgb {
    if ground.contrast(BLACK) >= ground.contrast(WHITE) { BLACK } else { WHITE }
}

/// The style rules that give every paint its colour on this ground.
pub(crate) fn css_rules(theme: Theme) -> String {
    Paint::all().fold(String::new(), |mut css, paint| {
        let (class, colour) = (paint.class(), paint.colour(theme).hex());
        let _ = write!(css, ".{class}-f{{fill:{colour}}}.{class}-s{{stroke:{colour}}}");
        css
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEMES: [Theme; 2] = [Theme::Light, Theme::Dark];

    #[test]
    fn contrast_is_wcags() {
        assert!((WHITE.contrast(BLACK) - 21.0).abs() < 1e-9);
        // The grey that is known as the lightest to pass 4.5 : 1 on white.
        let grey = Rgb(0x76, 0x76, 0x76).contrast(WHITE);
        assert!((4.5..4.6).contains(&grey), "{grey}");
    }

    #[test]
    fn text_stands_out_from_every_ground_that_it_is_put_on() {
        for theme in THEMES {
            let colour = |paint: Paint| paint.colour(theme);
            for text in [Paint::Ink, Paint::Muted] {
                let found = colour(text).contrast(colour(Paint::Surface));
                assert!(found >= 4.5, "{text:?}, {theme:?}: {found}");
            }
            for n in 0..=SHADES {
                for (text, ground) in [(Paint::OnHit(n), Paint::Hit(n)), (Paint::OnMiss(n), Paint::Miss(n))] {
                    let found = colour(text).contrast(colour(ground));
                    assert!(found >= 4.5, "{text:?}, {theme:?}: {found}");
                }
            }
        }
    }

    #[test]
    fn lines_stand_out_from_the_ground_and_differ_from_each_other() {
        for theme in THEMES {
            let colours: Vec<Rgb> = (0..SERIES).map(|n| Paint::Series(n).colour(theme)).collect();
            for (n, colour) in colours.iter().enumerate() {
                let found = colour.contrast(Paint::Surface.colour(theme));
                assert!(found >= 3.0, "{n}, {theme:?}: {found}");
                assert!(!colours[..n].contains(colour), "{n}, {theme:?}");
            }
        }
    }

    #[test]
    fn every_paint_has_a_rule_of_its_own_for_filling_and_for_drawing() {
        let css = css_rules(Theme::Dark);
        for paint in Paint::all() {
            for kind in ["f", "s"] {
                assert_eq!(css.matches(&format!(".{}-{kind}{{", paint.class())).count(), 1, "{paint:?}");
            }
        }
    }
}
