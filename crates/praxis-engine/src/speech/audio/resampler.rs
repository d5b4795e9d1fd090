//! Changes the rate of samples by a polyphase filter: a sinc under a Kaiser window, whose stop band begins at the
//! lower of both Nyquist frequencies, 90 dB down. What comes piece by piece comes out the same as in one piece.

use crate::speech::linear::dot;

/// Zero crossings of the sinc on each side, at the lower rate.
const CROSSINGS: f64 = 64.0;
/// How much of the lower Nyquist frequency is kept, up to the half of the filter's slope.
const KEPT: f64 = 0.955;
/// The window's shape: 90 dB (Kaiser 1974).
const BETA: f64 = 8.96;
/// The most phases that are tabulated; of rates with more, neighbours are mixed. All usual rates have fewer.
const PHASES: usize = 640;
/// Samples behind the filter's reach after which they are thrown away.
const KEEP: usize = 1 << 15;

/// From one rate to another.
pub(super) struct Resampler {
    /// Output samples for each [`Resampler::down`] of the input.
    up: u64,
    down: u64,
    /// Samples on each side of a place that count.
    reach: usize,
    phases: usize,
    /// The filter's numbers for each phase, and those of the next whole place: `2 * reach` each.
    table: Vec<f32>,
    /// Samples that may be needed yet.
    samples: Vec<f32>,
    /// Where in the input they begin, counted with `reach` zeros before it.
    first: u64,
    /// Samples that came in.
    taken: u64,
    /// Samples that went out.
    given: u64,
}

impl Resampler {
    /// From `from` samples a second to `to`, both not zero.
    pub(super) fn new(from: u32, to: u32) -> Self {
        let common = gcd(from, to);
        let (up, down) = (u64::from(to / common), u64::from(from / common));
        let cut = KEPT * f64::from(from.min(to)) / f64::from(from);
        let reach = (CROSSINGS / cut).ceil() as usize;
        let phases = usize::try_from(up).unwrap_or(PHASES).min(PHASES);
        let mut table = Vec::with_capacity((phases + 1) * 2 * reach);
        for phase in 0..=phases {
            let place = phase as f64 / phases as f64;
            table.extend((0..2 * reach).map(|i| {
                let distance = i as f64 - (reach as f64 - 1.0) - place;
                filter(distance, cut, reach as f64) as f32
            }));
        }
        Self {
            up,
            down,
            reach,
            phases,
            table,
            // The first sample stands behind zeros that the filter reaches.
            samples: vec![0.0; reach - 1],
            first: 0,
            taken: 0,
            given: 0,
        }
    }

    /// Takes samples, and appends what can be said with them.
    pub(super) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.samples.extend(samples);
        self.taken += samples.len() as u64;
        while self.give(out) {}
        let unused = (self.given * self.down / self.up).saturating_sub(self.first);
        let unused = usize::try_from(unused).unwrap_or(usize::MAX);
        if unused > KEEP {
            self.samples.drain(..unused.min(self.samples.len()));
            self.first += unused as u64;
        }
    }

    /// Appends what is left.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        let zeros = self.samples.len() + self.reach;
        self.samples.resize(zeros, 0.0);
        while self.given * self.down < self.taken * self.up && self.give(out) {}
    }

    /// Appends one sample, if all that it takes is there.
    fn give(&mut self, out: &mut Vec<f32>) -> bool {
        let place = self.given * self.down;
        // The sample at or before the place, and how far behind it the place is.
        let (whole, rest) = (place / self.up, place % self.up);
        let from = usize::try_from(whole - self.first).unwrap_or(usize::MAX);
        let width = 2 * self.reach;
        let Some(samples) = from
            .checked_add(width)
            .and_then(|end| self.samples.get(from..end))
        else {
            return false;
        };
        let scaled = rest * self.phases as u64;
        let phase = usize::try_from(scaled / self.up).unwrap_or_default();
        let row = |phase: usize| self.table.get(phase * width..(phase + 1) * width);
        let at = |phase: usize| row(phase).map_or(0.0, |filter| dot(samples, filter));
        let mix = (scaled % self.up) as f32 / self.up as f32;
        let value = if mix == 0.0 {
            at(phase)
        } else {
            at(phase) * (1.0 - mix) + at(phase + 1) * mix
        };
        out.push(value);
        self.given += 1;
        true
    }
}

/// The windowed sinc at a distance in samples of the input; `cut` is relative to its Nyquist frequency.
fn filter(distance: f64, cut: f64, reach: f64) -> f64 {
    let ratio = distance / reach;
    if ratio.abs() >= 1.0 {
        return 0.0;
    }
    let x = std::f64::consts::PI * distance * cut;
    let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
    cut * sinc * bessel(BETA * (1.0 - ratio * ratio).sqrt()) / bessel(BETA)
}

/// The modified Bessel function of the first kind and order zero, by its series.
fn bessel(x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..40 {
        let half = x / (2.0 * f64::from(n));
        term *= half * half;
        sum += term;
    }
    sum
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
