//! Functions that a query may call, by dialect: those that compute something of their arguments and nothing else.
//! Those that read files, reach a network, wait, lock, set, look into the server or run a text as SQL are not here,
//! and what is not here is refused.
//!
//! Sources: SQLite, "Built-In Scalar / Aggregate / Window / Date And Time / JSON Functions"; PostgreSQL 17, chapter 9;
//! MySQL 8.4, chapter 14; MariaDB, "Built-in Functions". Left out: functions with a syntax of their own (`expr`).

use praxis_core::suggest::nearest;

use crate::sql::schema::Dialect;

/// Functions of all three.
const COMMON: &str = "\
    abs acos asin atan atan2 avg ceil ceiling coalesce concat concat_ws cos count cume_dist degrees dense_rank \
    exp first_value floor lag last_value lead length ln log log10 lower ltrim max min mod nth_value ntile nullif \
    octet_length percent_rank pi pow power radians rank replace round row_number rtrim sign sin sqrt substr \
    substring sum tan trim upper";

const SQLITE: &str = "\
    acosh asinh atanh char cosh date datetime format glob group_concat hex ifnull iif if instr json json_array \
    json_array_length json_error_position json_extract json_group_array json_group_object json_insert \
    json_object json_quote json_remove json_replace json_set json_type json_valid julianday like \
    likelihood likely log2 printf quote random sinh soundex strftime string_agg tanh time timediff total trunc typeof \
    unicode unixepoch unlikely";

const POSTGRES: &str = "\
    age array_agg array_append array_cat array_dims array_length array_lower array_ndims array_position \
    array_positions array_prepend array_remove array_replace array_to_json array_to_string array_upper any_value \
    ascii asind acosd atand bit_and bit_length bit_or bool_and bool_or btrim cardinality cbrt char_length \
    character_length chr clock_timestamp corr cosh cot covar_pop covar_samp date_bin date_part date_trunc decode \
    div encode current_time current_timestamp every gcd generate_series greatest initcap isfinite json_agg \
    json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_each \
    json_each_text json_extract_path json_extract_path_text json_object_agg json_object_keys json_typeof \
    jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array \
    jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_agg \
    jsonb_object_keys jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_path_query_first \
    jsonb_pretty jsonb_set jsonb_strip_nulls jsonb_typeof justify_days justify_hours justify_interval lcm least \
    left localtime localtimestamp lpad make_date make_interval make_time make_timestamp make_timestamptz md5 \
    min_scale mode now num_nonnulls num_nulls numnode overlay percentile_cont percentile_disc phraseto_tsquery \
    plainto_tsquery position quote_literal regexp_count regexp_instr regexp_like regexp_match regexp_matches \
    regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count \
    regr_intercept regr_r2 regr_slope repeat reverse right rpad row_to_json scale setweight similarity sind cosd \
    tand sinh split_part starts_with statement_timestamp stddev stddev_pop stddev_samp string_agg \
    string_to_array string_to_table strip strpos tanh to_char to_date to_hex to_json to_jsonb to_number \
    to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim_array trim_scale trunc ts_headline \
    ts_rank ts_rank_cd unnest var_pop var_samp variance websearch_to_tsquery width_bucket word_similarity \
    grouping date_add date_subtract isempty lower_inc upper_inc daterange int4range int8range numrange tsrange \
    tstzrange range_merge random";

const MYSQL: &str = "\
    adddate addtime ascii bin bit_and bit_count bit_length bit_or bit_xor char_length character_length conv \
    convert_tz cot crc32 curdate current_date current_time current_timestamp curtime date date_add date_format \
    date_sub datediff day dayname dayofmonth dayofweek dayofyear elt export_set field find_in_set format \
    from_days from_unixtime get_format greatest group_concat grouping hex hour if ifnull insert instr isnull \
    json_array json_array_append json_array_insert json_arrayagg json_contains json_contains_path json_depth \
    json_extract json_keys json_length json_object json_objectagg json_overlaps json_quote json_search json_type \
    json_unquote json_valid json_value last_day lcase least left locate log2 lpad make_set makedate maketime md5 \
    median microsecond mid minute month monthname now oct ord percentile_cont percentile_disc period_add \
    period_diff position quarter quote rand regexp_instr regexp_like regexp_replace regexp_substr repeat reverse \
    right rpad sec_to_time second sha1 sha2 soundex space std stddev stddev_pop stddev_samp str_to_date strcmp \
    subdate substring_index subtime sysdate time time_format time_to_sec timediff timestamp timestampadd \
    timestampdiff to_days to_seconds truncate ucase unhex unix_timestamp utc_date utc_time utc_timestamp var_pop \
    var_samp variance week weekday weekofyear year yearweek any_value localtime localtimestamp add_months \
    months_between nvl nvl2 to_char chr";

