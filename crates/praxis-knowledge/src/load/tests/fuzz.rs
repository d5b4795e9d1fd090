//! Long runs of changed files through each loader: `MINUTES=10 cargo test --release -p praxis-knowledge
//! fuzz -- --ignored --nocapture`, with `FORMAT=xlsx` for one and `SEED=7` for others. What is packed in a file is changed
//! unpacked, and a few bytes of it are made many, as in files that are meant to be too much. Linux only, which tells how
//! much memory was used.

use std::io::{Cursor, Read, Write};
use std::time::{Duration, Instant};

use flate2::read::ZlibDecoder;

use super::hostile::{check, samples};
use super::packing::zlib;
use super::*;

/// The longest that one small file may take.
const SOON: Duration = Duration::from_secs(20);

/// The most memory that one small file may take.
const MEMORY: usize = 1 << 30;

/// Numbers that look random and come again with the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Values that parsers stumble over.
const VALUES: &[&[u8]] = &[
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80",
    b"4294967295",
    b"-1",
    b"1e308",
    b"<",
    b">",
    b"\"",
    b"&#x10ffff;",
    b"\n\n",
    b"]]>",
    b"<!DOCTYPE a>",
    "\u{202e}灯".as_bytes(),
];

fn change(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(8) {
        let at = dice.below(bytes.len());
        let length = dice.below(64).min(bytes.len() - at.min(bytes.len()));
        match dice.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 if !bytes.is_empty() => bytes[at] = dice.next() as u8,
            2 => drop(bytes.drain(at..at + length)),
            3 => {
                let copy = bytes[at..at + length].to_vec();
                let to = dice.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            4 => {
                let value = VALUES[dice.below(VALUES.len())];
                let end = (at + value.len() * dice.below(2)).min(bytes.len());
                bytes.splice(at..end, value.iter().copied());
            }
            5 if dice.below(8) == 0 => bytes.truncate(at),
            6 if dice.below(8) == 0 => {
                let copy = bytes[at..at + length].repeat(1 + dice.below(2000));
                bytes.splice(at..at, copy);
            }
            // One operator, one cell, one item: as many as a file of some kilobytes may hold packed.
            7 if dice.below(32) == 0 => {
                let copy = bytes[at..at + length.min(16)].repeat(1 + dice.below(200_000));
                bytes.splice(at..at, copy);
            }
            _ => {}
        }
    }
}

/// Changes what is packed in an archive, which damage to the archive itself would hide.
fn change_part(bytes: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
    let chosen = dice.below(archive.len());
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).ok()?;
        let mut content = Vec::new();
        part.read_to_end(&mut content).ok()?;
        if index == chosen || dice.below(6) == 0 {
            change(&mut content, dice);
        }
        let options = zip::write::SimpleFileOptions::default();
        out.start_file(part.name().ok()?.into_owned(), options)
            .ok()?;
        out.write_all(&content).ok()?;
    }
    Some(out.finish().ok()?.into_inner())
}

/// Changes what is packed in a stream of a PDF, in the same place if there is room for it.
fn change_stream(bytes: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let streams: Vec<(usize, usize)> = memchr::memmem::find_iter(bytes, b"stream\n")
        .chain(memchr::memmem::find_iter(bytes, b"stream\r\n"))
        .filter(|at| !bytes[..*at].ends_with(b"end"))
        .filter_map(|at| {
            let begin = at + b"stream\n".len() + usize::from(bytes.get(at + 6) == Some(&b'\r'));
            let length = memchr::memmem::find(&bytes[begin..], b"endstream")?;
            Some((begin, begin + length))
        })
        .collect();
    let (begin, end) = *streams.get(dice.below(streams.len()))?;
    let mut content = Vec::new();
    let packed = ZlibDecoder::new(&bytes[begin..end]);
    let is_packed = packed.take(64 << 20).read_to_end(&mut content).is_ok();
    if !is_packed {
        content = bytes[begin..end].to_vec();
    }
    change(&mut content, dice);
    if is_packed {
        content = zlib(&content);
        // What stands behind the end of packed data is nothing, and objects keep their places.
        content.resize(content.len().max(end - begin), 0);
    }
    Some([&bytes[..begin], &content, &bytes[end..]].concat())
}

