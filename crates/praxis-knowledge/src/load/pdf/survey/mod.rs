//! A PDF, looked through before hayro-syntax opens it, for what it does without a bound of its own. It unpacks streams at
//! once that hold objects or places of objects, whatever type and filters they have, and keeps them: here they are found
//! as it finds them, and measured. And it tries again and again to read bytes that lie in many objects. Left out: all
//! other streams, which are unpacked later (`streams`).

mod chain;
mod containers;
mod sealed;

use std::collections::{HashMap, HashSet};

use memchr::memmem;

use super::LoadError;
use super::lexer::{Dictionary, Key, Lexer, blank_end, is_regular, is_space};

/// Bytes that may be walked through, and how many times each byte of the file.
const FUEL: u64 = 1 << 30;
const FUEL_OF_A_BYTE: u64 = 16;

/// Bytes of comments that may be passed over where headers of objects are looked for: a step over one is quick.
const COMMENTS: u64 = 4 << 30;

/// Bytes that containers may take for each byte of the limit, and whatever that is.
const CONTAINERS: u64 = 4;
const MOST_CONTAINERS: u64 = 512 << 20;

/// Dictionaries of a file: each may be a page, which takes nearly a kilobyte.
const MOST_DICTIONARIES: usize = 500_000;
const BYTES_OF_A_DICTIONARY: u64 = 128;

/// Entries in tables of places that are packed, of which one byte may be enough.
const MOST_ENTRIES: usize = 2_000_000;

/// A file that may be opened.
pub(super) struct Surveyed {
    /// Its bytes. Containers whose size is not certain are no streams in them any more.
    pub file: Vec<u8>,
    /// How many these are.
    pub left_out: usize,
}

/// Looks through a file.
///
/// # Errors
/// [`LoadError::TooLarge`] for containers over the limit, [`LoadError::Damaged`] for what no program writes.
pub(super) fn survey(file: &[u8], max_bytes: u64) -> Result<Surveyed, LoadError> {
    let mut survey = Survey::new(file, max_bytes);
    survey.overlaps()?;
    survey.walk()?;
    survey.tables()?;
    survey.containers()?;
    let mut copy = file.to_vec();
    for at in &survey.refused {
        // `xtream` begins no data.
        copy[*at] = b'x';
    }
    Ok(Surveyed {
        file: copy,
        left_out: survey.refused.len(),
    })
}

/// An object's beginning.
#[derive(Debug, Clone, Copy)]
struct Header {
    /// Where the object itself begins.
    begin: usize,
    /// Its number, unless it is written in an odd way.
    number: Option<u32>,
}

/// A stream.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// Where its dictionary begins, the word `stream` and its data.
    dictionary: usize,
    keyword: usize,
    data: usize,
    /// The number of the object that it is.
    number: Option<u32>,
}

struct Survey<'a> {
    file: &'a [u8],
    lexer: Lexer<'a>,
    /// Bytes that containers may take, those that they take, and the largest of them.
    bound: u64,
    used: u64,
    largest: u64,
    dictionaries: usize,
    most_dictionaries: usize,
    /// Dictionaries that may be trailers.
    roots: u64,
    streams: Vec<Found>,
    /// Numbers of the streams that hold objects.
    named: HashSet<u32>,
    /// Objects and where they are, by packed tables, and those that are in containers.
    places: Vec<(u32, u64)>,
    members: Vec<u32>,
    entries: usize,
    /// Objects that are numbers.
    integers: HashMap<u32, u64>,
    /// Where trailers have the encryption and the identifiers of the file.
    encryptions: Vec<(usize, Option<usize>)>,
    /// Where the word `stream` stands of streams that must not be unpacked.
    refused: HashSet<usize>,
}

