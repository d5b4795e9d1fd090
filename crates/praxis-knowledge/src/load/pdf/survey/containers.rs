//! The containers of a PDF, measured: what they unpack to, and what hayro-syntax keeps of it. Those of an encrypted file
//! are decrypted first. Left out: which streams may be containers (`survey`).

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem;

use super::super::lexer::{Dictionary, Key, is_space};
use super::super::unpack::{Packing, Step, unpack_leniently};
use super::super::{LoadError, nesting};
use super::chain::{Chain, chain};
use super::sealed::{self, Seal};
use super::{Found, Survey, number_before, tangled};

/// Bytes that hayro-syntax keeps for an object in a container, which takes four bytes there at least.
const MEMBER: u64 = 36;
const LEAST_MEMBER: u64 = 4;

/// Bytes of containers that may be unpacked again to find the right trailer of a broken file.
const RETRIES: u64 = 8 << 30;

/// Encryptions that a file may be taken to have, and how often an object may be there in it, from changes of the file.
const MOST_SEALS: usize = 4;
const MOST_BATCHES: usize = 64;

/// A container of an encrypted file.
struct Sealed<'a> {
    found: Found,
    number: u32,
    steps: Vec<Step>,
    data: &'a [u8],
    members: Option<u64>,
}

impl<'a> Survey<'a> {
    /// Measures the streams that may hold objects.
    ///
    /// # Errors
    /// [`LoadError::TooLarge`], [`LoadError::Damaged`].
    pub(super) fn containers(&mut self) -> Result<(), LoadError> {
        let mut sealed = Vec::new();
        for found in self.candidates()? {
            let dictionary = self.lexer.dictionary(found.dictionary, 0);
            self.go_on()?;
            let Some(dictionary) = dictionary else {
                continue;
            };
            let members = self.integer(&dictionary, Key::N);
            self.measure(&found, &dictionary, members)?;
            if !self.encryptions.is_empty() {
                sealed.extend(self.seal(&found, &dictionary, members));
            }
        }
        self.unseal(&sealed)?;
        if self.roots.saturating_mul(self.largest) > RETRIES {
            return Err(tangled());
        }
        Ok(())
    }

    /// The streams whose number is that of a container, and those of no certain number.
    fn candidates(&mut self) -> Result<Vec<Found>, LoadError> {
        let is_one = |found: &&Found| match found.number {
            Some(number) => self.named.contains(&number),
            None => true,
        };
        let mut all: Vec<Found> = self.streams.iter().filter(is_one).copied().collect();
        let mut known: HashSet<usize> = all.iter().map(|found| found.dictionary).collect();
        // A table may name a place within a number or a name, at which no object begins otherwise.
        for (number, place) in std::mem::take(&mut self.places) {
            let begin = self.object_at(place);
            self.go_on()?;
            if let Some(begin) = begin
                && self.named.contains(&number)
                && known.insert(begin)
                && let Some(dictionary) = self.lexer.dictionary(begin, 0)
            {
                all.extend(self.stream(begin, &dictionary, Some(number))?);
            }
        }
        Ok(all)
    }

    /// The dictionary of the object whose header begins at a place.
    fn object_at(&mut self, place: u64) -> Option<usize> {
        let (_, end) = self.lexer.number(usize::try_from(place).ok()?)?;
        let next = self.lexer.space(end)?;
        let (_, end) = self.lexer.number(next)?;
        let next = self.lexer.space(end)?;
        if !self.lexer.begins(next, b"obj") {
            return None;
        }
        let begin = self.lexer.space(next + 3)?;
        self.lexer.begins(begin, b"<<").then_some(begin)
    }

    /// What a table of places unpacks to; `None` for one that is refused, or never unpacked.
    ///
    /// # Errors
    /// [`LoadError::TooLarge`].
    pub(super) fn measure_table(
        &mut self,
        found: &Found,
        dictionary: &Dictionary,
    ) -> Result<Option<Vec<u8>>, LoadError> {
        match chain(&mut self.lexer, dictionary) {
            Chain::Picture => Ok(None),
            Chain::Odd => {
                self.refused.insert(found.keyword);
                Ok(None)
            }
            Chain::Steps(steps) => {
                // It is read before any other object, so that a length that is one is not known.
                let length = self.integer(dictionary, Key::Length);
                match self.data(found, length) {
                    Some(data) => self.unpack(data.into(), &steps, Some(0)).map(Some),
                    None => Ok(None),
                }
            }
        }
    }

