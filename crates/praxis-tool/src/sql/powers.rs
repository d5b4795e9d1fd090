//! What the user of a database may do beside reading it, also by roles that it would have to take on first. The checks
//! of this program do not depend on it, but it is the one protection that does not depend on this program. Left out:
//! SQLite, whose files are opened to be read, and what is done about it (`database`).
//!
//! Sources: PostgreSQL 17, "Access Privilege Inquiry Functions", "Predefined Roles"; MySQL 8.4, "SHOW GRANTS", "Using
//! Roles"; MariaDB, "SHOW GRANTS", "SET ROLE".

use std::collections::BTreeSet;

use super::Fault;
use super::run::Session;
use super::schema::Dialect;

/// The most that is named.
const NAMED: usize = 5;

/// Roles of a user that are looked into.
const MOST_ROLES: usize = 32;

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
    let roles = "SELECT 'be ' || r.rolname::text FROM pg_catalog.pg_roles AS r WHERE (r.rolname IN \
                 ('pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program') \
                 OR (r.rolsuper AND r.rolname <> current_user)) AND pg_has_role(r.oid, 'MEMBER') ORDER BY 1";
    let tables = "pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                  AND c.relkind IN ('r', 'v', 'p', 'f') AND n.nspname <> 'information_schema' \
                  AND left(n.nspname::text, 3) <> 'pg_'";
    let table = "n.nspname::text || '.' || c.relname::text";
    let changes = "'INSERT, UPDATE, DELETE, TRUNCATE'";
    let most = NAMED + 1;
    let own = format!(
        "SELECT 'change ' || {table} FROM {tables} WHERE has_table_privilege(c.oid, {changes}) ORDER BY 1 LIMIT {most}"
    );
    // What a role gives that is inherited is the user's own; what another one gives, it has after SET ROLE.
    let taken_on = format!(
        "SELECT 'be ' || r.rolname::text || ', who may change ' || {table} FROM pg_catalog.pg_roles AS r \
         CROSS JOIN {tables} WHERE pg_has_role(r.oid, 'MEMBER') AND NOT pg_has_role(r.oid, 'USAGE') \
         AND has_table_privilege(r.oid, c.oid, {changes}) ORDER BY 1 LIMIT {most}"
    );
    let mut found = Vec::new();
    for sql in [roles.to_owned(), own, taken_on] {
        let rows = session.texts(sql, &[]).await?;
        found.extend(rows.into_iter().filter_map(|mut row| row.pop()?));
    }
    Ok(found)
}

async fn mysql(session: &mut Session) -> Result<Vec<String>, Fault> {
    let server = texts(session, "SELECT VERSION()").await?;
    let is_mariadb = server.iter().any(|version| version.contains("MariaDB"));
    // Those of roles that are taken on now are among them, and so are mandatory roles.
    let grants = texts(session, "SHOW GRANTS").await?;
    let mut found: Vec<String> = grants.iter().flat_map(|g| beyond_reading(g)).collect();
    let roles: BTreeSet<String> = grants.iter().flat_map(|grant| roles(grant)).collect();
    if roles.len() > MOST_ROLES {
        found.push(format!("be more than {MOST_ROLES} roles"));
    }
    let mut of_roles = Vec::new();
    for role in roles.iter().take(MOST_ROLES) {
        let grants = match is_mariadb {
            true => grants_of_mariadb(session, role).await,
            false => {
                texts(
                    session,
                    &format!("SHOW GRANTS FOR CURRENT_USER() USING {role}"),
                )
                .await
            }
        };
        match grants {
            Ok(grants) => {
                let all = grants.iter().flat_map(|grant| beyond_reading(grant));
                let more = all.filter(|power| !found.contains(power));
                of_roles.extend(more.map(|power| format!("{power} as {role}")));
            }
            // What it gives is not known, so that it may be everything.
            Err(Fault::Failed(_)) => of_roles.push(format!("be {role}")),
            Err(fault) => return Err(fault),
        }
    }
    found.extend(of_roles);
    Ok(found)
}