/// What is called without brackets.
const BARE: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
];

/// Functions whose argument at this place, from 0, is how long their text is.
const LENGTHS: &[(&str, usize)] = &[("repeat", 1), ("lpad", 1), ("rpad", 1), ("space", 0)];

/// The longest text that one of them may make.
pub(super) const MAX_LENGTH: u64 = 10_000;

/// Functions of SQLite that look for their second argument at each place of the first. It is one instruction, which no
/// time-out ends, so that what is looked for is short.
const LOOKING: [&str; 5] = ["instr", "replace", "trim", "ltrim", "rtrim"];

/// Characters of what one of them looks for.
pub(super) const MAX_SOUGHT: usize = 1000;

/// The widest that a format of SQLite's `printf` writes a value.
const MAX_WIDTH: usize = 1000;

/// Functions that stand in FROM, and the columns that they give.
const TABLES: &[(Dialect, &str, &[&str])] = &[
    (
        Dialect::Sqlite,
        "json_each",
        &[
            "key", "value", "type", "atom", "id", "parent", "fullkey", "path",
        ],
    ),
    (
        Dialect::Sqlite,
        "json_tree",
        &[
            "key", "value", "type", "atom", "id", "parent", "fullkey", "path",
        ],
    ),
    (Dialect::Postgres, "generate_series", &[]),
    (Dialect::Postgres, "unnest", &[]),
    (Dialect::Postgres, "json_array_elements", &["value"]),
    (Dialect::Postgres, "json_array_elements_text", &["value"]),
    (Dialect::Postgres, "jsonb_array_elements", &["value"]),
    (Dialect::Postgres, "jsonb_array_elements_text", &["value"]),
    (Dialect::Postgres, "json_each", &["key", "value"]),
    (Dialect::Postgres, "json_each_text", &["key", "value"]),
    (Dialect::Postgres, "jsonb_each", &["key", "value"]),
    (Dialect::Postgres, "jsonb_each_text", &["key", "value"]),
    (Dialect::Postgres, "json_object_keys", &[]),
    (Dialect::Postgres, "jsonb_object_keys", &[]),
    (Dialect::Postgres, "jsonb_path_query", &[]),
    (Dialect::Postgres, "regexp_split_to_table", &[]),
    (Dialect::Postgres, "regexp_matches", &[]),
    (Dialect::Postgres, "string_to_table", &[]),
];

/// Names of the dialect's functions.
fn names(dialect: Dialect) -> impl Iterator<Item = &'static str> {
    let own = match dialect {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
        Dialect::Mysql => MYSQL,
    };
    COMMON.split(' ').chain(own.split(' '))
}

/// Whether a query may call a function; `more` are those that the file allows.
///
/// # Errors
/// That it may not, and which one it may.
pub(super) fn check(dialect: Dialect, name: &str, more: &[String]) -> Result<(), String> {
    if names(dialect).any(|known| known == name) || more.iter().any(|known| known == name) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    let near = nearest(&shown, names(dialect));
    let near = near.map(|near| format!("; did you mean `{near}`?"));
    Err(format!(
        "the function `{shown}` is not allowed in {}{}",
        dialect.name(),
        near.unwrap_or_default()
    ))
}

/// Whether a function is called without brackets.
pub(super) fn is_bare(name: &str) -> bool {
    BARE.contains(&name)
}

/// Which argument of a function says how long its text is.
pub(super) fn length(name: &str) -> Option<usize> {
    LENGTHS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, place)| *place)
}

/// Which argument of a function is looked for at each place of another.
pub(super) fn sought(dialect: Dialect, name: &str) -> Option<usize> {
    (dialect == Dialect::Sqlite && LOOKING.contains(&name)).then_some(1)
}

/// Whether a function takes a format as its first argument.
pub(super) fn formats(dialect: Dialect, name: &str) -> bool {
    dialect == Dialect::Sqlite && matches!(name, "printf" | "format")
}

