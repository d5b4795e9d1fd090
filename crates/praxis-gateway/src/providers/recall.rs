//! What a provider wants back with a model's calls and no client carries: the thoughts, signed by it, that came with
//! them. Kept in memory, by the calls' ids, for as many calls as there is room for, by number and by bytes; a provider
//! has a way to go on without.

use std::collections::{HashMap, VecDeque};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// Calls that are remembered.
const MOST: usize = 4096;

/// The most bytes of what is remembered with a call.
const LONGEST: usize = 256 << 10;

/// The most bytes of all that is remembered, as JSON has it.
const MOST_BYTES: usize = 64 << 20;

#[derive(Default)]
struct Memory {
    by_call: HashMap<String, Kept>,
    /// Oldest first.
    order: VecDeque<String>,
    /// Bytes of all values.
    bytes: usize,
}

/// What came with a call.
struct Kept {
    value: Value,
    bytes: usize,
}

static MEMORY: LazyLock<Mutex<Memory>> = LazyLock::new(Mutex::default);

fn memory() -> MutexGuard<'static, Memory> {
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what came with a call.
pub(super) fn keep(call: &str, value: Value) {
    memory().keep(call, value);
}

/// What came with a call.
pub(super) fn of(call: &str) -> Option<Value> {
    memory().of(call)
}

impl Memory {
    fn of(&self, call: &str) -> Option<Value> {
        self.by_call.get(call).map(|kept| kept.value.clone())
    }

    fn keep(&mut self, call: &str, value: Value) {
        // With the id, which is there twice.
        let bytes = value.to_string().len() + 2 * call.len();
        if call.is_empty() || bytes > LONGEST {
            return;
        }
        self.bytes += bytes;
        match self.by_call.insert(call.to_owned(), Kept { value, bytes }) {
            Some(before) => self.bytes -= before.bytes,
            None => self.order.push_back(call.to_owned()),
        }
        while (self.order.len() > MOST || self.bytes > MOST_BYTES)
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.by_call.remove(&oldest);
            self.bytes -= gone.map_or(0, |kept| kept.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_came_with_a_call_is_remembered_until_others_need_the_room() {
        let mut memory = Memory::default();
        memory.keep("first", json!({ "a": 1 }));
        memory.keep("", json!(1));
        assert_eq!(memory.of("first"), Some(json!({ "a": 1 })));
        assert_eq!((memory.of(""), memory.of("other")), (None, None));
        for i in 0..MOST {
            memory.keep(&format!("call {i}"), json!(i));
        }
        assert_eq!(memory.of("first"), None);
        assert_eq!(memory.of("call 5"), Some(json!(5)));
        memory.keep("call 5", json!("x".repeat(LONGEST)));
        assert_eq!(memory.of("call 5"), Some(json!(5)));
        assert_eq!(memory.by_call.len(), memory.order.len());
    }

    #[test]
    fn long_thoughts_take_so_many_bytes_together_and_no_more() {
        let mut memory = Memory::default();
        let long = json!("x".repeat(LONGEST - 100));
        let calls = MOST_BYTES / LONGEST + 10;
        for i in 0..calls {
            memory.keep(&format!("call {i}"), long.clone());
            assert!(memory.bytes <= MOST_BYTES, "{}", memory.bytes);
        }
        assert_eq!(memory.of("call 0"), None);
        assert!(memory.of(&format!("call {}", calls - 1)).is_some());
        // What is kept again counts once.
        let before = memory.bytes;
        memory.keep(&format!("call {}", calls - 1), long);
        assert_eq!(memory.bytes, before);
        let all: usize = memory.by_call.values().map(|kept| kept.bytes).sum();
        assert_eq!(memory.bytes, all);
    }
}
