//! Dots, frames and letters.

use std::ops::Range;

/// Red, green, blue.
pub(crate) type Colour = [u8; 3];

/// Dots of a letter, and how far the next one is.
const LETTER: (usize, usize) = (3, 5);
/// A letter's dot has so many dots.
const SCALE: usize = 2;
/// How much of the canvas a letter takes.
pub(crate) const LETTER_WIDTH: usize = (LETTER.0 + 1) * SCALE;
pub(crate) const LETTER_HEIGHT: usize = LETTER.1 * SCALE;

/// A picture that is being made.
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    dots: Vec<Colour>,
}

impl Canvas {
    pub(crate) fn new(width: usize, height: usize, ground: Colour) -> Canvas {
        Canvas { width, height, dots: vec![ground; width * height] }
    }

    pub(crate) fn dot(&mut self, x: usize, y: usize, colour: Colour) {
        if x < self.width && y < self.height {
            self.dots[y * self.width + x] = colour;
        }
    }

    /// The outline of what is from `xs.start` up to `xs.end`, and so on.
    pub(crate) fn frame(&mut self, xs: Range<usize>, ys: Range<usize>, colour: Colour) {
        for x in xs.clone() {
            self.dot(x, ys.start, colour);
            self.dot(x, ys.end - 1, colour);
        }
        for y in ys {
            self.dot(xs.start, y, colour);
            self.dot(xs.end - 1, y, colour);
        }
    }

    /// Letters from the upper left corner on; what has no letter is a space.
    pub(crate) fn write(&mut self, x: usize, y: usize, text: &str, colour: Colour) {
        for (at, character) in text.chars().enumerate() {
            for (row, dots) in letter(character).into_iter().enumerate() {
                for column in (0..LETTER.0).filter(|column| dots >> (LETTER.0 - 1 - column) & 1 == 1) {
                    for dot in 0..SCALE * SCALE {
                        let x = x + at * LETTER_WIDTH + column * SCALE + dot % SCALE;
                        self.dot(x, y + row * SCALE + dot / SCALE, colour);
                    }
                }
            }
        }
    }

    /// The picture as a PNG file.
    pub(crate) fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(self.dots.as_flattened())?;
        writer.finish()?;
        Ok(file)
    }
}

/// Five rows of three dots.
fn letter(character: char) -> [u8; 5] {
    match character {
        '0' => [0b111, 0b101, 0b101, 0b101, 0b111],
        '1' => [0b010, 0b110, 0b010, 0b010, 0b111],
        '2' => [0b111, 0b001, 0b111, 0b100, 0b111],
        '3' => [0b111, 0b001, 0b111, 0b001, 0b111],
        '4' => [0b101, 0b101, 0b111, 0b001, 0b001],
        '5' => [0b111, 0b100, 0b111, 0b001, 0b111],
        '6' => [0b111, 0b100, 0b111, 0b101, 0b111],
        '7' => [0b111, 0b001, 0b010, 0b010, 0b010],
        '8' => [0b111, 0b101, 0b111, 0b101, 0b111],
        '9' => [0b111, 0b101, 0b111, 0b001, 0b111],
        'A' => [0b010, 0b101, 0b111, 0b101, 0b101],
        'B' => [0b110, 0b101, 0b110, 0b101, 0b110],
        'C' => [0b111, 0b100, 0b100, 0b100, 0b111],
        'D' => [0b110, 0b101, 0b101, 0b101, 0b110],
        'H' => [0b101, 0b101, 0b111, 0b101, 0b101],
        's' => [0b000, 0b111, 0b110, 0b011, 0b111],
        'z' => [0b000, 0b111, 0b011, 0b110, 0b111],
        '*' => [0b000, 0b101, 0b010, 0b101, 0b000],
        '#' => [0b101, 0b111, 0b101, 0b111, 0b101],
        '.' => [0b000, 0b000, 0b000, 0b000, 0b010],
        _ => [0; 5],
    }
}
