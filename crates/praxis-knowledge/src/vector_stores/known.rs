//! Filters by keys that no file has: OpenAI's API lets them hold of nothing, or, where they are negated, of
//! everything, while a base's file declares what there is and a wrong key is a mistake.

use praxis_core::Filter;

/// A filter without a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reduced {
    /// It holds of every document.
    All,
    /// It holds of none.
    None,
    /// It holds where this does.
    Rest(Filter),
}

/// A filter as it is where no document has `key`.
pub(super) fn without(filter: Filter, key: &str) -> Reduced {
    match filter {
        Filter::Compare(comparison) if comparison.key == key => {
            match comparison.operator.is_negated() {
                true => Reduced::All,
                false => Reduced::None,
            }
        }
        Filter::Compare(_) => Reduced::Rest(filter),
        Filter::And(filters) => join(filters, key, Reduced::All, Reduced::None, Filter::And),
        Filter::Or(filters) => join(filters, key, Reduced::None, Reduced::All, Filter::Or),
    }
}

/// Filters joined: `neutral` ones change nothing, a `deciding` one decides.
fn join(
    filters: Vec<Filter>,
    key: &str,
    neutral: Reduced,
    deciding: Reduced,
    joined: fn(Vec<Filter>) -> Filter,
) -> Reduced {
    let mut rest = Vec::with_capacity(filters.len());
    for filter in filters {
        match without(filter, key) {
            Reduced::Rest(filter) => rest.push(filter),
            reduced if reduced == deciding => return deciding,
            _ => {}
        }
    }
    match rest.len() {
        0 => neutral,
        _ => Reduced::Rest(joined(rest)),
    }
}
