//! Expressions with a syntax of their own: casts, parts of dates, intervals, arrays and their kin. Left out: all others
//! (`expr`, `call`).

use sqlparser::ast::{
    AccessExpr, Array, CastKind, CeilFloorKind, DataType, DateTimeField, Expr, ExtractSyntax,
    Interval, Subscript, TypedString,
};

use super::scope::{At, Out};
use super::{Writer, kinds, node};
use crate::sql::schema::Dialect;

impl Writer<'_> {
    /// What has a syntax of its own.
    pub(super) fn special(
        &mut self,
        expr: &Expr,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        match expr {
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
            } => {
                let kind = kinds::kind(data_type, self.dialect, self.rules.schema)?;
                self.within("CAST(", expr, &format!(" AS {kind})"), at, out)
            }
            Expr::Convert {
                is_try: false,
                expr,
                data_type,
                charset,
                target_before_value: false,
                styles,
            } if styles.is_empty() && self.dialect == Dialect::Mysql => {
                let end = match (data_type, charset) {
                    (Some(kind), None) => {
                        format!(", {})", kinds::kind(kind, self.dialect, self.rules.schema)?)
                    }
                    (None, Some(charset)) => {
                        let name = charset.to_string();
                        let known = kinds::charset(&name)
                            .ok_or("CONVERT … USING takes a charset such as utf8mb4")?;
                        format!(" USING {known})")
                    }
                    _ => return Err("CONVERT takes a type or a charset".to_owned()),
                };
                self.within("CONVERT(", expr, &end, at, out)
            }
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } if self.dialect == Dialect::Postgres => {
                self.between(timestamp, " AT TIME ZONE ", time_zone, at, out)
            }
            Expr::Extract {
                field,
                syntax: ExtractSyntax::From,
                expr,
            } if self.dialect != Dialect::Sqlite => {
                let field =
                    kinds::field(field).ok_or("EXTRACT takes a part of a date, such as YEAR")?;
                self.within(&format!("EXTRACT({field} FROM "), expr, ")", at, out)
            }
            Expr::Extract { .. } => Err(
                "write EXTRACT(YEAR FROM …), or strftime('%Y', …) in SQLite, which has no EXTRACT"
                    .to_owned(),
            ),
            Expr::Ceil {
                expr,
                field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime),
            } => self.within("CEIL(", expr, ")", at, out),
            Expr::Floor {
                expr,
                field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime),
            } => self.within("FLOOR(", expr, ")", at, out),
            Expr::Position { expr, r#in } if self.dialect != Dialect::Sqlite => {
                out.push("POSITION(");
                self.between(expr, " IN ", r#in, at, out)?;
                out.push(")");
                Ok(())
            }
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                special,
                shorthand,
            } => {
                out.push(if *shorthand { "SUBSTR(" } else { "SUBSTRING(" });
                self.expr(expr, at, out)?;
                let words = if *special {
                    [", ", ", "]
                } else {
                    [" FROM ", " FOR "]
                };
                for (word, part) in words.into_iter().zip([substring_from, substring_for]) {
                    if let Some(part) = part {
                        out.push(word);
                        self.expr(part, at, out)?;
                    }
                }
                out.push(")");
                Ok(())
            }
            Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters,
            } => {
                out.push("TRIM(");
                if let Some(side) = trim_where {
                    out.push(&format!("{side} "));
                }
                if let Some(what) = trim_what {
                    // SQLite has no such words, and refuses them.
                    self.expr(what, at, out)?;
                    out.push(" FROM ");
                } else if trim_where.is_some() {
                    out.push("FROM ");
                }
                self.expr(expr, at, out)?;
                for what in trim_characters.iter().flatten() {
                    out.push(", ");
                    if self.dialect == Dialect::Sqlite {
                        self.sought(what, at, out)?;
                    } else {
                        self.expr(what, at, out)?;
                    }
                }
                out.push(")");
                Ok(())
            }
            Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } if self.dialect == Dialect::Postgres => {
                out.push("OVERLAY(");
                self.between(expr, " PLACING ", overlay_what, at, out)?;
                self.within(" FROM ", overlay_from, "", at, out)?;
                if let Some(part) = overlay_for {
                    self.within(" FOR ", part, "", at, out)?;
                }
                out.push(")");
                Ok(())
            }
            Expr::Collate { expr, collation } => {
                let name = match collation.0.as_slice() {
                    [part] => part
                        .as_ident()
                        .map(|ident| ident.value.clone())
                        .unwrap_or_default(),
                    _ => String::new(),
                };
                if !kinds::is_collation(&name, self.dialect) {
                    return Err(format!("`{collation}` is no collation that may be named"));
                }
                let name = match self.dialect {
                    Dialect::Postgres => self.quote(&name),
                    Dialect::Sqlite | Dialect::Mysql => name,
                };
                self.within("", expr, &format!(" COLLATE {name}"), at, out)
            }
            Expr::TypedString(TypedString {
                data_type:
                    DataType::Date
                    | DataType::Time(..)
                    | DataType::Timestamp(..)
                    | DataType::Datetime(_),
                value,
                uses_odbc_syntax: _,
            }) if self.dialect == Dialect::Sqlite => self.value(&value.value, out),
            Expr::TypedString(TypedString {
                data_type,
                value,
                uses_odbc_syntax: false,
            }) => {
                let kind = match data_type {
                    DataType::Datetime(_) if self.dialect == Dialect::Mysql => {
                        "TIMESTAMP".to_owned()
                    }
                    kind => kinds::kind(kind, self.dialect, self.rules.schema)?,
                };
                out.push(&kind);
                out.push(" ");
                self.value(&value.value, out)
            }
            Expr::Interval(interval) => self.interval(interval, at, out),
            Expr::Array(Array { elem, named: true }) if self.dialect == Dialect::Postgres => {
                out.push("ARRAY[");
                self.commas(elem, out, |writer, item, out| writer.expr(item, at, out))?;
                out.push("]");
                Ok(())
            }
            Expr::CompoundFieldAccess { root, access_chain }
                if self.dialect == Dialect::Postgres =>
            {
                self.expr(root, at, out)?;
                for access in access_chain {
                    self.access(access, at, out)?;
                }
                Ok(())
            }
            other => Err(node(other)),
        }
    }

    fn interval(&mut self, interval: &Interval, at: &At<'_>, out: &mut Out) -> Result<(), String> {
        let Interval {
            value,
            leading_field,
            leading_precision: None,
            last_field,
            fractional_seconds_precision: None,
        } = interval
        else {
            return Err("an INTERVAL has no precision here; write INTERVAL '1 day'".to_owned());
        };
        if self.dialect == Dialect::Sqlite {
            return Err("SQLite has no INTERVAL; write date(…, '-1 day')".to_owned());
        }
        self.within("INTERVAL ", value, "", at, out)?;
        for (word, field) in [(" ", leading_field), (" TO ", last_field)] {
            if let Some(field) = field {
                let field = kinds::field(field).ok_or("an INTERVAL has a unit such as DAY")?;
                out.push(word);
                out.push(&field);
            }
        }
        Ok(())
    }

    fn access(&mut self, access: &AccessExpr, at: &At<'_>, out: &mut Out) -> Result<(), String> {
        match access {
            AccessExpr::Subscript(Subscript::Index { index }) => {
                self.within("[", index, "]", at, out)
            }
            AccessExpr::Subscript(Subscript::Slice {
                lower_bound,
                upper_bound,
                stride: None,
            }) => {
                out.push("[");
                if let Some(bound) = lower_bound {
                    self.expr(bound, at, out)?;
                }
                out.push(":");
                if let Some(bound) = upper_bound {
                    self.expr(bound, at, out)?;
                }
                out.push("]");
                Ok(())
            }
            _ => Err(
                "fields of composite values are not read; name columns as table.column".to_owned(),
            ),
        }
    }
}