impl<'a> Survey<'a> {
    fn new(file: &'a [u8], max_bytes: u64) -> Self {
        let fuel = FUEL + FUEL_OF_A_BYTE * file.len() as u64;
        let more = usize::try_from(max_bytes / BYTES_OF_A_DICTIONARY).unwrap_or(usize::MAX);
        Self {
            file,
            lexer: Lexer::new(file, fuel),
            bound: max_bytes.saturating_mul(CONTAINERS).min(MOST_CONTAINERS),
            used: 0,
            largest: 0,
            dictionaries: 0,
            most_dictionaries: MOST_DICTIONARIES.max(more),
            roots: 0,
            streams: Vec::new(),
            named: HashSet::new(),
            places: Vec::new(),
            members: Vec::new(),
            entries: 0,
            integers: HashMap::new(),
            encryptions: Vec::new(),
            refused: HashSet::new(),
        }
    }

    /// Comments and streams that reach over others: each of them may be walked through by itself.
    fn overlaps(&mut self) -> Result<(), LoadError> {
        let file = self.file;
        self.comments()?;
        let mut ends = memmem::find_iter(file, b"endstream").peekable();
        for at in memmem::find_iter(file, b"stream") {
            let before = at.checked_sub(1).and_then(|before| file.get(before));
            let after_object = before.is_some_and(|byte| is_space(*byte) || *byte == b'>');
            if !after_object || data_after(file, at).is_none() {
                continue;
            }
            while ends.next_if(|end| *end < at).is_some() {}
            let end = ends.peek().copied().unwrap_or(file.len());
            self.spend(end - at)?;
        }
        Ok(())
    }

    /// Comments within which numbers stand: at each of these, the header of an object may be looked for, which goes on
    /// behind all comments that follow, and behind those that follow on a second number.
    fn comments(&self) -> Result<(), LoadError> {
        let file = self.file;
        let (mut end, mut reach, mut passed) = (0, 0, 0u64);
        for at in memchr::memchr_iter(b'%', file) {
            if end <= at {
                end = blank_end(file, at);
                let number = file.get(end..).unwrap_or_default().iter();
                let behind = end + number.take_while(|byte| is_of_number(**byte)).count();
                reach = if behind > end {
                    blank_end(file, behind)
                } else {
                    end
                };
            }
            // Most signs of this kind are no comments: in data that is written in letters, one of 85 is one.
            if follows_number(file, at) {
                passed += (reach - at) as u64;
                if passed > COMMENTS {
                    return Err(tangled());
                }
            }
        }
        Ok(())
    }

    /// Finds all dictionaries and all streams, wherever they begin, and all objects that are none of these.
    fn walk(&mut self) -> Result<(), LoadError> {
        let file = self.file;
        let mut objects = memmem::find_iter(file, b"obj").peekable();
        let mut header = None;
        let mut at = 0;
        while let Some(next) = memchr::memchr(b'<', &file[at..]) {
            let begin = at + next;
            at = begin + 1;
            if file.get(at) != Some(&b'<') {
                continue;
            }
            while let Some(object) = objects.next_if(|object| *object < begin) {
                header = self.header(object)?.or(header);
            }
            self.dictionary(begin, header)?;
        }
        for object in objects {
            self.header(object)?;
        }
        Ok(())
    }

    /// The header of the object whose `obj` stands at a place.
    fn header(&mut self, at: usize) -> Result<Option<Header>, LoadError> {
        let before = at.checked_sub(1).and_then(|before| self.file.get(before));
        if !before.is_some_and(|byte| is_space(*byte) || byte.is_ascii_digit()) {
            return Ok(None);
        }
        let begin = self.lexer.space(at + 3).ok_or_else(tangled)?;
        let number = number_before(self.file, at);
        match self.lexer.byte(begin) {
            Some(b'0'..=b'9') => {
                if let (Some(number), Some((value, _))) = (number, self.lexer.number(begin))
                    && self.integers.len() < MOST_ENTRIES
                {
                    self.integers.insert(number, value);
                }
            }
            Some(_) if !self.lexer.begins(begin, b"<<") => {
                self.lexer.object(begin, 0);
                self.go_on()?;
            }
            _ => {}
        }
        Ok(Some(Header { begin, number }))
    }

