//! `maskbench MODEL SCHEMAS [NAME]`: walks the valid and invalid instances of MaskBench (one schema a
//! line of JSON) token by token through the constraint of their schema, as if the model had written
//! them, and prints how many were judged wrongly and how long masks took. `NAME`: that schema alone.
//!
//! An object's members have no order (RFC 8259, 4), and a grammar wants them in one, that of the schema. So an
//! instance that is not taken as it is written is written anew with its members in the order that the
//! constraint takes, as MaskBench's authors do with theirs, and counted as such.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::cell::Cell;
use std::time::{Duration, Instant};

use praxis_core::Constraint;
use praxis_engine::{ChatEngine, ChatOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

#[derive(Deserialize)]
struct Case {
    name: String,
    schema: Value,
    tests: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    valid: bool,
    data: Value,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: maskbench MODEL SCHEMAS [NAME]";
    let model = arguments.next().ok_or(usage)?;
    let cases = std::fs::read_to_string(arguments.next().ok_or(usage)?)?;
    let only = arguments.next();
    let engine = ChatEngine::load(std::path::Path::new(&model), ChatOptions::default())?;
    let (mut masks, mut compiled) = (Vec::new(), Vec::new());
    let (mut schemas, mut unsupported, mut valid, mut invalid) = (0, 0, 0, 0);
    let (mut wrongly_accepted, mut wrongly_rejected, mut reordered) = (0, 0, 0);
    let (mut tokens, mut forced) = (0, 0);
    for line in cases.lines().filter(|line| !line.trim().is_empty()) {
        let case: Case = serde_json::from_str(line)?;
        if only.as_ref().is_some_and(|name| *name != case.name) {
            continue;
        }
        schemas += 1;
        let constraint = Constraint::JsonSchema(case.schema.clone());
        let started = Instant::now();
        if let Err(error) = engine.walk(&constraint, "") {
            println!("unsupported  {}: {error}", case.name);
            unsupported += 1;
            continue;
        }
        compiled.push(started.elapsed());
        for (i, test) in case.tests.iter().enumerate() {
            let walk = engine.walk(&constraint, &one_line(&test.data)?)?;
            masks.extend(walk.masks);
            tokens += walk.tokens;
            forced += walk.forced;
            let written = Written {
                engine: &engine,
                constraint: &constraint,
                wrong: Cell::new(0),
            };
            let anew = !walk.accepted && written.accepts(&test.data)?;
            valid += usize::from(test.valid);
            invalid += usize::from(!test.valid);
            reordered += usize::from(test.valid && anew);
            match (test.valid, walk.accepted || anew) {
                (true, false) => {
                    println!(
                        "rejected     {} {i} behind {:?}",
                        case.name,
                        tail(&walk.text)
                    );
                    wrongly_rejected += 1;
                }
                (false, true) => {
                    println!("accepted     {} {i}", case.name);
                    wrongly_accepted += 1;
                }
                _ => {}
            }
        }
    }
    println!(
        "{schemas} schemas, {unsupported} unsupported ({:.1} %); {invalid} invalid instances, \
         {wrongly_accepted} accepted; {valid} valid ones, {wrongly_rejected} rejected, {reordered} taken in \
         the order of their schema",
        100.0 * unsupported as f64 / f64::from(schemas.max(1)),
    );
    println!("{tokens} tokens, {forced} of them forced");
    for (what, times) in [("first mask of a schema", compiled), ("mask", masks)] {
        println!("{what}: {}", summary(times));
    }
    Ok(())
}

/// Beginnings that are not taken, at most, until an order of an instance's members is found.
const MOST_WRONG: u32 = 1000;

/// What a beginning goes on with; whether all of it was taken then.
type Then<'a> = &'a mut dyn FnMut(String) -> Result<bool, Failure>;

/// A value as the constraint takes it, if it takes it in any order of its members. Alternatives of a schema may begin
/// with the same members, so that what was taken at first is given up where nothing follows it.
struct Written<'a> {
    engine: &'a ChatEngine,
    constraint: &'a Constraint,
    wrong: Cell<u32>,
}

