//! A shop in three dialects, and queries that a checker has to let through. Every query was run by the database that it
//! is for. Left out: queries that are refused.

#![allow(
    dead_code,
    reason = "tests share it, and not each of them uses all of it"
)]

/// Queries that SQLite, PostgreSQL, MySQL and MariaDB read alike.
pub const COMMON: &[&str] = &[
    "SELECT 1",
    "SELECT 1 + 2 * 3 AS seven, 'it''s' AS word, NULL AS missing, TRUE AS yes",
    "SELECT * FROM customers",
    "SELECT name FROM customers WHERE id = 1;",
    "SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id",
    "SELECT c.* FROM customers AS c WHERE c.country IN ('DE', 'BR')",
    "SELECT COUNT(*) FROM orders",
    "SELECT COUNT(DISTINCT customer_id) AS customers FROM orders",
    "SELECT country, COUNT(*) AS n FROM customers GROUP BY country ORDER BY n DESC, country ASC LIMIT 3",
    "SELECT status, SUM(total) AS total, AVG(total), MIN(total), MAX(total) FROM orders \
     GROUP BY status HAVING COUNT(*) > 1",
    "SELECT name FROM customers WHERE email IS NOT NULL AND country IS NULL OR NOT (id > 2)",
    "SELECT name FROM customers WHERE name LIKE 'A%' OR name NOT LIKE '%n'",
    "SELECT name FROM customers WHERE name LIKE '50|%%' ESCAPE '|'",
    "SELECT id FROM orders WHERE total BETWEEN 10 AND 100.5",
    "SELECT id, CASE WHEN total > 100 THEN 'big' WHEN total > 10 THEN 'mid' ELSE 'small' END AS size \
     FROM orders",
    "SELECT id, CASE status WHEN 'paid' THEN 1 ELSE 0 END FROM orders",
    "SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE total > 50)",
    "SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
    "SELECT name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o \
     WHERE o.customer_id = c.id AND o.status = 'paid')",
    "SELECT name, (SELECT COUNT(*) FROM orders o WHERE o.customer_id = c.id) AS orders FROM customers c",
    "SELECT c.name, COALESCE(SUM(o.total), 0) AS spent FROM customers c LEFT \
     JOIN orders o ON o.customer_id = c.id GROUP BY c.id, c.name ORDER BY spent DESC",
    "WITH big AS (SELECT * FROM orders WHERE total > 50) SELECT COUNT(*) FROM big",
    "WITH a AS (SELECT id, total FROM orders), b AS (SELECT id, total FROM a \
     WHERE total > 5) SELECT b.id, a.total FROM a JOIN b ON a.id = b.id",
    "WITH orders AS (SELECT * FROM orders WHERE total > 50) SELECT * FROM orders",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
    "SELECT name FROM customers UNION SELECT title FROM products ORDER BY name",
    "SELECT id FROM customers UNION ALL SELECT id FROM orders",
    "SELECT id FROM customers EXCEPT SELECT customer_id FROM orders",
    "SELECT id FROM customers INTERSECT SELECT customer_id FROM orders",
    "SELECT t.n FROM (SELECT COUNT(*) AS n FROM orders GROUP BY status) AS t WHERE t.n > 1",
    "SELECT DISTINCT country FROM customers ORDER BY country",
    "SELECT id, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY total DESC) AS place FROM orders",
    "SELECT id, SUM(total) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running \
     FROM orders",
    "SELECT id, LAG(total, 1) OVER w AS before_it, LEAD(total) OVER w AS after_it \
     FROM orders WINDOW w AS (ORDER BY id)",
    "SELECT id, RANK() OVER (ORDER BY total), DENSE_RANK() OVER (ORDER BY total), \
     NTILE(4) OVER (ORDER BY total) FROM orders",
    "SELECT o.id, i.sku FROM orders o INNER JOIN items i ON i.order_id = o.id INNER \
     JOIN products p ON p.sku = i.sku WHERE p.category = 'tea'",
    "SELECT a.id, b.id AS other FROM orders a CROSS JOIN orders b WHERE a.id < b.id",
    "SELECT a.id FROM orders a, customers c WHERE a.customer_id = c.id",
    "SELECT sku, SUM(quantity * price) AS revenue FROM items GROUP BY sku ORDER BY 2 DESC LIMIT 5 OFFSET 1",
    "SELECT UPPER(name), LOWER(name), LENGTH(name), TRIM(name), REPLACE(name, 'a', 'b') FROM customers",
    "SELECT ROUND(total, 1), ABS(-total), NULLIF(total, 0) FROM orders",
    "SELECT CAST(total AS DECIMAL(10, 2)) FROM orders",
    "SELECT -total, +total, - -1, 3 - -2 FROM orders",
    "SELECT (total + 1) * 2 / 3 % 4 FROM orders",
    "SELECT customers.name FROM customers INNER JOIN orders ON customers.id = orders.customer_id \
     WHERE orders.status <> 'new'",
    "SELECT sku FROM items JOIN products USING (sku)",
    r#"SELECT '%_"`' AS odd, 'a -- b' AS dashes, 'x; DROP TABLE orders' AS words, '/' AS slash"#,
    "SELECT '金额' AS 金额, name AS größe FROM customers",
    "SELECT MAX(CASE WHEN status = 'paid' THEN total END) AS paid FROM orders",
];

