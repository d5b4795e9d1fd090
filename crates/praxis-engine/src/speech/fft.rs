//! The discrete Fourier transform of 400 real numbers, as Whisper's spectrograms want it, by decimation in time
//! with radices 2, 4 and 5 (Cooley and Tukey 1965). In double precision, so that quiet bands next to loud ones are
//! right. There is no FFT among our dependencies, and this size is all that is needed.

/// Real numbers of a transform.
pub(super) const SIZE: usize = 400;
/// Frequencies that come out: those of 0 to half of the rate.
pub(super) const BINS: usize = SIZE / 2 + 1;

/// Two reals make a complex number, so that a transform of half the size does.
const HALF: usize = SIZE / 2;
/// Their product is [`HALF`]; the first is the outermost.
const RADICES: [usize; 4] = [5, 5, 4, 2];

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    /// `e^(-2 pi i k / n)`.
    fn root(k: usize, n: usize) -> Self {
        let angle = -std::f64::consts::TAU * k as f64 / n as f64;
        Self {
            re: angle.cos(),
            im: angle.sin(),
        }
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self {
            re: self.re - other.re,
            im: self.im - other.im,
        }
    }

    #[inline(always)]
    fn scaled(self, by: f64) -> Self {
        Self {
            re: self.re * by,
            im: self.im * by,
        }
    }

    /// Times `-i`.
    #[inline(always)]
    fn turned(self) -> Self {
        Self {
            re: self.im,
            im: -self.re,
        }
    }
}

/// The roots of unity that a transform needs.
pub(super) struct Fft {
    /// Of order [`SIZE`].
    roots: Vec<Complex>,
}

/// Memory of a transform.
pub(super) struct Scratch {
    packed: [Complex; HALF],
    out: [Complex; HALF],
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            packed: [Complex::default(); HALF],
            out: [Complex::default(); HALF],
        }
    }
}

impl Fft {
    pub(super) fn new() -> Self {
        Self {
            roots: (0..SIZE).map(|k| Complex::root(k, SIZE)).collect(),
        }
    }

    /// The squared magnitudes of all frequencies of `x`.
    pub(super) fn power(&self, x: &[f64; SIZE], scratch: &mut Scratch, out: &mut [f64; BINS]) {
        for (packed, pair) in scratch.packed.iter_mut().zip(x.as_chunks::<2>().0) {
            *packed = Complex {
                re: pair[0],
                im: pair[1],
            };
        }
        self.transform(&scratch.packed, 1, &mut scratch.out, &RADICES);
        for (k, out) in out.iter_mut().enumerate() {
            // The transforms of the even and the odd numbers lie in the sum and the difference.
            let (a, b) = (scratch.out[k % HALF], scratch.out[(HALF - k) % HALF]);
            let b = Complex {
                re: b.re,
                im: -b.im,
            };
            let even = a.plus(b).scaled(0.5);
            let odd = a.minus(b).scaled(0.5).turned();
            let value = even.plus(odd.times(self.roots[k % SIZE]));
            *out = value.re * value.re + value.im * value.im;
        }
    }

    /// The transform of every `stride`-th number of `x` into `out`.
    fn transform(&self, x: &[Complex], stride: usize, out: &mut [Complex], radices: &[usize]) {
        let Some((radix, radices)) = radices.split_first() else {
            out[0] = x[0];
            return;
        };
        let part = out.len() / radix;
        for (k, out) in out.chunks_exact_mut(part).enumerate() {
            self.transform(&x[k * stride..], stride * radix, out, radices);
        }
        // A root of the order of this transform is every so many of those that are known.
        let step = SIZE / out.len();
        for i in 0..part {
            let root = |k: usize| self.roots[k * i * step];
            let at = |k: usize| out[k * part + i].times(root(k));
            match radix {
                2 => {
                    let (a, b) = (out[i], at(1));
                    out[i] = a.plus(b);
                    out[part + i] = a.minus(b);
                }
                4 => {
                    let (a, b, c, d) = (out[i], at(1), at(2), at(3));
                    let (ac, a_c) = (a.plus(c), a.minus(c));
                    let (bd, b_d) = (b.plus(d), b.minus(d).turned());
                    out[i] = ac.plus(bd);
                    out[part + i] = a_c.plus(b_d);
                    out[2 * part + i] = ac.minus(bd);
                    out[3 * part + i] = a_c.minus(b_d);
                }
                _ => {
                    let values = [out[i], at(1), at(2), at(3), at(4)];
                    for (k, value) in five(values).into_iter().enumerate() {
                        out[k * part + i] = value;
                    }
                }
            }
        }
    }
}

/// The transform of five numbers.
#[inline(always)]
fn five([a, b, c, d, e]: [Complex; 5]) -> [Complex; 5] {
    // Cosines and sines of a fifth and two fifths of a turn.
    const C1: f64 = 0.309_016_994_374_947_45;
    const C2: f64 = -0.809_016_994_374_947_5;
    const S1: f64 = 0.951_056_516_295_153_5;
    const S2: f64 = 0.587_785_252_292_473_1;
    let (be, b_e) = (b.plus(e), b.minus(e));
    let (cd, c_d) = (c.plus(d), c.minus(d));
    let first = a.plus(be.scaled(C1)).plus(cd.scaled(C2));
    let second = a.plus(be.scaled(C2)).plus(cd.scaled(C1));
    let first_turned = b_e.scaled(S1).plus(c_d.scaled(S2)).turned();
    let second_turned = b_e.scaled(S2).minus(c_d.scaled(S1)).turned();
    [
        a.plus(be).plus(cd),
        first.plus(first_turned),
        second.plus(second_turned),
        second.minus(second_turned),
        first.minus(first_turned),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_the_definition() {
        let number = |i: usize| ((i * 37 + i * i / 5) % 101) as f64 / 50.0 - 1.0;
        let x: [f64; SIZE] = std::array::from_fn(number);
        let mut out = [0.0; BINS];
        Fft::new().power(&x, &mut Scratch::default(), &mut out);
        for (k, ours) in out.iter().enumerate() {
            let mut exact = Complex::default();
            for (n, x) in x.iter().enumerate() {
                exact = exact.plus(Complex::root(k * n % SIZE, SIZE).scaled(*x));
            }
            let exact = exact.re * exact.re + exact.im * exact.im;
            assert!(
                (ours - exact).abs() < 1e-9 * exact.max(1.0),
                "{k}: {ours} for {exact}"
            );
        }
    }
}
