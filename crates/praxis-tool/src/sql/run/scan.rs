//! How many rows a query of PostgreSQL looks at, about, from its plan and the sizes of its tables.
//!
//! A plan says what each step gives (`Plan Rows`). A scan with a filter gives few of the rows that it looks at, and the
//! inner side of a loop is gone through for each row of the outer one, so that neither is the number of the limit. Left
//! out: asking for the plan (`postgres`).
//!
//! Sources: PostgreSQL 17, "Using EXPLAIN", "Planner Cost Constants", "How the Planner Uses Statistics".

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

/// What looking at a row through an index costs at least: `cpu_tuple_cost` and `cpu_index_tuple_cost`.
const ROW_COST: f64 = 0.015;

/// Tables of a plan whose sizes are asked for.
const MAX_TABLES: usize = 200;

/// Rows of tables, by schema and name.
pub(super) type Sizes = HashMap<(String, String), f64>;

/// Names that plans give of a table: `VERBOSE` adds the schema.
fn table(node: &Value) -> Option<(String, String)> {
    let name = node["Relation Name"].as_str()?;
    let schema = node["Schema"].as_str().unwrap_or_default();
    Some((schema.to_owned(), name.to_owned()))
}

/// The tables that a plan reads.
pub(super) fn tables(plan: &Value) -> Vec<(String, String)> {
    let mut found = BTreeSet::new();
    gather(plan, &mut found);
    found.into_iter().take(MAX_TABLES).collect()
}

fn gather(node: &Value, found: &mut BTreeSet<(String, String)>) {
    found.extend(table(node));
    for below in children(node) {
        gather(below, found);
    }
}

/// Rows that the largest step of a plan looks at.
pub(super) fn rows(plan: &Value, sizes: &Sizes) -> Option<f64> {
    given(plan)?;
    Some(step(plan, 1.0, sizes))
}

fn given(node: &Value) -> Option<f64> {
    node["Plan Rows"].as_f64()
}

fn children(node: &Value) -> impl Iterator<Item = &Value> {
    node["Plans"].as_array().into_iter().flatten()
}

/// The largest of a step that is done `times` and of those below it.
fn step(node: &Value, times: f64, sizes: &Sizes) -> f64 {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let outer = children(node)
        .find(|below| below["Parent Relationship"] == "Outer")
        .and_then(given);
    let looped = kind == "Nested Loop";
    let own = scanned(node, kind, sizes).max(given(node).unwrap_or_default());
    // What a subquery of an expression is done for.
    let each = own.max(outer.unwrap_or_default()).max(1.0);
    let mut largest = own * times;
    let mut together = 0.0;
    for below in children(node) {
        let inner = below["Parent Relationship"] == "Inner";
        let often = match below["Parent Relationship"].as_str() {
            Some("Inner") if looped && !is_kept(below) => times * outer.unwrap_or(1.0).max(1.0),
            Some("SubPlan") if !is_hashed(node, below) => times * each,
            _ => times,
        };
        if looped && inner {
            let pairs = outer.unwrap_or(1.0).max(1.0) * given(below).unwrap_or(1.0).max(1.0);
            largest = largest.max(pairs * times);
        }
        let looked = step(below, often, sizes);
        together += looked;
        largest = largest.max(looked);
    }
    // Parts of one table are looked at one after the other.
    match kind {
        "Append" | "Merge Append" => largest.max(together),
        _ => largest,
    }
}

/// Rows of its table that a scan looks at, once.
fn scanned(node: &Value, kind: &str, sizes: &Sizes) -> f64 {
    let Some(all) = table(node).and_then(|table| sizes.get(&table).copied()) else {
        return 0.0;
    };
    match kind {
        "Seq Scan" | "Sample Scan" | "Foreign Scan" => all,
        "Index Scan" | "Index Only Scan" if node["Index Cond"].is_null() => all,
        // What the index leaves to the filter is not said, but cannot be more than what it costs.
        "Index Scan" | "Index Only Scan" if !node["Filter"].is_null() => {
            let cost = node["Total Cost"].as_f64().unwrap_or(f64::INFINITY);
            all.min(cost / ROW_COST)
        }
        _ => 0.0,
    }
}

