//! What a provider wants back with a model's calls and no client carries: the thoughts, signed by it, that came with
//! them. Kept in memory, by the calls' ids, for as many calls as there is room for; a provider has a way to go on
//! without.

use std::collections::{HashMap, VecDeque};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// Calls that are remembered.
const MOST: usize = 4096;

/// The most bytes of what is remembered with a call.
const LONGEST: usize = 256 << 10;

#[derive(Default)]
struct Memory {
    by_call: HashMap<String, Value>,
    /// Oldest first.
    order: VecDeque<String>,
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
    memory().by_call.get(call).cloned()
}

impl Memory {
    fn keep(&mut self, call: &str, value: Value) {
        if call.is_empty() || value.to_string().len() > LONGEST {
            return;
        }
        if self.by_call.insert(call.to_owned(), value).is_none() {
            self.order.push_back(call.to_owned());
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.by_call.remove(&oldest);
            }
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
        let of = |memory: &Memory, call: &str| memory.by_call.get(call).cloned();
        assert_eq!(of(&memory, "first"), Some(json!({ "a": 1 })));
        assert_eq!((of(&memory, ""), of(&memory, "other")), (None, None));
        for i in 0..MOST {
            memory.keep(&format!("call {i}"), json!(i));
        }
        assert_eq!(of(&memory, "first"), None);
        assert_eq!(of(&memory, "call 5"), Some(json!(5)));
        memory.keep("call 5", json!("x".repeat(LONGEST)));
        assert_eq!(of(&memory, "call 5"), Some(json!(5)));
        assert_eq!(memory.by_call.len(), memory.order.len());
    }
}