/// Queries of SQLite.
pub const SQLITE: &[&str] = &[
    "SELECT strftime('%Y-%m', ordered_at) AS month, SUM(total) FROM orders GROUP BY month ORDER BY month",
    "SELECT date('now', '-1 day'), datetime('now'), julianday('now'), unixepoch('now')",
    "SELECT id FROM orders WHERE ordered_at >= date('2026-01-01', '+1 month')",
    "SELECT name || ' (' || country || ')' FROM customers",
    "SELECT group_concat(name, ', ') FROM customers",
    "SELECT group_concat(DISTINCT country) FROM customers",
    "SELECT json_extract(meta, '$.tier'), meta ->> '$.tier', meta -> 'tier' FROM customers",
    "SELECT c.name, j.value FROM customers c, json_each(c.meta, '$.tags') AS j",
    "SELECT key, value FROM json_each('[1, 2, 3]')",
    "SELECT substr(name, 1, 3), instr(name, 'n'), ifnull(email, '-'), iif(id > 1, 'a', 'b') FROM customers",
    "SELECT printf('%.2f', total), typeof(total), quote(note), hex(note) FROM orders",
    "SELECT name FROM customers WHERE name GLOB 'A*' AND name IS NOT 'Bo'",
    "SELECT total FROM orders ORDER BY total DESC NULLS LAST LIMIT 2, 3",
    "SELECT COUNT(*) FILTER (WHERE status = 'paid') FROM orders",
    r#"SELECT [name] FROM [customers] WHERE "country" == 'DE'"#,
    "SELECT name AS n FROM customers WHERE n LIKE 'A%'",
    "SELECT total COLLATE NOCASE FROM orders ORDER BY status COLLATE NOCASE",
    "SELECT CAST(total AS INTEGER), CAST(id AS TEXT), CAST(total AS REAL) FROM orders",
    "SELECT * FROM (SELECT id FROM orders) UNION SELECT id FROM items",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT total(total), max(total, 3), min(1, 2) FROM orders",
    "SELECT id, first_value(total) OVER (PARTITION BY customer_id ORDER BY id RANGE UNBOUNDED PRECEDING) \
     FROM orders",
    "SELECT 1 IN (1, 2), 1 NOT IN (), 5 & 3, 5 | 3, 1 << 2, ~1",
    "SELECT name FROM customers WHERE (id, country) IN (SELECT id, country FROM customers)",
    "SELECT CURRENT_DATE, CURRENT_TIMESTAMP, DATE('2026-01-01')",
    "SELECT name FROM main.customers",
    "SELECT likely(id = 1), round(2.567, 2), sign(-2), char(65), unicode('A') FROM customers",
    "WITH RECURSIVE months(m) AS (SELECT date('2026-01-01') UNION ALL SELECT date(m, '+1 month') FROM months \
     WHERE m < '2026-06-01') SELECT m FROM months",
];

