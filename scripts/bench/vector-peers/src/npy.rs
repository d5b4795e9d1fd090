//! `.npy` files of two dimensions, mapped into memory. Little endian and row by row only.

use std::fs::File;
use std::marker::PhantomData;
use std::path::Path;

use memmap2::Mmap;

use crate::Result;

/// A type of numbers, and how NumPy calls it.
pub trait Number: bytemuck::Pod {
    /// What a head says after `descr`.
    const NAME: &'static str;
}

impl Number for f32 {
    const NAME: &'static str = "<f4";
}

impl Number for i32 {
    const NAME: &'static str = "<i4";
}

/// Rows of numbers.
pub struct Npy<T> {
    map: Mmap,
    start: usize,
    rows: usize,
    columns: usize,
    number: PhantomData<T>,
}

impl<T: Number> Npy<T> {
    /// Maps a file. An error names it.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        // SAFETY: the benchmark's files are written before they are measured with, and not changed after.
        let map = unsafe { Mmap::map(&file)? };
        let (start, rows, columns) = head(&map, T::NAME).ok_or_else(|| {
            format!(
                "{} is no .npy file of {}, row by row",
                path.display(),
                T::NAME
            )
        })?;
        let numbers = map.get(start..).map(bytemuck::try_cast_slice::<u8, T>);
        match numbers {
            Some(Ok(numbers)) if numbers.len() == rows * columns => {}
            _ => return Err(format!("{} is cut off", path.display()).into()),
        }
        Ok(Self {
            map,
            start,
            rows,
            columns,
            number: PhantomData,
        })
    }

    /// All numbers, row after row.
    pub fn values(&self) -> &[T] {
        bytemuck::cast_slice(&self.map[self.start..])
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Panics where there is no such row.
    pub fn row(&self, row: usize) -> &[T] {
        &self.values()[row * self.columns..(row + 1) * self.columns]
    }
}

/// Where the numbers begin, and how many rows and columns they are.
fn head(bytes: &[u8], number: &str) -> Option<(usize, usize, usize)> {
    if !bytes.starts_with(b"\x93NUMPY\x01") {
        return None;
    }
    let start = 10 + usize::from(u16::from_le_bytes([*bytes.get(8)?, *bytes.get(9)?]));
    let head = std::str::from_utf8(bytes.get(10..start)?).ok()?;
    if !head.contains(&format!("'descr': '{number}'")) || !head.contains("'fortran_order': False") {
        return None;
    }
    let shape = head.split_once("'shape': (")?.1.split_once(')')?.0;
    let (rows, columns) = shape.split_once(',')?;
    Some((
        start,
        rows.trim().parse().ok()?,
        columns.trim().parse().ok()?,
    ))
}
