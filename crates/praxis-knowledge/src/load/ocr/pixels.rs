//! A picture in shades of gray, turned and made smaller. Left out: the formats of pictures (`load::picture`).

/// The most pixels that are looked at: an A3 page with 450 dots per inch, or a photo of 40 megapixels.
pub(crate) const MAX_PIXELS: u64 = 40_000_000;

/// Pixels in shades of gray, row by row from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pixels {
    width: usize,
    height: usize,
    gray: Vec<u8>,
    /// Dots per inch, where that is known.
    dpi: Option<u32>,
}

impl Pixels {
    /// A picture of so many rows; none if there are fewer or more pixels than its sides say, or none at all.
    pub fn new(width: usize, height: usize, gray: Vec<u8>, dpi: Option<u32>) -> Option<Self> {
        let fits = width > 0 && height > 0 && gray.len() == width.checked_mul(height)?;
        fits.then_some(Self {
            width,
            height,
            gray,
            dpi,
        })
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    pub fn dpi(&self) -> Option<u32> {
        self.dpi
    }

    /// As a file in the format PGM.
    pub fn to_pgm(&self) -> Vec<u8> {
        let mut file = format!("P5 {} {} 255\n", self.width, self.height).into_bytes();
        file.extend_from_slice(&self.gray);
        file
    }

    /// Whether all of it is about as light: a page with nothing on it.
    pub fn is_blank(&self) -> bool {
        const PAPER: u8 = 24;
        let (mut low, mut high) = (u8::MAX, u8::MIN);
        for value in &self.gray {
            (low, high) = (low.min(*value), high.max(*value));
            if high - low > PAPER {
                return false;
            }
        }
        true
    }

    /// Turned clockwise by quarters.
    pub fn turned(&self, quarters: u32) -> Self {
        let (width, height) = (self.width, self.height);
        let at = |x: usize, y: usize| self.gray[y * width + x];
        let (new_width, new_height) = match quarters % 4 {
            0 | 2 => (width, height),
            _ => (height, width),
        };
        let mut gray = Vec::with_capacity(self.gray.len());
        for y in 0..new_height {
            for x in 0..new_width {
                gray.push(match quarters % 4 {
                    0 => at(x, y),
                    1 => at(y, height - 1 - x),
                    2 => at(width - 1 - x, height - 1 - y),
                    _ => at(width - 1 - y, x),
                });
            }
        }
        Self {
            width: new_width,
            height: new_height,
            gray,
            dpi: self.dpi,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_turned_clockwise() {
        let pixels = |width, gray: &[u8]| {
            Pixels::new(width, gray.len() / width, gray.to_vec(), None).unwrap()
        };
        let upright = pixels(3, &[1, 2, 3, 4, 5, 6]);
        for (quarters, turned) in [
            (0, upright.clone()),
            (1, pixels(2, &[4, 1, 5, 2, 6, 3])),
            (2, pixels(3, &[6, 5, 4, 3, 2, 1])),
            (3, pixels(2, &[3, 6, 2, 5, 1, 4])),
        ] {
            assert_eq!(upright.turned(quarters), turned, "{quarters}");
        }
        assert_eq!(upright.to_pgm(), b"P5 3 2 255\n\x01\x02\x03\x04\x05\x06");
        assert!(Pixels::new(0, 0, Vec::new(), None).is_none());
        assert!(Pixels::new(2, 2, vec![0; 5], None).is_none());
    }

    #[test]
    fn only_what_is_as_light_everywhere_is_blank() {
        let page = |gray: Vec<u8>| Pixels::new(gray.len(), 1, gray, None).unwrap();
        assert!(page(vec![255, 250, 240]).is_blank());
        assert!(page(vec![0, 3]).is_blank());
        assert!(!page(vec![255, 255, 90]).is_blank());
    }
}