/// Queries of PostgreSQL.
pub const POSTGRES: &[&str] = &[
    "SELECT date_trunc('month', ordered_at) AS month, SUM(total) FROM orders GROUP BY 1 ORDER BY 1",
    "SELECT EXTRACT(YEAR FROM ordered_at), EXTRACT(dow FROM ordered_at), date_part('month', ordered_at) \
     FROM orders",
    "SELECT id FROM orders WHERE ordered_at >= now() - INTERVAL '30 days' OR ordered_at < DATE '2026-01-01'",
    "SELECT id FROM orders WHERE ordered_at > TIMESTAMP '2026-01-01 00:00:00' + INTERVAL '1' DAY",
    "SELECT name || ' (' || country || ')' FROM customers",
    "SELECT string_agg(name, ', ' ORDER BY name) FROM customers",
    "SELECT string_agg(DISTINCT country, ',') FROM customers",
    r#"SELECT meta ->> 'tier', meta -> 'tags' ->> 0, meta #>> '{tags,0}', meta @> '{"tier": "gold"}'
     FROM customers"#,
    "SELECT c.name, t.value FROM customers c, jsonb_array_elements_text(c.meta -> 'tags') AS t",
    "SELECT c.name, tag FROM customers c CROSS \
     JOIN LATERAL jsonb_array_elements_text(c.meta -> 'tags') AS x(tag)",
    "SELECT DISTINCT ON (customer_id) customer_id, total FROM orders ORDER BY customer_id, total DESC",
    "SELECT COUNT(*) FILTER (WHERE status = 'paid'), bool_or(total > 10), array_agg(id ORDER BY id) \
     FROM orders",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders",
    "SELECT name FROM customers WHERE name ILIKE 'a%' AND name ~ '^A' AND name !~* 'z$'",
    "SELECT name FROM customers WHERE country = ANY (ARRAY['DE', 'BR']) OR id > ALL (SELECT customer_id \
     FROM orders)",
    "SELECT total::numeric(10, 1), id::text, '5'::int, CAST(total AS integer) FROM orders",
    "SELECT g FROM generate_series(1, 5) AS g",
    "SELECT d::date FROM generate_series('2026-01-01'::date, '2026-03-01'::date, '1 month') AS d",
    "SELECT unnest(ARRAY[1, 2, 3]) AS n",
    "SELECT u.n, u.i FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS u(n, i)",
    "SELECT to_char(ordered_at, 'YYYY-MM'), to_char(total, 'FM999.00') FROM orders",
    "SELECT split_part(name, ' ', 1), left(name, 2), right(name, 2), initcap(name), md5(name) FROM customers",
    "SELECT country, status, COUNT(*) FROM customers c JOIN orders o ON o.customer_id = c.id \
     GROUP BY ROLLUP (country, status)",
    "SELECT country, COUNT(*) FROM customers GROUP BY GROUPING SETS ((country), ())",
    "SELECT total FROM orders ORDER BY total DESC NULLS LAST FETCH FIRST 2 ROWS ONLY",
    "SELECT c.name, l.total FROM customers c LEFT JOIN LATERAL (SELECT total FROM orders o \
     WHERE o.customer_id = c.id ORDER BY total DESC LIMIT 1) l ON TRUE",
    "SELECT CURRENT_DATE, CURRENT_TIMESTAMP, LOCALTIMESTAMP, age(TIMESTAMP '2026-01-01')",
    "SELECT SUBSTRING(name FROM 1 FOR 2), POSITION('n' IN name), TRIM(BOTH ' ' \
     FROM name), OVERLAY(name PLACING 'x' FROM 1 FOR 1) FROM customers",
    "SELECT id FROM orders WHERE ordered_at AT TIME ZONE 'UTC' > '2026-01-01'",
    r#"SELECT "name" FROM "customers" WHERE id IS DISTINCT FROM 3"#,
    r#"SELECT (ARRAY[1, 2, 3])[1], (ARRAY[1, 2, 3])[1:2], E'tab\tline' AS tab"#,
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT AVG(total) OVER (PARTITION BY customer_id ORDER BY id ROWS 2 PRECEDING) FROM orders",
    "SELECT make_interval(0, 0, 0, 10), make_date(2026, 1, 2), greatest(1, 2), least(1, 2)",
    "SELECT name FROM public.customers WHERE public.customers.id = 1",
    "SELECT ARRAY(SELECT id FROM orders ORDER BY id) AS ids",
];

