//! A query's rows as they come, of whichever database, up to the limits of rows and bytes. Left out: how each database
//! sends them, and what becomes of a value (`value`).

use std::time::Duration;

use futures::{Stream, TryStreamExt};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Database, Encode, Type};

use super::failed;
use super::value::MAX_CELL;
use crate::sql::{Fault, Rows};

/// A statement with the values of its places, in their order.
pub(super) fn bound<DB, T>(
    sql: String,
    binds: &[T],
) -> sqlx::query::Query<'static, DB, <DB as Database>::Arguments>
where
    DB: Database,
    T: Clone + for<'t> Encode<'t, DB> + Type<DB>,
{
    let query = sqlx::query::<DB>(AssertSqlSafe(sql));
    binds
        .iter()
        .fold(query, |query, value| query.bind(value.clone()))
}

/// The rows of a query whose statement may take `time`. What the collector has no room for is not asked for.
///
/// # Errors
/// What the database says in the place of a row.
pub(super) async fn collected(
    mut rows: impl Stream<Item = Result<Vec<Value>, sqlx::Error>> + Unpin,
    mut collector: Collector,
    time: Duration,
) -> Result<Rows, Fault> {
    while let Some(row) = rows.try_next().await.map_err(|e| failed(e, time))? {
        if !collector.push(row) {
            break;
        }
    }
    Ok(collector.finish())
}

/// Rows as they come, up to the limits.
pub(crate) struct Collector {
    rows: Rows,
    most_rows: usize,
    most_bytes: usize,
    bytes: usize,
}

impl Collector {
    pub fn new(most_rows: u64, most_bytes: u64) -> Self {
        Self {
            rows: Rows::default(),
            most_rows: usize::try_from(most_rows).unwrap_or(usize::MAX),
            most_bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX),
            bytes: 0,
        }
    }

    pub fn name(&mut self, columns: Vec<String>) {
        self.rows.columns = columns;
    }

    /// Takes a row. False where there is no room for more.
    pub fn push(&mut self, mut row: Vec<Value>) -> bool {
        if self.rows.rows.len() >= self.most_rows {
            self.rows.cut = true;
            return false;
        }
        for value in &mut row {
            self.rows.cut |= shorten(value);
            self.bytes = self.bytes.saturating_add(size(value));
        }
        if self.bytes > self.most_bytes {
            self.rows.cut = true;
            return false;
        }
        self.rows.rows.push(row);
        true
    }

    pub fn finish(self) -> Rows {
        self.rows
    }
}

/// Cuts a long text. Whether it was one.
fn shorten(value: &mut Value) -> bool {
    let Value::String(text) = value else {
        return false;
    };
    if text.len() <= MAX_CELL {
        return false;
    }
    let Some((end, _)) = text.char_indices().nth(MAX_CELL) else {
        return false;
    };
    text.truncate(end);
    text.push('…');
    true
}

/// Bytes that a value takes, about.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        other => other.to_string().len(),
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use serde_json::json;

    use super::*;

    const TIME: Duration = Duration::from_secs(1);

    #[test]
    fn rows_and_bytes_have_an_end() {
        let mut few = Collector::new(2, 1000);
        assert!(few.push(vec![json!(1)]) && few.push(vec![json!(2)]) && !few.push(vec![json!(3)]));
        let rows = few.finish();
        assert!(rows.cut && rows.rows.len() == 2);
        let mut small = Collector::new(10, 20);
        assert!(small.push(vec![json!("0123456789")]) && !small.push(vec![json!("0123456789")]));
        assert_eq!(small.finish().rows.len(), 1);
        let mut long = Collector::new(10, 1 << 20);
        assert!(long.push(vec![json!("字".repeat(MAX_CELL + 1))]));
        let rows = long.finish();
        assert!(rows.cut && rows.rows[0][0].as_str().is_some_and(|t| t.ends_with('…')));
    }

    #[tokio::test]
    async fn no_more_is_asked_for_than_there_is_room_for() {
        let mut asked = 0;
        let rows = futures::stream::iter(1..).map(|number| {
            asked = number;
            Ok(vec![json!(number)])
        });
        let rows = collected(rows, Collector::new(2, 1000), TIME)
            .await
            .unwrap();
        assert_eq!(rows.rows, [[json!(1)], [json!(2)]]);
        // The third says that there are more.
        assert!(rows.cut);
        assert_eq!(asked, 3);
    }

    #[tokio::test]
    async fn what_a_database_says_in_the_middle_is_told() {
        let fault = sqlx::Error::ColumnNotFound("price".to_owned());
        let rows = futures::stream::iter([Ok(vec![json!(1)]), Err(fault)]);
        let told = collected(rows, Collector::new(9, 1000), TIME).await;
        assert!(
            matches!(&told, Err(Fault::Failed(message)) if message.contains("price")),
            "{told:?}"
        );
    }
}