    /// Takes up a dictionary, and the stream that it belongs to. `header` is the last one before it.
    fn dictionary(&mut self, begin: usize, header: Option<Header>) -> Result<(), LoadError> {
        self.count(1)?;
        let dictionary = self.lexer.dictionary(begin, 0);
        self.go_on()?;
        let Some(dictionary) = dictionary else {
            return Ok(());
        };
        if dictionary.get(Key::Root).is_some() {
            self.roots += 1;
            if let Some(encryption) = dictionary.get(Key::Encrypt) {
                self.encryptions.push((encryption, dictionary.get(Key::Id)));
            }
        }
        let own = header.filter(|header| header.begin == begin);
        let number = own.and_then(|header| header.number);
        let Some(found) = self.stream(begin, &dictionary, number)? else {
            return Ok(());
        };
        if self.is_object_stream(&dictionary) {
            self.named.extend(header.and_then(|header| header.number));
        }
        self.cross_reference(&found, &dictionary)?;
        self.streams.push(found);
        Ok(())
    }

    /// The stream that a dictionary belongs to, if it does to one.
    fn stream(
        &mut self,
        begin: usize,
        dictionary: &Dictionary,
        number: Option<u32>,
    ) -> Result<Option<Found>, LoadError> {
        let keyword = self.lexer.space(dictionary.end).ok_or_else(tangled)?;
        let data = data_after(self.file, keyword);
        Ok(data.map(|data| Found {
            dictionary: begin,
            keyword,
            data,
            number,
        }))
    }

    /// Whether a stream says that it holds objects, or says elsewhere what it is.
    fn is_object_stream(&mut self, dictionary: &Dictionary) -> bool {
        let Some(kind) = dictionary.get(Key::Type) else {
            return false;
        };
        match self.lexer.name(kind) {
            Some((name, _)) => &*name == b"ObjStm",
            None => self.lexer.reference(kind).is_some(),
        }
    }

