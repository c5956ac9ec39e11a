//! A picture as pixels.

use tiny_skia::{
    Color, FillRule, FilterQuality, LineJoin, Paint as Ink, PathBuilder, Pixmap, PixmapPaint, Rect, Stroke,
    StrokeDash, Transform,
};

use super::bitmap::Bitmap;
use super::font;
use super::paint::{Paint, Rgb, Theme};
use super::scene::{Anchor, Scene, Shape, Text};

/// The most pixels that a picture may have: 400 MB of them at four bytes each.
const MOST_PIXELS: f64 = 1e8;
/// How much a bold letter's outline is drawn around it, in ems: the font inside the program has one weight.
const BOLDNESS: f64 = 0.045;
/// The same for a letter that isn't bold: the font is a light one, and thin strokes turn grey at small sizes.
const WEIGHT: f64 = 0.018;

/// Draws the picture, `scale` pixels to each of its units.
///
/// # Errors
/// If it would have no pixels, or too many.
pub(crate) fn render(scene: &Scene, theme: Theme, scale: f64) -> Result<Bitmap, String> {
    let (width, height) = ((scene.width * scale).ceil(), (scene.height * scale).ceil());
    let sensible = width >= 1.0 && height >= 1.0 && width * height <= MOST_PIXELS;
    let canvas = if sensible { Pixmap::new(width as u32, height as u32) } else { None };
    let pixmap = canvas.ok_or_else(|| {
        format!(
            "cannot draw a picture of {width} × {height} pixels: expected from 1 to {MOST_PIXELS:e} of them"
        )
    })?;
    let scale = scale as f32;
    let mut canvas = Canvas { pixmap, theme, base: Transform::from_scale(scale, scale) };
    canvas.pixmap.fill(colour(Paint::Surface.colour(theme)));
    for shape in &scene.shapes {
        canvas.draw(shape);
    }
    let pixels = canvas.pixmap.pixels().iter().map(|p| Rgb(p.red(), p.green(), p.blue()));
    Ok(Bitmap::new(width as usize, height as usize, pixels))
}

struct Canvas {
    pixmap: Pixmap,
    theme: Theme,
    base: Transform,
}

impl Canvas {
    fn draw(&mut self, shape: &Shape) {
        match shape {
            Shape::Rect { x, y, width, height, paint, .. } => {
                if let Some(rect) = rect(*x, *y, *width, *height) {
                    self.pixmap.fill_rect(rect, &self.ink(*paint), self.base, None);
                }
            }
            Shape::Dot { x, y, radius, paint, .. } => {
                if let Some(path) = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32) {
                    self.pixmap.fill_path(&path, &self.ink(*paint), FillRule::Winding, self.base, None);
                }
            }
            Shape::Line { points, width, paint, dash } => {
                let mut path = PathBuilder::new();
                for (i, &(x, y)) in points.iter().enumerate() {
                    if i == 0 { path.move_to(x as f32, y as f32) } else { path.line_to(x as f32, y as f32) }
                }
                let dash = dash.lengths().and_then(|l| StrokeDash::new(l.map(|v| v as f32).to_vec(), 0.0));
                let stroke =
                    Stroke { width: *width as f32, dash, line_join: LineJoin::Round, ..Stroke::default() };
                if let Some(path) = path.finish() {
                    self.pixmap.stroke_path(&path, &self.ink(*paint), &stroke, self.base, None);
                }
            }
            Shape::Image { x, y, width, height, bitmap, .. } => self.image([*x, *y, *width, *height], bitmap),
            Shape::Text(text) => self.text(text),
        }
    }

    fn image(&mut self, [x, y, width, height]: [f64; 4], bitmap: &Bitmap) {
        let Some(mut pixels) = Pixmap::new(bitmap.width() as u32, bitmap.height() as u32) else { return };
        for (to, from) in pixels.data_mut().chunks_exact_mut(4).zip(bitmap.rgb().chunks_exact(3)) {
            to[..3].copy_from_slice(from);
            to[3] = u8::MAX;
        }
        let (sx, sy) = (width / bitmap.width() as f64, height / bitmap.height() as f64);
        let place = self.base.pre_translate(x as f32, y as f32).pre_scale(sx as f32, sy as f32);
        let sharp = PixmapPaint { quality: FilterQuality::Nearest, ..PixmapPaint::default() };
        self.pixmap.draw_pixmap(0, 0, pixels.as_ref(), &sharp, place, None);
    }

    fn text(&mut self, text: &Text) {
        let Some(path) = font::outlines(&text.text, text.size) else { return };
        let width = font::width(&text.text, text.size);
        let before = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        };
        let turned = self.base.pre_translate(text.x as f32, text.y as f32);
        let place =
            turned.pre_concat(Transform::from_rotate(text.turn as f32)).pre_translate(-before as f32, 0.0);
        let ink = self.ink(text.paint);
        self.pixmap.fill_path(&path, &ink, FillRule::Winding, place, None);
        let weight = if text.bold { BOLDNESS } else { WEIGHT };
        let stroke = Stroke { width: (weight * text.size) as f32, ..Stroke::default() };
        self.pixmap.stroke_path(&path, &ink, &stroke, place, None);
    }

    fn ink(&self, paint: Paint) -> Ink<'static> {
        let mut ink = Ink { anti_alias: true, ..Ink::default() };
        ink.set_color(colour(paint.colour(self.theme)));
        ink
    }
}

