"""When two results are the same: rows as multisets, in order only where the question's query sorts, columns in any order,
numbers to the digits that both have, but two of them at least."""

from itertools import permutations

# Results with more columns are compared in their own order.
MOST_COLUMNS = 5


def number(value):
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        text = value.removeprefix("-")
        if text and text.replace(".", "", 1).isdigit() and text[0] != ".":
            return float(value)
    return None


def decimals(value):
    text = f"{value:.9f}".rstrip("0") if isinstance(value, float) else str(value)
    return len(text.partition(".")[2])


def same_value(a, b):
    x, y = number(a), number(b)
    if x is not None and y is not None:
        digits = max(2, min(decimals(a), decimals(b), 6))
        return abs(x - y) <= 0.51 * 10**-digits + 1e-9 * abs(y)
    if a is None or b is None:
        return a is b
    a, b = str(a).strip(), str(b).strip()
    # A date with a time of zero is the date.
    return a == b or (len(a) > 10 and len(b) > 10 and a[:10] == b[:10] and a[11:19] == b[11:19] == "00:00:00")


def key(row):
    return tuple("" if v is None else (f"{number(v):.1f}" if number(v) is not None else str(v)) for v in row)


def same_rows(found, gold, ordered):
    if len(found) != len(gold):
        return False
    if ordered:
        return all(len(a) == len(b) and all(map(same_value, a, b)) for a, b in zip(found, gold))
    left = sorted(found, key=key)
    for row in sorted(gold, key=key):
        # Rounding may have changed the places of neighbours.
        at = next((i for i, other in enumerate(left) if len(other) == len(row) and all(map(same_value, other, row))), None)
        if at is None:
            return False
        left.pop(at)
    return True


def same(found, gold, ordered=False):
    """Whether a result says what the right one does."""
    if len(found) != len(gold):
        return False
    if not gold:
        return True
    width = len(gold[0])
    if any(len(row) != width for row in found):
        return False
    orders = permutations(range(width)) if width <= MOST_COLUMNS else [tuple(range(width))]
    return any(same_rows([[row[i] for i in order] for row in found], gold, ordered) for order in orders)


def contains(found, gold, ordered=False):
    """The same for a result that may have more columns than were asked for."""
    if len(found) != len(gold) or not gold:
        return same(found, gold, ordered)
    width, wide = len(gold[0]), len(found[0])
    if wide > MOST_COLUMNS + 3 or width > MOST_COLUMNS:
        return same(found, gold, ordered)
    return any(same_rows([[row[i] for i in order] for row in found], gold, ordered) for order in permutations(range(wide), width))
