//! Small images of pixels, and their PNG.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use png::{BitDepth, ColorType, Encoder};

use super::paint::Rgb;

/// Pixels row by row, three bytes each. There are always width · height of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bitmap {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Bitmap {
    /// Black.
    pub(crate) fn black(width: usize, height: usize) -> Self {
        Self { width, height, rgb: vec![0; 3 * width * height] }
    }

    /// From a colour per pixel, row by row. Pixels too many are left out, missing ones are black.
    pub(crate) fn new(width: usize, height: usize, pixels: impl IntoIterator<Item = Rgb>) -> Self {
        let mut bitmap = Self::black(width, height);
        for (to, Rgb(r, g, b)) in bitmap.rgb.chunks_exact_mut(3).zip(pixels) {
            to.copy_from_slice(&[r, g, b]);
        }
        bitmap
    }

    /// From grey pixels, 0 black to 255 white.
    pub(crate) fn grey(width: usize, height: usize, pixels: &[u8]) -> Self {
        Self::new(width, height, pixels.iter().map(|&v| Rgb(v, v, v)))
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// Three bytes per pixel.
    pub(crate) fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixel's colour; black outside.
    pub(crate) fn at(&self, x: usize, y: usize) -> Rgb {
        let place = if x < self.width { 3 * (y * self.width + x) } else { usize::MAX };
        match self.rgb.get(place..place.saturating_add(3)) {
            Some(&[r, g, b]) => Rgb(r, g, b),
            _ => Rgb(0, 0, 0),
        }
    }

    /// As a PNG file: one byte per pixel where all are grey, three otherwise.
    ///
    /// # Errors
    /// If there are no pixels: PNG has no empty images.
    pub(crate) fn png(&self) -> Result<Vec<u8>, String> {
        let grey = self.rgb.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]);
        let size = |n: usize| u32::try_from(n).map_err(|e| e.to_string());
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, size(self.width)?, size(self.height)?);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_color(if grey { ColorType::Grayscale } else { ColorType::Rgb });
        let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
        let written = if grey {
            let values: Vec<u8> = self.rgb.iter().step_by(3).copied().collect();
            writer.write_image_data(&values)
        } else {
            writer.write_image_data(&self.rgb)
        };
        written.and_then(|()| writer.finish()).map_err(|e| e.to_string())?;
        Ok(file)
    }

    /// The PNG as an address that holds it; an empty one where there are no pixels.
    pub(crate) fn data_uri(&self) -> String {
        self.png()
            .map_or_else(|_| "data:,".into(), |png| format!("data:image/png;base64,{}", STANDARD.encode(png)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

    fn decoded(bitmap: &Bitmap) -> TestResult<(u32, u32, ColorType, Vec<u8>)> {
        let file = bitmap.png()?;
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info()?;
        let mut pixels = vec![0; reader.output_buffer_size().ok_or("too large")?];
        let info = reader.next_frame(&mut pixels)?;
        Ok((info.width, info.height, info.color_type, pixels))
    }

    #[test]
    fn pixels_come_back_from_the_png() -> TestResult {
        let grey = Bitmap::grey(2, 3, &[0, 50, 100, 150, 200, 255]);
        assert_eq!(decoded(&grey)?, (2, 3, ColorType::Grayscale, vec![0, 50, 100, 150, 200, 255]));
        let coloured = Bitmap::new(1, 2, [Rgb(1, 2, 3), Rgb(9, 9, 9)]);
        assert_eq!(decoded(&coloured)?, (1, 2, ColorType::Rgb, vec![1, 2, 3, 9, 9, 9]));
        assert!(Bitmap::black(0, 5).png().is_err());
        Ok(())
    }

    #[test]
    fn what_is_missing_is_black_and_what_is_too_much_is_left_out() {
        assert_eq!(Bitmap::grey(2, 1, &[7]).rgb(), [7, 7, 7, 0, 0, 0]);
        assert_eq!(Bitmap::grey(1, 1, &[7, 8]).rgb(), [7, 7, 7]);
        let bitmap = Bitmap::grey(2, 2, &[1, 2, 3, 4]);
        assert_eq!(
            (bitmap.at(1, 1), bitmap.at(2, 0), bitmap.at(0, 2)),
            (Rgb(4, 4, 4), Rgb(0, 0, 0), Rgb(0, 0, 0))
        );
    }
}