/// Whether a format makes no text that is much longer than its values.
pub(super) fn is_narrow(format: &str) -> bool {
    let mut rest = format;
    while let Some((_, directive)) = rest.split_once('%') {
        let flags = directive.trim_start_matches(['-', '+', ' ', '0', '#', ',', '!']);
        let end = flags
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(flags.len());
        let (size, after) = flags.split_at(end);
        let fits = |digits: &str| {
            digits.is_empty() || digits.parse::<usize>().is_ok_and(|n| n <= MAX_WIDTH)
        };
        if !size.split('.').all(fits) || after.starts_with('*') {
            return false;
        }
        // A percent sign behind a percent sign begins nothing.
        rest = after.strip_prefix('%').unwrap_or(after);
    }
    true
}

/// The columns that a function in FROM gives; none where its only column is called as it is.
pub(super) fn table(dialect: Dialect, name: &str) -> Option<&'static [&'static str]> {
    TABLES
        .iter()
        .find(|(of, known, _)| *of == dialect && *known == name)
        .map(|(_, _, columns)| *columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_that_makes_a_long_text_of_nothing_is_none() {
        for (format, narrow) in [
            ("%.2f", true),
            ("%-10s|%08.3f%%", true),
            ("100%% of %,d", true),
            ("%1000d", true),
            ("%1001d", false),
            ("%.40000000c", false),
            ("%.*c", false),
            ("%*d", false),
            ("%-!.99999999999999999999s", false),
            ("%5.*f", false),
            ("%%%2000d", false),
            ("no directive", true),
        ] {
            assert_eq!(is_narrow(format), narrow, "{format}");
        }
    }

    #[test]
    fn what_reaches_outside_of_the_query_is_in_no_list() {
        const HARMFUL: &[&str] = &[
            "pg_read_file",
            "pg_ls_dir",
            "pg_sleep",
            "lo_import",
            "lo_export",
            "dblink",
            "set_config",
            "current_setting",
            "query_to_xml",
            "database_to_xml",
            "table_to_xml",
            "cursor_to_xml",
            "pg_terminate_backend",
            "pg_cancel_backend",
            "pg_advisory_lock",
            "nextval",
            "setval",
            "currval",
            "lastval",
            "load_extension",
            "readfile",
            "writefile",
            "edit",
            "load_file",
            "sleep",
            "benchmark",
            "get_lock",
            "release_lock",
            "master_pos_wait",
            "sys_exec",
            "sys_eval",
            "version",
            "user",
            "current_user",
            "session_user",
            "system_user",
            "database",
            "schema",
            "connection_id",
            "last_insert_id",
            "row_count",
            "found_rows",
            "extractvalue",
            "updatexml",
            "pg_stat_file",
            "txid_current",
            "pg_notify",
            "pg_reload_conf",
            "pg_rotate_logfile",
            "inet_server_addr",
            "inet_client_addr",
            "has_table_privilege",
            "fts3_tokenizer",
            "sqlite_version",
            "sqlite_source_id",
            "sqlite_compileoption_get",
            "zeroblob",
            "randomblob",
            "uuid",
            "encrypt",
            "aes_decrypt",
            "xpath",
            "xmlparse",
            "pg_get_viewdef",
            "obj_description",
            "to_regclass",
            "ts_stat",
            "ts_rewrite",
            "lo_get",
            "pg_relation_size",
            "last_value_of",
            "changes",
            "total_changes",
            "last_insert_rowid",
            "pg_export_snapshot",
            "pg_logical_emit_message",
            "crosstab",
            "xmltable",
            "name_const",
            "procedure_analyse",
            "json_table",
            "json_populate_record",
            "jsonb_to_recordset",
            "seq_nextval",
        ];
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::Mysql] {
            for name in HARMFUL {
                assert!(
                    check(dialect, name, &[]).is_err(),
                    "{name} in {}",
                    dialect.name()
                );
            }
            let mut all: Vec<&str> = names(dialect).collect();
            let length = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(
                all.len(),
                length,
                "a function of {} is named twice",
                dialect.name()
            );
            assert!(all.iter().all(|name| *name == name.to_lowercase()));
        }
        assert!(check(Dialect::Postgres, "st_area", &["st_area".to_owned()]).is_ok());
        let told = check(Dialect::Sqlite, "strftme", &[]).unwrap_err();
        assert!(told.contains("did you mean `strftime`?"), "{told}");
    }
}
