//! Operators, types and units that a query may have, and how they are written. What is not here is refused.
//!
//! Left out: functions (`functions`).

use sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, DataType, DateTimeField, TypeModifier, UnaryOperator,
};

use crate::sql::schema::{Dialect, Schema};

/// Types that PostgreSQL, MySQL and MariaDB have beyond those that the parser knows by name.
const MORE_TYPES: [&str; 8] = [
    "citext", "inet", "cidr", "macaddr", "money", "year", "name", "ltree",
];

/// Units of MySQL's intervals that the parser does not know by name.
const UNITS: [&str; 13] = [
    "YEAR_MONTH",
    "DAY_HOUR",
    "DAY_MINUTE",
    "DAY_SECOND",
    "DAY_MICROSECOND",
    "HOUR_MINUTE",
    "HOUR_SECOND",
    "HOUR_MICROSECOND",
    "MINUTE_SECOND",
    "MINUTE_MICROSECOND",
    "SECOND_MICROSECOND",
    "ISODOW",
    "ISOYEAR",
];

/// Collations of SQLite, and what those of MySQL and MariaDB may be made of.
const COLLATIONS: [&str; 3] = ["BINARY", "NOCASE", "RTRIM"];

/// Charsets that MySQL may convert a text to.
const CHARSETS: [&str; 9] = [
    "utf8mb4", "utf8mb3", "utf8", "ascii", "latin1", "gbk", "gb2312", "gb18030", "big5",
];

/// An operator between two values, as it is written.
pub(super) fn binary(op: &BinaryOperator, dialect: Dialect) -> Option<&'static str> {
    use BinaryOperator as Op;
    let postgres = dialect == Dialect::Postgres;
    let sqlite = dialect == Dialect::Sqlite;
    let mysql = dialect == Dialect::Mysql;
    let (text, allowed) = match op {
        Op::Plus => ("+", true),
        Op::Minus => ("-", true),
        Op::Multiply => ("*", true),
        Op::Divide => ("/", true),
        Op::Modulo => ("%", true),
        Op::StringConcat => ("||", true),
        Op::Gt => (">", true),
        Op::Lt => ("<", true),
        Op::GtEq => (">=", true),
        Op::LtEq => ("<=", true),
        Op::Eq => ("=", true),
        Op::NotEq => ("<>", true),
        Op::And => ("AND", true),
        Op::Or => ("OR", true),
        Op::BitwiseOr => ("|", true),
        Op::BitwiseAnd => ("&", true),
        Op::PGBitwiseShiftLeft => ("<<", true),
        Op::PGBitwiseShiftRight => (">>", true),
        Op::Arrow => ("->", true),
        Op::LongArrow => ("->>", true),
        Op::BitwiseXor => ("^", mysql),
        Op::Xor => ("XOR", mysql),
        Op::Spaceship => ("<=>", mysql),
        Op::MyIntegerDivide => ("DIV", mysql),
        Op::PGOverlap if mysql => ("AND", true),
        Op::Glob => ("GLOB", sqlite),
        Op::Match => ("MATCH", sqlite),
        Op::Is => ("IS", sqlite),
        Op::IsNot => ("IS NOT", sqlite),
        Op::PGExp => ("^", postgres),
        Op::PGBitwiseXor => ("#", postgres),
        Op::PGOverlap => ("&&", postgres),
        Op::PGRegexMatch => ("~", postgres),
        Op::PGRegexIMatch => ("~*", postgres),
        Op::PGRegexNotMatch => ("!~", postgres),
        Op::PGRegexNotIMatch => ("!~*", postgres),
        Op::PGLikeMatch => ("~~", postgres),
        Op::PGILikeMatch => ("~~*", postgres),
        Op::PGNotLikeMatch => ("!~~", postgres),
        Op::PGNotILikeMatch => ("!~~*", postgres),
        Op::PGStartsWith => ("^@", postgres),
        Op::HashArrow => ("#>", postgres),
        Op::HashLongArrow => ("#>>", postgres),
        Op::AtAt => ("@@", postgres),
        Op::AtArrow => ("@>", postgres),
        Op::ArrowAt => ("<@", postgres),
        Op::AtQuestion => ("@?", postgres),
        Op::Question => ("?", postgres),
        Op::QuestionAnd => ("?&", postgres),
        Op::QuestionPipe => ("?|", postgres),
        Op::Overlaps => ("OVERLAPS", postgres),
        _ => ("", false),
    };
    allowed.then_some(text)
}

/// An operator before a value, as it is written.
pub(super) fn unary(op: UnaryOperator) -> Option<&'static str> {
    match op {
        UnaryOperator::Plus => Some("+"),
        UnaryOperator::Minus => Some("-"),
        UnaryOperator::Not => Some("NOT "),
        UnaryOperator::BitwiseNot => Some("~"),
        _ => None,
    }
}

