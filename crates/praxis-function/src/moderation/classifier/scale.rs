//! Calibration: what a regression's sum is worth as a probability (Platt 1999), and where to draw the line.

/// The most steps of the search for the scale.
const STEPS: usize = 100;

/// Scores beyond which no threshold is chosen.
const LEAST: f64 = 0.1;
const MOST: f64 = 0.9;

/// How many of what is not of a category may be said to be, where there is a choice.
const FALSE_ALARMS: f64 = 0.02;

/// The logistic function.
pub(super) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// `a` and `b` with which `sigmoid(a * sum + b)` is nearest to the labels. Counts are smoothed as Platt does, so that
/// few lines promise nothing; `a` is never so small or negative that it would turn the order around.
pub(super) fn platt(sums: &[(f64, bool)]) -> (f64, f64) {
    let positives = sums.iter().filter(|(_, label)| *label).count() as f64;
    let negatives = sums.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return (1.0, 0.0);
    }
    let high = (positives + 1.0) / (positives + 2.0);
    let low = 1.0 / (negatives + 2.0);
    let target = |label: bool| if label { high } else { low };
    let loss = |a: f64, b: f64| -> f64 {
        sums.iter()
            .map(|(x, label)| {
                let (z, t) = (a * x + b, target(*label));
                // ln(1 + e^z) - t z, without overflow.
                z.max(0.0) + (-z.abs()).exp().ln_1p() - t * z
            })
            .sum()
    };
    let (mut a, mut b) = (1.0, 0.0);
    let mut best = loss(a, b);
    for _ in 0..STEPS {
        let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, 1e-9, 0.0, 1e-9);
        for (x, label) in sums {
            let p = sigmoid(a * x + b);
            let (d, w) = (p - target(*label), p * (1.0 - p));
            ga += d * x;
            gb += d;
            haa += w * x * x;
            hab += w * x;
            hbb += w;
        }
        let determinant = haa * hbb - hab * hab;
        if (ga.abs() < 1e-9 && gb.abs() < 1e-9) || determinant.abs() < 1e-18 {
            break;
        }
        let (da, db) = (
            (hbb * ga - hab * gb) / determinant,
            (haa * gb - hab * ga) / determinant,
        );
        let mut step = 1.0;
        loop {
            let next = loss(a - step * da, b - step * db);
            if next < best {
                a -= step * da;
                b -= step * db;
                best = next;
                break;
            }
            step /= 2.0;
            if step < 1e-9 {
                return sound(a, b);
            }
        }
    }
    sound(a, b)
}

fn sound(a: f64, b: f64) -> (f64, f64) {
    if a.is_finite() && b.is_finite() && a > 1e-3 {
        (a, b)
    } else {
        (1.0, 0.0)
    }
}

/// The threshold with the best F1 among those that raise few false alarms; of equals the highest.
pub(super) fn threshold(scores: &[(f64, bool)]) -> f64 {
    let mut sorted: Vec<(f64, bool)> = scores.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = sorted.iter().filter(|(_, label)| *label).count() as f64;
    let negatives = sorted.len() as f64 - positives;
    let (mut hits, mut alarms) = (0.0, 0.0);
    let (mut best, mut chosen) = (0.0, MOST);
    for (i, (score, label)) in sorted.iter().enumerate() {
        if *label {
            hits += 1.0;
        } else {
            alarms += 1.0;
        }
        let next = sorted.get(i + 1).map(|(next, _)| *next);
        if next == Some(*score) {
            continue;
        }
        if alarms > negatives * FALSE_ALARMS {
            break;
        }
        let f1 = 2.0 * hits / (hits + alarms + positives).max(1.0);
        if f1 > best {
            best = f1;
            // Between this score and the next one, where neither is on the edge.
            chosen = next.map_or(*score, |next| (score + next) / 2.0);
        }
    }
    chosen.clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibrated_scores_are_shares() {
        // Of those with the sum 1, three in four are positive; of those with -1, one in four.
        let sums: Vec<(f64, bool)> = (0..400)
            .map(|i| {
                (
                    if i % 2 == 0 { 1.0 } else { -1.0 },
                    (i / 2 % 4 == 0) != (i % 2 == 0),
                )
            })
            .collect();
        let (a, b) = platt(&sums);
        assert!((sigmoid(a + b) - 0.75).abs() < 0.01, "{a} {b}");
        assert!((sigmoid(-a + b) - 0.25).abs() < 0.01, "{a} {b}");
        for useless in [vec![], vec![(1.0, true)], vec![(2.0, false), (1.0, true)]] {
            let (a, b) = platt(&useless);
            assert!(a > 0.0 && b.is_finite());
        }
    }

    #[test]
    fn a_threshold_parts_what_can_be_parted() {
        let apart = [(0.8, true), (0.7, true), (0.3, false), (0.2, false)];
        assert!((threshold(&apart) - 0.5).abs() < 1e-9);
        // What only false alarms would catch is let go.
        let mut mixed = vec![(0.95, true); 5];
        mixed.extend([(0.5, true); 1]);
        mixed.extend([(0.6, false); 10]);
        mixed.extend([(0.1, false); 90]);
        assert!((threshold(&mixed) - 0.775).abs() < 1e-9);
        assert!((threshold(&[]) - MOST).abs() < 1e-9);
        assert!((threshold(&[(0.99, true), (0.98, true)]) - MOST).abs() < 1e-9);
    }

    #[test]
    fn the_logistic_function_stays_in_its_bounds() {
        assert!((sigmoid(0.0) - 0.5).abs() < 1e-12);
        assert!(sigmoid(-1e9) >= 0.0 && sigmoid(1e9) <= 1.0);
    }
}
