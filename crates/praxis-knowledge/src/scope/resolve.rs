//! From a filter to the documents that it holds of: each comparison becomes ranges of values, by the types
//! that its key has in the base, and each range a set that the store's index gives. A filter over sets is
//! then asked document by document. What only documents have that the caller may not read is as if it
//! were not there, also in errors.

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use praxis_core::filter::{Comparison, Operator, Scalar, unknown_key};
use praxis_core::metadata::{Kind, interval};
use praxis_core::{CallError, ErrorCode, Filter};
use praxis_store::ValueRange;
use praxis_vectors::IdSet;

use super::{Known, MAX_KEYS, Scoping};
use crate::knowledge::internal;

/// Makes sets of a filter.
pub(super) struct Resolver<'a> {
    pub scoping: &'a Scoping<'a>,
    /// What the caller may read, where that is not everything.
    pub known: Option<&'a Known>,
}

/// A filter over sets of documents.
#[derive(Debug)]
pub(super) enum Node {
    /// Documents in a set, or those that are not in it.
    Set {
        documents: IdSet,
        negated: bool,
    },
    And(Vec<Node>),
    Or(Vec<Node>),
}

impl Node {
    /// Whether the filter holds of the document that a generation wrote.
    pub fn holds(&self, document: u64) -> bool {
        match self {
            Self::Set { documents, negated } => documents.contains(document) != *negated,
            Self::And(nodes) => nodes.iter().all(|node| node.holds(document)),
            Self::Or(nodes) => nodes.iter().any(|node| node.holds(document)),
        }
    }
}

impl Resolver<'_> {
    /// The filter over sets.
    ///
    /// # Errors
    /// As [`Scoping::scope`].
    pub async fn resolve(&self, filter: &Filter) -> Result<Node, CallError> {
        let mut comparisons = Vec::new();
        comparisons_of(filter, &mut comparisons);
        let mut sets = Vec::with_capacity(comparisons.len());
        for comparison in comparisons {
            sets.push(self.documents(comparison).await?);
        }
        let mut sets = sets.into_iter();
        Ok(node(filter, &mut sets))
    }

    /// The documents that a comparison, or the opposite of a negated one, holds of.
    async fn documents(&self, comparison: &Comparison) -> Result<IdSet, CallError> {
        let kinds = self.kinds(&comparison.key).await?;
        if kinds.is_empty() {
            let base = self.scoping.base;
            return Err(unknown_key(base, &comparison.key, &self.keys().await?));
        }
        let mut documents = Vec::new();
        for value in &comparison.values {
            let ranges: Vec<ValueRange> = kinds
                .iter()
                .filter_map(|kind| range(comparison.operator, value, *kind))
                .collect();
            if ranges.is_empty() {
                return Err(unfit(self.scoping.base, comparison, value, &kinds));
            }
            for range in &ranges {
                documents.extend(self.having(&comparison.key, range).await?);
            }
        }
        Ok(documents.into_iter().collect())
    }

    /// The types of a key's values, of documents that the caller may read.
    async fn kinds(&self, key: &str) -> Result<Vec<Kind>, CallError> {
        let Scoping { store, base, .. } = self.scoping;
        let mut kinds = store.kinds_of(base, key).await.map_err(internal)?;
        if let Some(known) = self.known {
            let mut seen = Vec::new();
            for kind in kinds {
                let having = self.having(key, &ValueRange::All(kind)).await?;
                if having.iter().any(|d| known.documents.contains(*d)) {
                    seen.push(kind);
                }
            }
            kinds = seen;
        }
        Ok(kinds)
    }

    /// The keys that there are for the caller; some of them, of many.
    async fn keys(&self) -> Result<Vec<String>, CallError> {
        let Scoping { store, base, .. } = self.scoping;
        let all = || async { store.keys(base, MAX_KEYS).await.map_err(internal) };
        let Some(known) = self.known else {
            return all().await;
        };
        let keys = known.keys.get_or_try_init(|| async {
            let mut keys = Vec::new();
            for key in all().await? {
                if !self.kinds(&key).await?.is_empty() {
                    keys.push(key);
                }
            }
            Ok::<_, CallError>(keys)
        });
        keys.await.cloned()
    }

    async fn having(&self, key: &str, range: &ValueRange) -> Result<Vec<u64>, CallError> {
        let Scoping { store, base, .. } = self.scoping;
        store
            .documents_with(base, key, range)
            .await
            .map_err(internal)
    }
}

/// The comparisons of a filter, in the order in which [`node`] comes to them.
fn comparisons_of<'a>(filter: &'a Filter, found: &mut Vec<&'a Comparison>) {
    match filter {
        Filter::Compare(comparison) => found.push(comparison),
        Filter::And(filters) | Filter::Or(filters) => {
            filters
                .iter()
                .for_each(|inner| comparisons_of(inner, found));
        }
    }
}

fn node(filter: &Filter, sets: &mut impl Iterator<Item = IdSet>) -> Node {
    let mut all = |filters: &[Filter]| filters.iter().map(|f| node(f, &mut *sets)).collect();
    match filter {
        Filter::And(filters) => Node::And(all(filters)),
        Filter::Or(filters) => Node::Or(all(filters)),
        Filter::Compare(comparison) => Node::Set {
            documents: sets.next().unwrap_or_default(),
            negated: comparison.operator.is_negated(),
        },
    }
}