/// Whether what a step gives is kept for the next time.
fn is_kept(node: &Value) -> bool {
    matches!(node["Node Type"].as_str(), Some("Materialize" | "Memoize"))
}

/// Whether a subquery of an expression is done once, and its rows are looked up.
fn is_hashed(node: &Value, below: &Value) -> bool {
    let Some(name) = below["Subplan Name"].as_str() else {
        return false;
    };
    let hashed = format!("hashed {name}");
    let Some(parts) = node.as_object() else {
        return false;
    };
    parts
        .iter()
        .filter(|(key, _)| *key != "Plans")
        .any(|(_, value)| value.to_string().contains(&hashed))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sizes() -> Sizes {
        let of = |name: &str, rows: f64| (("public".to_owned(), name.to_owned()), rows);
        [of("events", 1e9), of("orders", 1e6), of("users", 1000.0)]
            .into_iter()
            .collect()
    }

    fn scan(kind: &str, table: &str, rows: f64) -> Value {
        json!({ "Node Type": kind, "Relation Name": table, "Schema": "public", "Plan Rows": rows, "Total Cost": 30.0 })
    }

    fn with(mut node: Value, key: &str, value: Value) -> Value {
        node[key] = value;
        node
    }

    #[test]
    fn a_scan_with_a_filter_looks_at_all_rows_whatever_it_gives() {
        let filtered = with(
            scan("Seq Scan", "events", 1.0),
            "Filter",
            json!("(payload = 'x')"),
        );
        let counted = json!({ "Node Type": "Aggregate", "Plan Rows": 1, "Plans": [filtered] });
        assert_eq!(rows(&counted, &sizes()), Some(1e9));
        assert_eq!(
            tables(&counted),
            [("public".to_owned(), "events".to_owned())]
        );
        // An index that is gone through from end to end, and one that is looked up.
        let whole = scan("Index Only Scan", "orders", 1.0);
        assert_eq!(rows(&whole, &sizes()), Some(1e6));
        let found = with(
            scan("Index Scan", "orders", 3.0),
            "Index Cond",
            json!("(id = 7)"),
        );
        assert_eq!(rows(&found, &sizes()), Some(3.0));
        let found = with(found, "Filter", json!("(status = 'new')"));
        assert_eq!(rows(&found, &sizes()), Some(2000.0));
        assert_eq!(rows(&json!({}), &sizes()), None);
    }

    #[test]
    fn the_inner_side_of_a_loop_is_looked_at_for_each_row_of_the_outer_one() {
        let side = |node: Value, place: &str| with(node, "Parent Relationship", json!(place));
        let looped = |inner: Value| {
            let outer = side(scan("Seq Scan", "users", 1000.0), "Outer");
            json!({ "Node Type": "Nested Loop", "Plan Rows": 1, "Plans": [outer, side(inner, "Inner")] })
        };
        let inner = with(scan("Seq Scan", "orders", 1.0), "Filter", json!("(x)"));
        assert_eq!(rows(&looped(inner), &sizes()), Some(1e9));
        let kept = json!({ "Node Type": "Materialize", "Plan Rows": 5000, "Plans": [scan("Seq Scan", "orders", 5000.0)] });
        assert_eq!(rows(&looped(kept), &sizes()), Some(5e6));
        let found = with(
            scan("Index Scan", "orders", 2.0),
            "Index Cond",
            json!("(id = u.id)"),
        );
        assert_eq!(rows(&looped(found), &sizes()), Some(2000.0));
    }

    #[test]
    fn a_subquery_is_done_for_each_row_unless_it_is_hashed() {
        let below = with(
            with(
                scan("Seq Scan", "orders", 1e6),
                "Parent Relationship",
                json!("SubPlan"),
            ),
            "Subplan Name",
            json!("SubPlan 1"),
        );
        let above = |filter: &str| {
            let node = with(scan("Seq Scan", "users", 500.0), "Filter", json!(filter));
            with(node, "Plans", json!([below]))
        };
        assert_eq!(
            rows(&above("(NOT (hashed SubPlan 1))"), &sizes()),
            Some(1e6)
        );
        assert_eq!(rows(&above("(NOT (SubPlan 1))"), &sizes()), Some(1e9));
    }
}