fn rect(x: f64, y: f64, width: f64, height: f64) -> Option<Rect> {
    Rect::from_xywh(x as f32, y as f32, width as f32, height as f32)
}

fn colour(Rgb(r, g, b): Rgb) -> Color {
    Color::from_rgba8(r, g, b, u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dark_pixels(bitmap: &Bitmap, columns: std::ops::Range<usize>) -> usize {
        let lit = |&(x, y): &(usize, usize)| bitmap.at(x, y).0 < 128;
        columns.flat_map(|x| (0..bitmap.height()).map(move |y| (x, y))).filter(lit).count()
    }

    #[test]
    fn text_is_drawn_at_its_anchor_without_any_font_of_the_system() -> Result<(), String> {
        let mut scene = Scene::new(100.0, 20.0, "text");
        scene.text(Text::new(50.0, 15.0, 14.0, "MMM"));
        let start = render(&scene, Theme::Light, 1.0)?;
        assert!(dark_pixels(&start, 50..90) > 50 && dark_pixels(&start, 0..49) == 0);
        let Some(Shape::Text(text)) = scene.shapes.last_mut() else { return Err("no text".into()) };
        text.anchor = Anchor::End;
        let end = render(&scene, Theme::Light, 1.0)?;
        assert!(dark_pixels(&end, 0..50) > 50 && dark_pixels(&end, 51..100) == 0);
        Ok(())
    }

    #[test]
    fn an_images_pixels_are_squares_with_sharp_edges() -> Result<(), String> {
        let mut scene = Scene::new(4.0, 4.0, "image");
        let bitmap = Bitmap::grey(2, 2, &[10, 20, 30, 40]);
        scene.shapes.push(Shape::Image { x: 0.0, y: 0.0, width: 4.0, height: 4.0, bitmap, hint: None });
        let drawn = render(&scene, Theme::Light, 2.0)?;
        assert_eq!((drawn.width(), drawn.height()), (8, 8));
        for y in 0..8 {
            for x in 0..8 {
                let expected = [10, 20, 30, 40][y / 4 * 2 + x / 4];
                assert_eq!(drawn.at(x, y).0, expected, "({x}, {y})");
            }
        }
        Ok(())
    }

    #[test]
    fn the_ground_is_the_themes() -> Result<(), String> {
        let scene = Scene::new(2.0, 2.0, "nothing");
        for theme in [Theme::Light, Theme::Dark] {
            assert_eq!(render(&scene, theme, 1.0)?.at(0, 0), Paint::Surface.colour(theme));
        }
        Ok(())
    }

    #[test]
    fn a_picture_of_no_or_of_too_many_pixels_is_an_error() {
        assert!(render(&Scene::new(0.0, 5.0, "none"), Theme::Light, 1.0).is_err());
        assert!(render(&Scene::new(1e5, 1e5, "too many"), Theme::Light, 1.0).is_err());
        assert!(render(&Scene::new(f64::NAN, 5.0, "no number"), Theme::Light, 1.0).is_err());
    }
}
