//! `NAME/query`: rows of one SELECT; `NAME/schema`: what there is to select from. Left out: questions in words (`ask`).

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::suggest::nearest;
use praxis_core::{CallContext, CallError, Effects, ErrorCode, Problem, Signature};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Database, Dialect, Fault, Schema, Table};
use crate::toolbox::Tool;
use crate::work::{Work, invalid, read, tool};

/// Tables of which a schema tells all columns at once.
const WHOLE: usize = 40;

/// The name of the function that takes SQL.
pub(super) fn query_name(name: &str) -> String {
    format!("{name}/query")
}

/// The name of the function that tells what there is.
pub(super) fn schema_name(name: &str) -> String {
    format!("{name}/schema")
}

/// Both functions of a database; `about` is what its file says that it is about.
///
/// # Errors
/// A defect: a schema of theirs that is none.
pub(super) fn tools(
    name: &str,
    about: Option<&str>,
    database: &Arc<Database>,
) -> Result<Vec<Tool>, Problem> {
    let about = described(name, about);
    let query = Run {
        signature: query_signature(name, &about, Some(database.dialect())),
        database: Arc::clone(database),
    };
    let schema = Tell {
        signature: schema_signature(name, &about),
        database: Arc::clone(database),
    };
    // What rows say, and what values are shown with columns, comes from whoever filled the database.
    Ok(vec![
        Tool {
            function: tool(query)?,
            outside: true,
        },
        Tool {
            function: tool(schema)?,
            outside: true,
        },
    ])
}

/// What both functions take and give; `dialect` is none where it is not known.
pub(super) fn signatures(
    name: &str,
    about: Option<&str>,
    dialect: Option<Dialect>,
) -> Vec<Signature> {
    let about = described(name, about);
    vec![
        query_signature(name, &about, dialect),
        schema_signature(name, &about),
    ]
}

/// What is said of a database in the middle of a sentence.
fn described(name: &str, about: Option<&str>) -> String {
    about.map_or_else(
        || format!("the database `{name}`"),
        |about| format!("this database: {}", about.trim().trim_end_matches('.')),
    )
}

fn query_signature(name: &str, about: &str, dialect: Option<Dialect>) -> Signature {
    let dialect = dialect.map_or("SQL", Dialect::name);
    Signature {
        name: query_name(name),
        description: format!(
            "Runs one {dialect} SELECT on {about}. Only reads. `{}` tells the tables and columns.",
            schema_name(name)
        ),
        input_schema: json!({
            "type": "object",
            "properties": {
                "sql": {
                    "type": "string",
                    "description": format!("one SELECT of {dialect}, without comments"),
                },
            },
            "required": ["sql"],
            "additionalProperties": false,
        }),
        output_schema: json!({
            "type": "object",
            "properties": {
                "columns": { "type": "array", "items": { "type": "string" } },
                "rows": { "type": "array", "items": { "type": "array" } },
                "cut": { "type": "boolean", "description": "whether there are more rows, or longer values" },
                "notes": {
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "what is likely not as meant, and what of files is left out",
                },
            },
            "required": ["columns", "rows", "cut"],
        }),
        effects: Effects::READ,
    }
}

fn schema_signature(name: &str, about: &str) -> Signature {
    Signature {
        name: schema_name(name),
        description: format!(
            "Tells the tables of {about}, or the columns and keys of one of them."
        ),
        input_schema: json!({
            "type": "object",
            "properties": {
                "table": { "type": "string", "description": "one table, with all that is known of it" },
            },
            "additionalProperties": false,
        }),
        output_schema: json!({
            "type": "object",
            "properties": {
                "dialect": { "type": "string" },
                "tables": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": { "type": "string" },
                            "comment": { "type": ["string", "null"] },
                            "rows": { "type": ["integer", "null"] },
                            "view": { "type": "boolean" },
                            "columns": { "type": "array" },
                            "primary_key": { "type": "array", "items": { "type": "string" } },
                            "foreign_keys": { "type": "array" },
                        },
                        "required": ["name", "columns"],
                    },
                },
                "notes": {
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "what of files is left out of the tables",
                },
            },
            "required": ["dialect", "tables"],
        }),
        effects: Effects::READ,
    }
}

/// `NAME/query`
struct Run {
    signature: Signature,
    database: Arc<Database>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryInput {
    sql: String,
}

#[async_trait]
impl Work for Run {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let QueryInput { sql } = read(&self.signature.name, input)?;
        let told = |fault| told(&self.signature.name, fault);
        let schema = self.database.schema(cx.caller()).await?;
        let query = self
            .database
            .check(&sql, &schema, cx.caller())
            .map_err(told)?;
        let rows = self.database.run(&query, cx).await.map_err(told)?;
        let notes = [query.notes(), query.left_out()].concat();
        Ok(json!({
            "columns": rows.columns,
            "rows": rows.rows,
            "cut": rows.cut,
            "notes": notes,
        }))
    }
}

/// `NAME/schema`
struct Tell {
    signature: Signature,
    database: Arc<Database>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaInput {
    #[serde(default)]
    table: Option<String>,
}

#[async_trait]
impl Work for Tell {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let SchemaInput { table } = read(&self.signature.name, input)?;
        let schema = self.database.schema(cx.caller()).await?;
        let tables: Vec<Value> = match table {
            Some(name) => {
                let table = schema
                    .table(&name)
                    .ok_or_else(|| self.unknown(&name, &schema))?;
                vec![json!(table)]
            }
            None if schema.tables.len() <= WHOLE => schema.tables.iter().map(short).collect(),
            None => schema.tables.iter().map(shortest).collect(),
        };
        let notes = self.database.left_out(&schema, cx.caller());
        Ok(json!({ "dialect": schema.dialect.name(), "tables": tables, "notes": notes }))
    }
}

impl Tell {
    fn unknown(&self, name: &str, schema: &Schema) -> CallError {
        let near = nearest(name, schema.tables.iter().map(|t| t.name.as_str()));
        let error = invalid(&self.signature.name, format!("there is no table `{name}`"));
        match near {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("call it without `table` for the names of all tables"),
        }
    }
}

/// A table with its columns, in few words.
fn short(table: &Table) -> Value {
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| match &column.comment {
            Some(comment) => {
                json!({ "name": column.name, "kind": column.kind, "comment": comment })
            }
            None => json!({ "name": column.name, "kind": column.kind }),
        })
        .collect();
    json!({
        "name": table.name,
        "comment": table.comment,
        "rows": table.rows,
        "view": table.view,
        "columns": columns,
        "primary_key": table.primary_key,
        "foreign_keys": table.foreign_keys,
    })
}

/// A table with the names of its columns.
fn shortest(table: &Table) -> Value {
    let columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    json!({ "name": table.name, "comment": table.comment, "columns": columns })
}

/// A fault as the error of a call.
fn told(name: &str, fault: Fault) -> CallError {
    match fault {
        Fault::Call(error) => error,
        Fault::TooMuch(message) => CallError::new(ErrorCode::BudgetExceeded, message)
            .with_hint("ask for fewer rows: filter, aggregate, or join fewer tables"),
        fault => invalid(name, fault),
    }
}
