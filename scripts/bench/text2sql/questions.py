"""Questions about the three databases, with a query that answers each.

Each is (split, language, kind, question, query). Splits: `test` is reported, `dev` is for choosing, `shot` are examples that
the model may be shown; no question is in two. Where the dialects differ, a query says `{year(x)}` and the like:

    year(x)    the year of a date, as an integer        ym(x)      `2023-05`
    month(x)   its month, as an integer                 days(a, b) days from b to a
    cat(a, b)  texts, one behind the other

    python3 questions.py FOLDER     writes questions.jsonl and NAME.DIALECT.shots.jsonl
"""

import json
import re
import sys
from pathlib import Path

from schemas import DIALECTS

FORMS = {
    "year": ("CAST(strftime('%Y', {0}) AS INTEGER)", "CAST(EXTRACT(YEAR FROM {0}) AS INTEGER)", "YEAR({0})"),
    "month": ("CAST(strftime('%m', {0}) AS INTEGER)", "CAST(EXTRACT(MONTH FROM {0}) AS INTEGER)", "MONTH({0})"),
    "ym": ("strftime('%Y-%m', {0})", "TO_CHAR({0}, 'YYYY-MM')", "DATE_FORMAT({0}, '%Y-%m')"),
    "days": ("CAST(julianday({0}) - julianday({1}) AS INTEGER)", "({0} - {1})", "DATEDIFF({0}, {1})"),
}


def expand(sql, dialect):
    """A query in the words of a dialect."""

    def form(found):
        name, arguments = found[1], [a.strip() for a in found[2].split(",")]
        if name == "cat":
            return f"CONCAT({', '.join(arguments)})" if dialect == "mysql" else " || ".join(arguments)
        return FORMS[name][DIALECTS.index(dialect)].format(*arguments)

    return re.sub(r"\{(\w+)\(([^{}]*)\)\}", form, sql)


def questions():
    from questions_clinic import CLINIC
    from questions_music import MUSIC
    from questions_trade import TRADE

    for database, rows in (("music", MUSIC), ("trade", TRADE), ("clinic", CLINIC)):
        count = 0
        for split, language, kind, question, sql in rows:
            count += 1
            yield {
                "id": f"{database}-{count:03d}",
                "database": database,
                "split": split,
                "language": language,
                "kind": kind,
                "question": question,
                "sql": {dialect: expand(sql, dialect) for dialect in DIALECTS},
                "ordered": bool(re.search(r"ORDER BY(?!.*\))", sql)),
            }


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(questions())
    with (folder / "questions.jsonl").open("w", encoding="utf-8") as out:
        for row in rows:
            if row["split"] != "shot":
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
    for database in {row["database"] for row in rows}:
        for dialect in DIALECTS:
            with (folder / f"{database}.{dialect}.shots.jsonl").open("w", encoding="utf-8") as out:
                for row in rows:
                    if row["split"] == "shot" and row["database"] == database:
                        pair = {"question": row["question"], "sql": row["sql"][dialect]}
                        out.write(json.dumps(pair, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