    /// Takes up the entries of a stream that may be a table of places.
    fn cross_reference(&mut self, found: &Found, of: &Dictionary) -> Result<(), LoadError> {
        let (Some(size), Some(widths)) = (self.integer(of, Key::Size), self.widths(of)) else {
            return Ok(());
        };
        if !(1..=8).contains(&widths[1]) {
            return Ok(());
        }
        let Some(data) = self.measure_table(found, of)? else {
            return Ok(());
        };
        let sections = self.sections(of).unwrap_or_else(|| vec![(0, size)]);
        let typed = usize::from(widths[0] > 0);
        let mut entries = data.chunks_exact(typed + widths[1] + widths[2]);
        for (start, count) in sections {
            for (i, entry) in (0..count).zip(entries.by_ref()) {
                self.entries += 1;
                if self.entries > MOST_ENTRIES {
                    return Err(countless());
                }
                let kind = if typed == 0 { 1 } else { entry[0] };
                let value = entry[typed..typed + widths[1]].iter();
                let value = value.fold(0u64, |value, byte| value << 8 | u64::from(*byte));
                let number = u32::try_from(start.saturating_add(i)).ok();
                match kind {
                    1 => self.places.extend(number.map(|number| (number, value))),
                    2 => {
                        self.members.extend(number);
                        self.named.extend(u32::try_from(value).ok());
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Bytes of the parts of an entry.
    fn widths(&mut self, of: &Dictionary) -> Option<[usize; 3]> {
        let at = of.get(Key::W)?;
        if self.lexer.byte(at)? != b'[' {
            return None;
        }
        let (mut at, mut widths) = (at + 1, [0; 3]);
        for width in &mut widths {
            at = self.lexer.space(at)?;
            let (number, end) = self.lexer.number(at)?;
            *width = usize::from(u8::try_from(number).ok()?);
            at = end;
        }
        Some(widths)
    }

    /// First numbers and counts of the objects that a table is of.
    fn sections(&mut self, of: &Dictionary) -> Option<Vec<(u64, u64)>> {
        let at = of.get(Key::Index)?;
        if self.lexer.byte(at)? != b'[' {
            return None;
        }
        let (mut at, mut sections) = (at + 1, Vec::new());
        loop {
            at = self.lexer.space(at)?;
            let Some((start, end)) = self.lexer.number(at) else {
                return Some(sections);
            };
            at = self.lexer.space(end)?;
            let Some((count, end)) = self.lexer.number(at) else {
                return Some(sections);
            };
            sections.push((start, count));
            at = end;
        }
    }

    /// Adds the places that plain tables give for containers.
    fn tables(&mut self) -> Result<(), LoadError> {
        let file = self.file;
        let named = std::mem::take(&mut self.named);
        self.places.retain(|(number, _)| named.contains(number));
        for begin in memmem::find_iter(file, b"xref").filter(|_| !named.is_empty()) {
            let mut at = begin + 4;
            while let Some((start, count, entries)) = self.section(at) {
                let lines = file.get(entries..).unwrap_or_default().chunks_exact(20);
                let mut read = 0;
                for (i, line) in (0..count).zip(lines) {
                    read += 20;
                    self.spend(20)?;
                    let number = u32::try_from(start.saturating_add(i)).ok();
                    let place = std::str::from_utf8(&line[..10]).ok();
                    let place = place.and_then(|place| place.parse().ok());
                    if let (Some(number), Some(place)) = (number, place)
                        && named.contains(&number)
                    {
                        self.places.push((number, place));
                    }
                }
                self.spend(20)?;
                at = entries + read;
            }
        }
        self.named = named;
        self.go_on()
    }

    /// The head of a part of a plain table, and where its lines begin.
    fn section(&mut self, at: usize) -> Option<(u64, u64, usize)> {
        let at = self.lexer.space(at)?;
        let (start, end) = self.lexer.number(at)?;
        let at = self.lexer.space(end)?;
        let (count, end) = self.lexer.number(at)?;
        Some((start, count, self.lexer.space(end)?))
    }

    /// A whole number that a dictionary has itself.
    fn integer(&mut self, of: &Dictionary, key: Key) -> Option<u64> {
        let at = of.get(key)?;
        if self.lexer.reference(at).is_some() {
            return None;
        }
        self.lexer.number(at).map(|(number, _)| number)
    }

    fn count(&mut self, dictionaries: usize) -> Result<(), LoadError> {
        self.dictionaries += dictionaries;
        if self.dictionaries > self.most_dictionaries {
            return Err(countless());
        }
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), LoadError> {
        self.lexer.spend(bytes).ok_or_else(tangled)
    }

    fn go_on(&self) -> Result<(), LoadError> {
        if self.lexer.is_spent() {
            return Err(tangled());
        }
        Ok(())
    }
}

fn tangled() -> LoadError {
    LoadError::Damaged("its objects lie in each other as in no document".to_owned())
}

fn countless() -> LoadError {
    LoadError::Damaged("it has more objects than any document".to_owned())
}

/// Where the data of a stream begins whose `stream` stands at a place.
fn data_after(file: &[u8], keyword: usize) -> Option<usize> {
    let after = file.get(keyword..)?.strip_prefix(b"stream")?;
    let line_end = match after {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => return None,
    };
    Some(keyword + b"stream".len() + line_end)
}

/// Where the bytes of a kind begin that end at a place.
fn back(file: &[u8], end: usize, is: impl Fn(u8) -> bool) -> usize {
    let other = file[..end].iter().rposition(|byte| !is(*byte));
    other.map_or(0, |other| other + 1)
}

/// Whether a byte may be one of a number.
fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
}

/// Whether a number, or what may be taken for one, stands by itself before a place.
fn follows_number(file: &[u8], at: usize) -> bool {
    let end = back(file, at, is_space);
    let begin = back(file, end, is_of_number);
    let before = begin.checked_sub(1).and_then(|before| file.get(before));
    begin < end && before.is_none_or(|byte| !is_regular(*byte))
}

/// The number in the header of an object whose `obj` stands at a place.
fn number_before(file: &[u8], obj: usize) -> Option<u32> {
    let digit = |byte: u8| byte.is_ascii_digit();
    let end = back(file, obj, is_space);
    let generation = back(file, end, digit);
    let end_of_number = back(file, generation, is_space);
    let begin = back(file, end_of_number, digit);
    let is_part = begin > 0 && matches!(file[begin - 1], b'+' | b'-' | b'.');
    if generation == end || end_of_number == generation || is_part {
        return None;
    }
    std::str::from_utf8(&file[begin..end_of_number])
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests;