/// Queries of MySQL and MariaDB.
pub const MYSQL: &[&str] = &[
    "SELECT DATE_FORMAT(ordered_at, '%Y-%m') AS month, SUM(total) FROM orders GROUP BY month ORDER BY month",
    "SELECT YEAR(ordered_at), MONTH(ordered_at), DAYOFWEEK(ordered_at), QUARTER(ordered_at) FROM orders",
    "SELECT id FROM orders WHERE ordered_at >= NOW() - INTERVAL 30 DAY",
    "SELECT DATE_ADD(ordered_at, INTERVAL 1 MONTH), DATE_SUB(CURDATE(), INTERVAL 7 DAY) FROM orders",
    "SELECT TIMESTAMPDIFF(DAY, ordered_at, NOW()), DATEDIFF('2026-02-01', ordered_at) FROM orders",
    "SELECT EXTRACT(YEAR FROM ordered_at), EXTRACT(DAY FROM ordered_at) FROM orders",
    "SELECT CONCAT(name, ' (', country, ')'), CONCAT_WS('-', name, country) FROM customers",
    "SELECT GROUP_CONCAT(DISTINCT name ORDER BY name DESC SEPARATOR '; ') FROM customers",
    "SELECT JSON_EXTRACT(meta, '$.tier'), JSON_UNQUOTE(JSON_EXTRACT(meta, '$.tier')) FROM customers",
    r#"SELECT `name` FROM `customers` WHERE `country` = "DE""#,
    "SELECT IF(id > 1, 'a', 'b'), IFNULL(email, '-'), LEFT(name, 2), RIGHT(name, 2), LOCATE('n', name) \
     FROM customers",
    "SELECT name FROM customers WHERE name REGEXP '^A' AND name RLIKE 'n$'",
    r#"SELECT name FROM customers WHERE name LIKE '50\\%' OR name = 'it\'s'"#,
    "SELECT country, COUNT(*) FROM customers GROUP BY country WITH ROLLUP",
    "SELECT total FROM orders ORDER BY total IS NULL, total DESC LIMIT 1, 2",
    "SELECT CAST(total AS SIGNED), CAST(orders.id AS CHAR), CONVERT(total, DECIMAL(10, 1)), \
     CONVERT(name USING utf8mb4) FROM orders JOIN customers ON customers.id = orders.customer_id",
    "SELECT 7 DIV 2, 7 % 2, MOD(7, 2), 1 <=> NULL, 5 & 3, 5 | 3, 5 ^ 1, 1 << 2, TRUE XOR FALSE",
    "SELECT name FROM customers WHERE country = 'DE' && id > 0",
    "SELECT CURRENT_DATE, CURRENT_TIMESTAMP, UTC_DATE(), UNIX_TIMESTAMP('2026-01-01')",
    "SELECT SUBSTRING(name, 1, 3), SUBSTRING_INDEX(name, ' ', 1), REVERSE(name), LPAD(name, 10, '*'), \
     REPEAT('a', 3) FROM customers",
    "SELECT FIELD(status, 'new', 'paid'), FIND_IN_SET(status, 'new,paid'), ELT(1, 'a', 'b') FROM orders",
    "SELECT o.id FROM orders o LEFT JOIN (items i JOIN products p ON p.sku = i.sku) ON i.order_id = o.id",
    "SELECT ordered_at + INTERVAL 1 DAY, DATE(ordered_at), TIME(ordered_at), LAST_DAY(ordered_at) FROM orders",
    "SELECT STR_TO_DATE('2026-01-02', '%Y-%m-%d'), DATE '2026-01-02', TIMESTAMP '2026-01-02 03:04:05'",
    "SELECT COUNT(*), STD(total), VARIANCE(total), BIT_OR(id) FROM orders",
    "SELECT TRIM(LEADING 'A' FROM name), POSITION('n' IN name) FROM customers",
    "SELECT name COLLATE utf8mb4_bin FROM customers ORDER BY name COLLATE utf8mb4_general_ci",
    "SELECT TRUNCATE(total, 1), CEIL(total), FLOOR(total), POW(total, 2), SQRT(total) FROM orders",
    "SELECT name FROM customers WHERE id = ANY (SELECT customer_id FROM orders) AND id <> ALL (SELECT 99)",
    "SELECT 1--1",
];