/// A PDF with a stream changed, by the numbers that follow from a seed.
pub(super) fn changed_stream(bytes: &[u8], seed: u64) -> Option<Vec<u8>> {
    change_stream(bytes, &mut Dice(seed))
}

/// Begins to watch the most memory that is used, or tells it.
fn memory(begin: bool) -> usize {
    if begin {
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or(0) << 10
}

/// Runs one file; says what is wrong.
fn run(name: &'static str, bytes: Vec<u8>) -> Option<String> {
    memory(true);
    let start = Instant::now();
    let (done, result) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let thread = thread.spawn(move || {
        let outcome = std::panic::catch_unwind(|| {
            let checked = check(name, &bytes).map_err(|e| e.to_string());
            if let Ok(document) = load_bytes(name, &bytes, LoadLimits::default()) {
                let options = crate::segment::SegmentOptions {
                    strategy: crate::segment::Strategy::default(),
                    max_tokens: 64,
                    min_tokens: 8,
                };
                let count: praxis_core::embed::TokenCounter =
                    std::sync::Arc::new(praxis_core::tokens::estimate);
                crate::segment::segment(&document, options, &count);
            }
            checked
        });
        let _ = done.send(outcome);
    });
    drop(thread);
    let fault = match result.recv_timeout(SOON * 3) {
        Ok(Ok(Ok(()))) => None,
        Ok(Ok(Err(broken))) => Some(broken),
        Ok(Err(_)) => Some("it panicked".to_owned()),
        Err(_) => Some("it does not end".to_owned()),
    };
    let used = memory(false);
    fault
        .or_else(|| (used > MEMORY).then(|| format!("it took {} MiB", used >> 20)))
        .or_else(|| (start.elapsed() > SOON).then(|| format!("it took {:?}", start.elapsed())))
}

#[test]
#[ignore = "runs for MINUTES (default 1) for each format"]
fn fuzz() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<f64>().ok());
    let time = Duration::from_secs_f64(number("MINUTES").unwrap_or(1.0) * 60.0);
    let seed = number("SEED").unwrap_or(1.0) as u64;
    let only = std::env::var("FORMAT").ok();
    let folder = std::env::temp_dir().join("praxis-fuzz");
    std::fs::create_dir_all(&folder).unwrap();
    let samples = samples();
    let ending = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let mut endings: Vec<String> = samples.iter().map(|(name, _)| ending(name)).collect();
    endings.sort();
    endings.dedup();
    let mut faults = Vec::new();
    for format in endings
        .iter()
        .filter(|f| only.as_ref().is_none_or(|o| o == *f))
    {
        let own: Vec<_> = samples
            .iter()
            .filter(|(name, _)| ending(name) == *format)
            .collect();
        let (mut dice, start, mut runs) = (Dice(seed), Instant::now(), 0usize);
        let mut most = 0;
        while start.elapsed() < time {
            let (name, bytes) = own[dice.below(own.len())];
            let changed = match dice.below(4) {
                0 => None,
                _ => change_part(bytes, &mut dice).or_else(|| change_stream(bytes, &mut dice)),
            };
            let bytes = changed.unwrap_or_else(|| {
                let mut bytes = bytes.clone();
                change(&mut bytes, &mut dice);
                bytes
            });
            runs += 1;
            let fault = run(name, bytes.clone());
            most = most.max(memory(false));
            if let Some(fault) = fault {
                let path = folder.join(format!("{seed}-{runs}.{format}"));
                std::fs::write(&path, &bytes).unwrap();
                faults.push(format!("{}: {fault}", path.display()));
                if faults.len() > 20 {
                    break;
                }
            }
        }
        eprintln!("{format}: {runs} files, at most {} MiB", most >> 20);
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