    /// Measures a container of so many members as it stands in the file.
    fn measure(
        &mut self,
        found: &Found,
        dictionary: &Dictionary,
        members: Option<u64>,
    ) -> Result<(), LoadError> {
        let steps = match chain(&mut self.lexer, dictionary) {
            Chain::Picture => return Ok(()),
            Chain::Odd => None,
            Chain::Steps(steps) => Some(steps),
        };
        let length = dictionary.get(Key::Length);
        let elsewhere = length.is_some_and(|at| self.lexer.reference(at).is_some());
        let length = self.integer(dictionary, Key::Length);
        let data = match &steps {
            Some(_) if !elsewhere => self.data(found, length),
            // Deflate ends by itself, and earlier only where it is cut.
            Some(steps) if matches!(steps.as_slice(), [(Packing::Flate, _)]) => {
                self.file.get(found.data..)
            }
            _ => None,
        };
        if let (Some(steps), Some(data)) = (steps, data) {
            self.unpack(data.into(), &steps, members)?;
        } else {
            self.refused.insert(found.keyword);
        }
        Ok(())
    }

    /// The data of a stream: as long as it says, if `endstream` stands there, else up to that.
    fn data(&self, found: &Found, length: Option<u64>) -> Option<&'a [u8]> {
        let rest = self.file.get(found.data..)?;
        let length = length.and_then(|length| usize::try_from(length).ok());
        if let Some((data, after)) = length.and_then(|length| rest.split_at_checked(length)) {
            let begin = after.iter().position(|byte| !is_space(*byte));
            if begin.is_some_and(|begin| after[begin..].starts_with(b"endstream")) {
                return Some(data);
            }
        }
        let data = &rest[..memmem::find(rest, b"endstream")?];
        let end = data.iter().rposition(|byte| !is_space(*byte));
        Some(&data[..end.map_or(0, |end| end + 1)])
    }

    /// Unpacks a container, to see what it takes.
    fn unpack(
        &mut self,
        packed: Cow<'_, [u8]>,
        steps: &[Step],
        members: Option<u64>,
    ) -> Result<Vec<u8>, LoadError> {
        let left = usize::try_from(self.bound - self.used).unwrap_or(usize::MAX);
        let Some((data, largest)) = unpack_leniently(packed, steps, left) else {
            return Err(self.too_large());
        };
        let size = largest as u64;
        let members = members.unwrap_or(u64::MAX).min(size / LEAST_MEMBER);
        self.used += size + members * MEMBER;
        if self.used > self.bound {
            return Err(self.too_large());
        }
        self.largest = self.largest.max(size);
        self.count(memmem::find_iter(&data, b"<<").count())?;
        if nesting::is_abyss(&data) {
            return Err(nesting::too_deep());
        }
        Ok(data.into_owned())
    }

    /// A container of an encrypted file, to be decrypted; `None` for one that is refused, or never unpacked.
    fn seal(
        &mut self,
        found: &Found,
        dictionary: &Dictionary,
        members: Option<u64>,
    ) -> Option<Sealed<'a>> {
        let steps = match chain(&mut self.lexer, dictionary) {
            Chain::Picture => return None,
            Chain::Odd => None,
            Chain::Steps(steps) => Some(steps),
        };
        let length = dictionary.get(Key::Length).and_then(|at| {
            let Some(number) = self.lexer.reference(at) else {
                return self.lexer.number(at).map(|(length, _)| length);
            };
            self.integers.get(&u32::try_from(number).ok()?).copied()
        });
        if let (Some(steps), Some(number), Some(data)) =
            (steps, found.number, self.data(found, length))
        {
            return Some(Sealed {
                found: *found,
                number,
                steps,
                data,
                members,
            });
        }
        self.refused.insert(found.keyword);
        None
    }

    /// Decrypts and measures containers, by each encryption that the file may be taken to have. Those that cannot be
    /// decrypted are refused.
    fn unseal(&mut self, sealed: &[Sealed<'a>]) -> Result<(), LoadError> {
        if self.encryptions.is_empty() {
            return Ok(());
        }
        let bytes: usize = sealed.iter().map(|one| one.data.len()).sum();
        if bytes > 2 * self.file.len() {
            return Err(tangled());
        }
        let seals = self.seals()?;
        if seals.is_empty() {
            let keywords = sealed.iter().map(|one| one.found.keyword);
            self.refused.extend(keywords);
        }
        let (batches, left) = batches(sealed);
        self.refused
            .extend(left.iter().map(|one| one.found.keyword));
        for seal in seals {
            for batch in &batches {
                self.unseal_by(seal, batch)?;
            }
        }
        Ok(())
    }

    fn unseal_by(&mut self, seal: Seal<'a>, batch: &[&Sealed<'a>]) -> Result<(), LoadError> {
        let streams: Vec<(u32, &[u8])> = batch.iter().map(|one| (one.number, one.data)).collect();
        let Some(opened) = sealed::open(seal, &streams) else {
            let keywords = batch.iter().map(|one| one.found.keyword);
            self.refused.extend(keywords);
            return Ok(());
        };
        for (one, data) in batch.iter().zip(opened) {
            self.unpack(Cow::Owned(data), &one.steps, one.members)?;
        }
        Ok(())
    }

    /// The encryptions that the file's trailers have; none where one of them may be elsewhere.
    pub(super) fn seals(&mut self) -> Result<Vec<Seal<'a>>, LoadError> {
        let mut seals: Vec<Seal<'a>> = Vec::new();
        let mut known = HashSet::new();
        for (at, id) in std::mem::take(&mut self.encryptions) {
            let id = id.and_then(|at| self.first_at(at)).unwrap_or_default();
            let number = self.lexer.reference(at);
            self.go_on()?;
            // Each change of a file repeats what was said before.
            if number.is_some_and(|number| !known.insert((number, id))) {
                continue;
            }
            let Some(dictionaries) = self.encryptions_at(at) else {
                self.go_on()?;
                return Ok(Vec::new());
            };
            for dictionary in dictionaries {
                let seal = Seal { dictionary, id };
                if !seals.contains(&seal) {
                    seals.push(seal);
                }
            }
            if seals.len() > MOST_SEALS {
                return Ok(Vec::new());
            }
        }
        Ok(seals)
    }

    /// The dictionaries of encryption that a trailer has at a place, or may refer to there.
    fn encryptions_at(&mut self, at: usize) -> Option<Vec<&'a [u8]>> {
        let mut begins = Vec::new();
        if self.lexer.begins(at, b"<<") {
            begins.push(at);
        } else {
            let number = u32::try_from(self.lexer.reference(at)?).ok()?;
            // All of the file is looked through for it.
            self.lexer.spend(self.file.len() + self.members.len())?;
            if self.members.contains(&number) {
                return None;
            }
            for object in memmem::find_iter(self.file, b"obj") {
                if number_before(self.file, object) == Some(number) {
                    let begin = self.lexer.space(object + 3)?;
                    begins.extend(Some(begin).filter(|begin| self.lexer.begins(*begin, b"<<")));
                }
            }
        }
        let mut all = Vec::with_capacity(begins.len());
        for begin in begins {
            let end = self.lexer.dictionary(begin, 0)?.end;
            all.push(self.file.get(begin..end)?);
        }
        Some(all)
    }

    /// The first object of the array at a place.
    fn first_at(&mut self, at: usize) -> Option<&'a [u8]> {
        if self.lexer.byte(at)? != b'[' {
            return None;
        }
        let begin = self.lexer.space(at + 1)?;
        let end = self.lexer.object(begin, 0)?;
        self.file.get(begin..end)
    }

    fn too_large(&self) -> LoadError {
        LoadError::TooLarge {
            size: self.bound + 1,
            limit: self.bound,
        }
    }
}

/// Some of the containers.
type Batch<'s, 'a> = Vec<&'s Sealed<'a>>;

/// Containers in groups of which none has a number twice, and what is left of those that are there too often.
fn batches<'s, 'a>(sealed: &'s [Sealed<'a>]) -> (Vec<Batch<'s, 'a>>, Batch<'s, 'a>) {
    let mut batches = Vec::new();
    let mut left: Batch<'s, 'a> = sealed.iter().collect();
    while !left.is_empty() && batches.len() < MOST_BATCHES {
        let mut numbers = HashSet::new();
        let (batch, later): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|one| numbers.insert(one.number));
        batches.push(batch);
        left = later;
    }
    (batches, left)
}