/// What SHOW GRANTS says while a role is taken on, which in MariaDB is the only way for a user to see what it gives.
/// Afterwards the session has the role that it had.
async fn grants_of_mariadb(session: &mut Session, role: &str) -> Result<Vec<String>, Fault> {
    let before = texts(session, "SELECT CURRENT_ROLE()").await?.pop();
    texts(session, &format!("SET ROLE {role}")).await?;
    let grants = texts(session, "SHOW GRANTS").await;
    let is_back = match before {
        Some(name) => {
            let back = format!("SET ROLE {}", quoted(&name));
            texts(session, &back).await.is_ok()
        }
        None => false,
    };
    if !is_back {
        texts(session, "SET ROLE NONE").await?;
    }
    grants
}

/// The last column of the rows of a statement, where it is not NULL.
async fn texts(session: &mut Session, sql: &str) -> Result<Vec<String>, Fault> {
    let rows = session.texts(sql.to_owned(), &[]).await?;
    Ok(rows.into_iter().filter_map(|mut row| row.pop()?).collect())
}

/// A name in the quotes that MySQL and MariaDB take in each mode.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The roles that a line of SHOW GRANTS gives to the user, as SQL names them; none where it gives privileges, or where
/// it gives them to a role, which has no host.
fn roles(grant: &str) -> Vec<String> {
    let Some(mut rest) = grant.strip_prefix("GRANT ") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    loop {
        let Some((role, after)) = account(rest) else {
            return Vec::new();
        };
        found.push(role);
        if let Some(grantee) = after.strip_prefix(" TO ") {
            return match name(grantee) {
                Some((_, host)) if host.starts_with('@') => found,
                _ => Vec::new(),
            };
        }
        let Some(next) = after.strip_prefix(',') else {
            return Vec::new();
        };
        rest = next.trim_start();
    }
}

/// A name with its host, if it has one, as SQL names it, and what follows it.
fn account(text: &str) -> Option<(String, &str)> {
    let (own, after) = name(text)?;
    let Some(host) = after.strip_prefix('@') else {
        return Some((quoted(&own), after));
    };
    let (host, after) = name(host)?;
    Some((format!("{}@{}", quoted(&own), quoted(&host)), after))
}

/// The name that a text begins with, in quotes or without, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let first = text.chars().next()?;
    if !matches!(first, '`' | '\'' | '"') {
        let end = text.find(['@', ',', ' ']).unwrap_or(text.len());
        let (name, after) = text.split_at(end);
        return (!name.is_empty()).then(|| (name.to_owned(), after));
    }
    let mut name = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == first && chars.next_if(|(_, next)| *next == first).is_none() {
            return Some((name, text.get(at + 1..)?));
        }
        name.push(c);
    }
    None
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

    #[test]
    fn roles_of_the_user_are_found_among_grants() {
        for (grant, expected) in [
            // MySQL, and MariaDB, whose roles have no host.
            (
                "GRANT `w`@`%`,`r`@`10.%` TO `u`@`%` WITH ADMIN OPTION",
                vec!["`w`@`%`", "`r`@`10.%`"],
            ),
            ("GRANT `a``b` TO 'u'@'localhost'", vec!["`a``b`"]),
            ("GRANT w TO 'u'@'localhost'", vec!["`w`"]),
            ("GRANT \"a, b\" TO ``@`%`", vec!["`a, b`"]),
            // What a role has, the user can only take on by that role.
            ("GRANT `nested` TO `w`", vec![]),
            ("GRANT SELECT, INSERT ON `shop`.* TO `u`@`%`", vec![]),
            ("GRANT PROXY ON ''@'%' TO 'root'@'localhost'", vec![]),
            ("GRANT `not ended TO `u`@`%`", vec![]),
            ("SET DEFAULT ROLE `w` FOR `u`@`%`", vec![]),
        ] {
            assert_eq!(roles(grant), expected, "{grant}");
        }
    }
}