impl Written<'_> {
    fn accepts(&self, value: &Value) -> Result<bool, Failure> {
        self.put(String::new(), value, &mut |text| {
            Ok(self.engine.walk(self.constraint, &text)?.accepted)
        })
    }

    /// Goes on with the value behind `text`, in each way that is the beginning of what is taken, until one is taken
    /// whole.
    fn put(&self, text: String, value: &Value, then: Then<'_>) -> Result<bool, Failure> {
        match value {
            Value::Object(members) => {
                self.put_members(text + "{", true, &members.iter().collect::<Vec<_>>(), then)
            }
            Value::Array(items) => self.put_items(text + "[", true, items, then),
            Value::Number(number) => {
                let whole = number
                    .as_f64()
                    .filter(|n| n.fract() == 0.0 && n.abs() < 1e15);
                let forms = [Some(number.to_string()), whole.map(|n| format!("{n:.0}"))];
                for form in forms.into_iter().flatten() {
                    if self.go_on(format!("{text}{form}"), then)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            other => self.go_on(text + &one_line(other)?, then),
        }
    }

    fn put_items(
        &self,
        text: String,
        first: bool,
        items: &[Value],
        then: Then<'_>,
    ) -> Result<bool, Failure> {
        let Some((item, rest)) = items.split_first() else {
            return self.go_on(text + "]", then);
        };
        let comma = if first { "" } else { ", " };
        self.put(text + comma, item, &mut |text| {
            self.put_items(text, false, rest, then)
        })
    }

    fn put_members(
        &self,
        text: String,
        first: bool,
        members: &[(&String, &Value)],
        then: Then<'_>,
    ) -> Result<bool, Failure> {
        if members.is_empty() {
            return self.go_on(text + "}", then);
        }
        let comma = if first { "" } else { ", " };
        for (i, (name, value)) in members.iter().enumerate() {
            let mut rest = members.to_vec();
            rest.remove(i);
            let key = format!("{text}{comma}{}: ", one_line(&Value::from(name.as_str()))?);
            let found = self.go_on(key, &mut |text| {
                self.put(text, value, &mut |text| {
                    self.put_members(text, false, &rest, then)
                })
            })?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Goes on from the text, if it is the beginning of what is taken.
    fn go_on(&self, text: String, then: Then<'_>) -> Result<bool, Failure> {
        let wrong = self.wrong.get();
        if wrong == MOST_WRONG {
            return Ok(false);
        }
        if self.engine.begins(self.constraint, &text)? {
            return then(text);
        }
        self.wrong.set(wrong + 1);
        Ok(false)
    }
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times.get(place.min(times.len().saturating_sub(1))).copied()
    };
    let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|s| at(s).unwrap_or_default());
    format!("p50 {p50:?}, p90 {p90:?}, p99 {p99:?}, max {max:?}")
}

fn tail(text: &str) -> String {
    let skip = text.chars().count().saturating_sub(60);
    text.chars().skip(skip).collect()
}

/// JSON as the engine has it written: on one line, with `, ` and `: ` between.
fn one_line(value: &Value) -> Result<String, Failure> {
    struct OneLine;
    impl serde_json::ser::Formatter for OneLine {
        fn begin_array_value<W: ?Sized + std::io::Write>(
            &mut self,
            writer: &mut W,
            first: bool,
        ) -> std::io::Result<()> {
            writer.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_key<W: ?Sized + std::io::Write>(
            &mut self,
            writer: &mut W,
            first: bool,
        ) -> std::io::Result<()> {
            writer.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_value<W: ?Sized + std::io::Write>(
            &mut self,
            writer: &mut W,
        ) -> std::io::Result<()> {
            writer.write_all(b": ")
        }
    }
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, OneLine);
    value.serialize(&mut serializer)?;
    Ok(String::from_utf8(out)?)
}