/// The shop in SQLite.
pub const SQLITE_SHOP: &str = r#"
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT, country TEXT,
    meta TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), status TEXT,
    total REAL, ordered_at TEXT, note BLOB);
CREATE TABLE items (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders (id), sku TEXT,
    quantity INTEGER, price REAL);
CREATE TABLE products (sku TEXT PRIMARY KEY, title TEXT, category TEXT);
"#;

/// The shop in PostgreSQL.
pub const POSTGRES_SHOP: &str = r#"
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, email text, country text,
    meta jsonb);
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer REFERENCES customers (id), status text,
    total numeric(10, 2), ordered_at timestamp, note bytea);
CREATE TABLE items (id integer PRIMARY KEY, order_id integer REFERENCES orders (id), sku text,
    quantity integer, price numeric(10, 2));
CREATE TABLE products (sku text PRIMARY KEY, title text, category text);
"#;

/// The shop in MySQL and MariaDB.
pub const MYSQL_SHOP: &str = r#"
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL, email VARCHAR(80),
    country VARCHAR(2), meta JSON);
CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT, status VARCHAR(10), total DECIMAL(10, 2),
    ordered_at DATETIME, note BLOB, FOREIGN KEY (customer_id) REFERENCES customers (id));
CREATE TABLE items (id INT PRIMARY KEY, order_id INT, sku VARCHAR(20), quantity INT, price DECIMAL(10,
    2), FOREIGN KEY (order_id) REFERENCES orders (id));
CREATE TABLE products (sku VARCHAR(20) PRIMARY KEY, title VARCHAR(80), category VARCHAR(20));
"#;

/// What is in the shop.
pub const ROWS: &str = r#"
INSERT INTO customers VALUES (1, 'Ann', 'ann@example.com', 'DE', '{"tier": "gold", "tags": ["a",
    "b"]}'), (2, 'Bo', NULL, 'BR', '{"tier": "tin", "tags": []}'), (3, '李雷', 'lei@example.com', NULL, '{}');
INSERT INTO orders VALUES (1, 1, 'paid', 120.5, '2026-01-02 03:04:05', NULL), (2, 1, 'new', 20,
    '2026-02-03 04:05:06', NULL), (3, 2, 'paid', 7.25, '2026-03-04 05:06:07', NULL);
INSERT INTO items VALUES (1, 1, 'tea', 2, 10.25), (2, 1, 'cup', 1, 100), (3, 3, 'tea', 1, 7.25);
INSERT INTO products VALUES ('tea', 'Green tea', 'tea'), ('cup', 'A cup', 'pots');
"#;