/// A type that a value may be cast to, as it is written.
///
/// # Errors
/// A type that is not known to be harmless: those of PostgreSQL's catalogues look into them.
pub(super) fn kind(kind: &DataType, dialect: Dialect, schema: &Schema) -> Result<String, String> {
    match kind {
        DataType::Character(_)
        | DataType::Char(_)
        | DataType::CharacterVarying(_)
        | DataType::CharVarying(_)
        | DataType::Varchar(_)
        | DataType::Nvarchar(_)
        | DataType::Uuid
        | DataType::Text
        | DataType::Numeric(_)
        | DataType::Decimal(_)
        | DataType::Dec(_)
        | DataType::Float(_)
        | DataType::TinyInt(_)
        | DataType::SmallInt(_)
        | DataType::MediumInt(_)
        | DataType::Int(_)
        | DataType::Int2(_)
        | DataType::Int4(_)
        | DataType::Int8(_)
        | DataType::Integer(_)
        | DataType::BigInt(_)
        | DataType::Float4
        | DataType::Float8
        | DataType::Real
        | DataType::Double(_)
        | DataType::DoublePrecision
        | DataType::Bool
        | DataType::Boolean
        | DataType::Date
        | DataType::Time(_, _)
        | DataType::Datetime(_)
        | DataType::Timestamp(_, _)
        | DataType::Interval {
            fields: None,
            precision: None,
        }
        | DataType::JSON
        | DataType::JSONB
        | DataType::Signed
        | DataType::SignedInteger
        | DataType::Unsigned
        | DataType::UnsignedInteger
        | DataType::TsVector
        | DataType::TsQuery => Ok(kind.to_string()),
        DataType::Blob(None) if dialect == Dialect::Sqlite => Ok("BLOB".to_owned()),
        DataType::Binary(None) if dialect == Dialect::Mysql => Ok("BINARY".to_owned()),
        DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _))
            if dialect == Dialect::Postgres =>
        {
            Ok(format!("{}[]", self::kind(inner, dialect, schema)?))
        }
        DataType::Custom(name, modifiers) => custom(&name.to_string(), modifiers, dialect, schema),
        other => Err(unknown(&other.to_string())),
    }
}

/// A type of an extension, or one that a column of the database has, such as an enumeration.
fn custom(
    name: &str,
    modifiers: &[TypeModifier],
    dialect: Dialect,
    schema: &Schema,
) -> Result<String, String> {
    let lower = name.to_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let of_column = || {
        let mut columns = schema.tables.iter().flat_map(|t| &t.columns);
        columns.any(|c| c.kind.eq_ignore_ascii_case(name))
    };
    let known = modifiers.is_empty()
        && dialect != Dialect::Sqlite
        && lower.chars().all(plain)
        && !lower.starts_with("reg")
        && !lower.starts_with("pg_")
        && (MORE_TYPES.contains(&lower.as_str()) || of_column());
    if known { Ok(lower) } else { Err(unknown(name)) }
}

fn unknown(name: &str) -> String {
    let shown: String = name.chars().take(40).collect();
    format!(
        "the type `{shown}` is not allowed; cast to a plain type such as TEXT, INTEGER, NUMERIC or DATE"
    )
}

/// A part of a date or a unit of an interval, as it is written.
pub(super) fn field(field: &DateTimeField) -> Option<String> {
    match field {
        DateTimeField::Week(Some(_)) | DateTimeField::NoDateTime => None,
        DateTimeField::Custom(ident) => unit(&ident.value),
        known => Some(known.to_string()),
    }
}

/// A unit that stands where a name could, as in `TIMESTAMPDIFF(DAY, a, b)`.
pub(super) fn unit(name: &str) -> Option<String> {
    const PLAIN: [&str; 9] = [
        "MICROSECOND",
        "SECOND",
        "MINUTE",
        "HOUR",
        "DAY",
        "WEEK",
        "MONTH",
        "QUARTER",
        "YEAR",
    ];
    let upper = name.to_uppercase();
    let bare = upper.strip_prefix("SQL_TSI_").unwrap_or(&upper);
    (PLAIN.contains(&bare) || UNITS.contains(&bare)).then(|| bare.to_owned())
}

/// Whether a collation may be named.
pub(super) fn is_collation(name: &str, dialect: Dialect) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
    match dialect {
        Dialect::Sqlite => COLLATIONS.iter().any(|c| c.eq_ignore_ascii_case(name)),
        Dialect::Mysql => {
            let ends = ["_ci", "_bin", "_cs"]
                .iter()
                .any(|end| name.to_lowercase().ends_with(end));
            (ends || name.eq_ignore_ascii_case("binary")) && name.chars().all(plain)
        }
        Dialect::Postgres => !name.is_empty() && name.len() < 64 && name.chars().all(plain),
    }
}

/// A charset that MySQL may convert a text to.
pub(super) fn charset(name: &str) -> Option<&'static str> {
    CHARSETS.into_iter().find(|c| c.eq_ignore_ascii_case(name))
}