/// The values of a type that compare so with `value`; nothing where they cannot be compared. Of a negated
/// operator, those of its opposite.
fn range(operator: Operator, value: &Scalar, kind: Kind) -> Option<ValueRange> {
    match kind {
        Kind::Text => {
            let Scalar::Text(text) = value else {
                return None;
            };
            let (low, high) = between(operator, text.clone(), text.clone(), true);
            Some(ValueRange::Text(low, high))
        }
        Kind::Number => {
            let number = match value {
                Scalar::Number(number) => *number,
                Scalar::Text(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite())?,
                Scalar::Bool(_) => return None,
            };
            let (low, high) = between(operator, number, number, true);
            Some(ValueRange::Number(kind, low, high))
        }
        Kind::Bool => {
            let value = match value {
                Scalar::Bool(value) => *value,
                Scalar::Text(text) => text.trim().parse().ok()?,
                Scalar::Number(_) => return None,
            };
            let number = f64::from(u8::from(value));
            let ordered = !matches!(
                operator,
                Operator::Equal | Operator::NotEqual | Operator::In | Operator::NotIn
            );
            let (low, high) = between(operator, number, number, true);
            (!ordered).then_some(ValueRange::Number(kind, low, high))
        }
        Kind::Date => {
            let (start, end) = match value {
                Scalar::Number(number) => (*number, *number),
                Scalar::Text(text) => interval(text.trim())?,
                Scalar::Bool(_) => return None,
            };
            let (low, high) = between(operator, start, end, start == end);
            Some(ValueRange::Number(kind, low, high))
        }
    }
}

/// The bounds of what compares so with all that is from `start` to `end`, which is a part of it or the
/// first after it.
fn between<T>(operator: Operator, start: T, end: T, end_is_part: bool) -> (Bound<T>, Bound<T>) {
    let up_to_end = |end| {
        if end_is_part {
            Included(end)
        } else {
            Excluded(end)
        }
    };
    match operator {
        Operator::Equal | Operator::NotEqual | Operator::In | Operator::NotIn => {
            (Included(start), up_to_end(end))
        }
        Operator::Greater if end_is_part => (Excluded(end), Unbounded),
        Operator::Greater => (Included(end), Unbounded),
        Operator::GreaterOrEqual => (Included(start), Unbounded),
        Operator::Less => (Unbounded, Excluded(start)),
        Operator::LessOrEqual => (Unbounded, up_to_end(end)),
    }
}

fn unfit(base: &str, comparison: &Comparison, value: &Scalar, kinds: &[Kind]) -> CallError {
    let has: Vec<&str> = kinds.iter().map(|kind| kind.plural()).collect();
    let key = &comparison.key;
    let message = format!(
        "`{key}` of `{base}` is {}, which `{}` cannot compare with `{value}`",
        has.join(" or "),
        comparison.operator.name()
    );
    let hint = match kinds {
        [Kind::Date] => "write a day or a moment, such as 2026-01-31 or 2026-01-31T09:30:00Z",
        [Kind::Number] => "write a number",
        [Kind::Bool] => "write true or false, and compare by `eq`, `ne`, `in` or `nin`",
        [Kind::Text] => "write a text, in quotes",
        _ => "write a value of one of these types",
    };
    CallError::new(ErrorCode::InvalidRequest, message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_by_the_type_of_the_key() {
        use Operator::*;
        let text = |t: &str| Scalar::Text(t.to_owned());
        let number = |low, high| Some(ValueRange::Number(Kind::Number, low, high));
        let date = |low, high| Some(ValueRange::Number(Kind::Date, low, high));
        let (day, next) = (86_400.0, 172_800.0);
        for (operator, value, kind, want) in [
            (
                Equal,
                text("7"),
                Kind::Number,
                number(Included(7.0), Included(7.0)),
            ),
            (
                Less,
                Scalar::Number(7.0),
                Kind::Number,
                number(Unbounded, Excluded(7.0)),
            ),
            (Equal, text("seven"), Kind::Number, None),
            (Equal, Scalar::Number(7.0), Kind::Text, None),
            (Equal, Scalar::Bool(true), Kind::Date, None),
            (
                Equal,
                text("1970-01-02"),
                Kind::Date,
                date(Included(day), Excluded(next)),
            ),
            (
                Greater,
                text("1970-01-02"),
                Kind::Date,
                date(Included(next), Unbounded),
            ),
            (
                LessOrEqual,
                text("1970-01-02"),
                Kind::Date,
                date(Unbounded, Excluded(next)),
            ),
            (
                Less,
                text("1970-01-02"),
                Kind::Date,
                date(Unbounded, Excluded(day)),
            ),
            (
                Greater,
                text("1970-01-02T00:00:00Z"),
                Kind::Date,
                date(Excluded(day), Unbounded),
            ),
            (
                GreaterOrEqual,
                Scalar::Number(day),
                Kind::Date,
                date(Included(day), Unbounded),
            ),
            (
                NotIn,
                text("true"),
                Kind::Bool,
                Some(ValueRange::Number(Kind::Bool, Included(1.0), Included(1.0))),
            ),
            (Less, text("true"), Kind::Bool, None),
        ] {
            assert_eq!(
                range(operator, &value, kind),
                want,
                "{operator:?} {value} {kind:?}"
            );
        }
    }

    #[test]
    fn a_filter_over_sets_is_asked_document_by_document() {
        let set = |ids: &[u64], negated| Node::Set {
            documents: ids.iter().copied().collect(),
            negated,
        };
        let node = Node::And(vec![
            Node::Or(vec![set(&[1, 2], false), set(&[3], false)]),
            set(&[2], true),
        ]);
        let held: Vec<u64> = (0..5).filter(|d| node.holds(*d)).collect();
        assert_eq!(held, [1, 3]);
    }
}
