"""Runs every query of the benchmark on SQLite, PostgreSQL and MariaDB and compares what they give.

    python3 verify.py FOLDER

It fails where a query fails, gives nothing, or gives different rows on different databases or on tables whose rows were
filled in the other way round (the first of several equals is nobody's answer).
"""

import sqlite3
import sys
import tempfile
from pathlib import Path

from compare import same
from questions import questions
from schemas import databases
from servers import MariaDb, Postgres, start


def sqlite(database, backwards=False):
    connection = sqlite3.connect(":memory:")
    if backwards:
        for table in database.tables.values():
            table.rows.reverse()
    connection.executescript(database.sql("sqlite"))
    if backwards:
        for table in database.tables.values():
            table.rows.reverse()
    return connection


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    all_databases = databases()
    forward = {name: sqlite(database) for name, database in all_databases.items()}
    backward = {name: sqlite(database, backwards=True) for name, database in all_databases.items()}
    servers = [s for s in (start(Postgres, folder / "postgres"), start(MariaDb, folder / "mariadb")) if s]
    wrong = 0
    try:
        for server in servers:
            for name, database in all_databases.items():
                server.load(name, database.sql(server.dialect))
        count = 0
        for question in questions():
            count += 1
            name, ordered = question["database"], question["ordered"]
            gold = forward[name].execute(question["sql"]["sqlite"]).fetchall()
            results = {"SQLite filled backwards": backward[name].execute(question["sql"]["sqlite"]).fetchall()}
            for server in servers:
                try:
                    results[server.dialect] = server.rows(name, question["sql"][server.dialect])
                except RuntimeError as error:
                    results[server.dialect] = [(str(error),)]
            says_nothing = not gold or all(value is None for row in gold for value in row)
            for which, found in results.items():
                if says_nothing or not same(found, gold, ordered):
                    wrong += 1
                    print(f"{question['id']} {which}: {question['question']}\n  {gold[:4]}\n  {found[:4]}")
    finally:
        for server in servers:
            server.close()
    print(f"{count} queries on {1 + len(servers)} databases, {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
