//! What the user of a database may do beside reading it. The checks of this program do not depend on it, but it is the
//! one protection that does not depend on this program. Left out: SQLite, whose files are opened to be read, and what
//! is done about it (`database`).
//!
//! Sources: PostgreSQL 17, "Access Privilege Inquiry Functions", "Predefined Roles"; MySQL 8.4, "SHOW GRANTS";
//! MariaDB, "SHOW GRANTS".

use super::Fault;
use super::run::Session;
use super::schema::Dialect;

/// The most that is named.
const NAMED: usize = 5;

/// Privileges of MySQL and MariaDB with which nothing is changed.
const HARMLESS: [&str; 5] = [
    "USAGE",
    "SELECT",
    "SHOW VIEW",
    "SHOW DATABASES",
    "SELECT HISTORY",
];

/// What the session's user may do beside reading, a few words each.
///
/// # Errors
/// What the database says.
pub(super) async fn powers(session: &mut Session, dialect: Dialect) -> Result<Vec<String>, Fault> {
    let mut found = match dialect {
        Dialect::Sqlite => Vec::new(),
        Dialect::Postgres => postgres(session).await?,
        Dialect::Mysql => mysql(session).await?,
    };
    if found.len() > NAMED {
        found.truncate(NAMED);
        found.push("more".to_owned());
    }
    Ok(found)
}

async fn postgres(session: &mut Session) -> Result<Vec<String>, Fault> {
    let roles = "SELECT 'be ' || r.rolname::text FROM pg_catalog.pg_roles AS r WHERE r.rolname IN \
                 ('pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program') \
                 AND pg_has_role(r.oid, 'MEMBER') ORDER BY 1";
    let tables = format!(
        "SELECT 'change ' || n.nspname::text || '.' || c.relname::text FROM pg_catalog.pg_class AS c \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'p', 'f') \
         AND n.nspname <> 'information_schema' AND left(n.nspname::text, 3) <> 'pg_' \
         AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') ORDER BY 1 LIMIT {}",
        NAMED + 1
    );
    let mut found = Vec::new();
    for sql in [roles.to_owned(), tables] {
        let rows = session.texts(sql, &[]).await?;
        found.extend(rows.into_iter().filter_map(|mut row| row.pop()?));
    }
    Ok(found)
}

async fn mysql(session: &mut Session) -> Result<Vec<String>, Fault> {
    let rows = session.texts("SHOW GRANTS".to_owned(), &[]).await?;
    let grants = rows.into_iter().filter_map(|mut row| row.pop()?);
    Ok(grants.flat_map(|grant| beyond_reading(&grant)).collect())
}

/// The privileges of a line of SHOW GRANTS that are more than reading. A line that gives a role gives nothing itself.
fn beyond_reading(grant: &str) -> Vec<String> {
    let Some((privileges, rest)) = grant
        .strip_prefix("GRANT ")
        .and_then(|rest| rest.split_once(" ON "))
    else {
        return Vec::new();
    };
    let place = rest.split(" TO ").next().unwrap_or_default();
    let mut depth = 0_u32;
    // Columns stand in brackets, with commas of their own.
    let plain: String = privileges
        .chars()
        .filter(|c| {
            depth = match c {
                '(' => depth + 1,
                ')' => depth.saturating_sub(1),
                _ => depth,
            };
            depth == 0 && *c != ')'
        })
        .collect();
    let all = plain
        .split(',')
        .map(|privilege| privilege.trim().to_uppercase());
    let more = rest
        .contains(" WITH GRANT OPTION")
        .then(|| "GRANT OPTION".to_owned());
    all.chain(more)
        .filter(|privilege| !HARMLESS.contains(&privilege.as_str()))
        .map(|privilege| format!("{privilege} on {place}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_that_are_more_than_reading_are_told() {
        for (grant, expected) in [
            (
                "GRANT USAGE ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*AB'",
                vec![],
            ),
            ("GRANT SELECT, SHOW VIEW ON `shop`.* TO `r`@`%`", vec![]),
            ("GRANT `role`@`%` TO `r`@`%`", vec![]),
            (
                "GRANT SELECT (`a`, `b`), INSERT (`c`) ON `shop`.`t` TO `r`@`%`",
                vec!["INSERT on `shop`.`t`"],
            ),
            (
                "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION",
                vec!["ALL PRIVILEGES on *.*", "GRANT OPTION on *.*"],
            ),
            ("GRANT SELECT, FILE ON *.* TO `r`@`%`", vec!["FILE on *.*"]),
        ] {
            assert_eq!(beyond_reading(grant), expected, "{grant}");
        }
    }
}
