"""The benchmark's three databases: their tables, and data that are the same in every run.

`music` is a shop of songs (11 tables), `trade` an importer of food (13), `clinic` a hospital (60), with English names
and, in the hospital, Chinese comments and values. Everything here was made up for this benchmark.

    python3 schemas.py FOLDER     writes NAME.sqlite.sql, NAME.postgres.sql and NAME.mysql.sql for each

A column is `name:type` with `!` for the key, `?` for one that may be NULL, `>table` for a foreign key (to that table's
first column, or `>table.column`), and `#words` for a comment. Types: int, num (two digits), real, text, date, time.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

DIALECTS = ("sqlite", "postgres", "mysql")

TYPES = {
    "int": ("INTEGER", "INTEGER", "INT"),
    "num": ("NUMERIC(12,2)", "NUMERIC(12,2)", "DECIMAL(12,2)"),
    "real": ("REAL", "DOUBLE PRECISION", "DOUBLE"),
    "text": ("VARCHAR(200)", "VARCHAR(200)", "VARCHAR(200)"),
    "date": ("DATE", "DATE", "DATE"),
    "time": ("TIMESTAMP", "TIMESTAMP", "DATETIME"),
}


@dataclass
class Column:
    name: str
    kind: str
    key: bool
    null: bool
    target: str | None
    comment: str


@dataclass
class Table:
    name: str
    comment: str
    columns: list[Column]
    rows: list[tuple] = field(default_factory=list)

    def key(self):
        return [c.name for c in self.columns if c.key]


class Database:
    """Tables in an order in which each comes after those that it points to."""

    def __init__(self, name):
        self.name = name
        self.tables: dict[str, Table] = {}

    def table(self, name, comment, *specs):
        columns = []
        for spec in specs:
            spec, _, about = spec.partition("#")
            spec, _, target = spec.strip().partition(">")
            column, _, kind = spec.strip().partition(":")
            columns.append(
                Column(column, kind.strip("!?"), "!" in kind, "?" in kind, target.strip() or None, about.strip())
            )
        self.tables[name] = Table(name, comment, columns)

    def add(self, table, *rows):
        known = self.tables[table]
        for row in rows:
            assert len(row) == len(known.columns), (table, row)
        known.rows.extend(rows)

    def sql(self, dialect, comments=True):
        """Everything as statements of a dialect."""
        at = DIALECTS.index(dialect)
        # Rows may point to rows behind them.
        out = ["SET FOREIGN_KEY_CHECKS = 0;"] if dialect == "mysql" else []
        for table in self.tables.values():
            lines = []
            for c in table.columns:
                line = f"  {c.name} {TYPES[c.kind][at]}"
                if not c.null:
                    line += " NOT NULL"
                if dialect == "mysql" and c.comment and comments:
                    line += f" COMMENT {literal(c.comment)}"
                lines.append(line)
            if table.key():
                lines.append(f"  PRIMARY KEY ({', '.join(table.key())})")
            for c in table.columns:
                if c.target:
                    to, _, column = c.target.partition(".")
                    column = column or self.tables[to].columns[0].name
                    lines.append(f"  FOREIGN KEY ({c.name}) REFERENCES {to} ({column})")
            end = ""
            if dialect == "mysql" and comments:
                end = " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
                if table.comment:
                    end += f" COMMENT={literal(table.comment)}"
            out.append(f"CREATE TABLE {table.name} (\n" + ",\n".join(lines) + f"\n){end};")
            if dialect == "postgres":
                if table.comment:
                    out.append(f"COMMENT ON TABLE {table.name} IS {literal(table.comment)};")
                for c in table.columns:
                    if c.comment:
                        out.append(f"COMMENT ON COLUMN {table.name}.{c.name} IS {literal(c.comment)};")
        for table in self.tables.values():
            for start in range(0, len(table.rows), 200):
                rows = table.rows[start : start + 200]
                values = ",\n".join("(" + ", ".join(literal(v) for v in row) + ")" for row in rows)
                out.append(f"INSERT INTO {table.name} VALUES\n{values};")
        return "\n".join(out) + "\n"

    def comments(self):
        """Comments as the tool's file has them, for SQLite, which keeps none."""
        out = []
        for table in self.tables.values():
            columns = [(c.name, c.comment) for c in table.columns if c.comment]
            if table.comment or columns:
                out.append(f"[tables.{table.name}]")
                if table.comment:
                    out.append(f'description = "{table.comment}"')
                if columns:
                    out.append(f"[tables.{table.name}.columns]")
                    out.extend(f'{name} = "{about}"' for name, about in columns)
        return "\n".join(out) + "\n"

    def plain(self, dialect):
        """The tables alone, as one would paste them into a prompt."""
        statements = self.sql(dialect, comments=False).split(";\n")
        return ";\n".join(s for s in statements if s.startswith("CREATE TABLE")) + ";\n"


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.2f}" if round(value, 2) == value else repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def databases():
    from clinic import clinic
    from music import music
    from trade import trade

    return {"music": music(), "trade": trade(), "clinic": clinic()}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, database in databases().items():
        for dialect in DIALECTS:
            (folder / f"{name}.{dialect}.sql").write_text(database.sql(dialect), encoding="utf-8")
        rows = sum(len(t.rows) for t in database.tables.values())
        print(f"{name}: {len(database.tables)} tables, {rows} rows")


if __name__ == "__main__":
    main()
