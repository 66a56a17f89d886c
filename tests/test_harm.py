"""The harm of tests/harm.py in small; the page shows its whole counts."""

import json
import random

import harm
import pytest

from ditune.store import guard


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setenv("DITUNE_ROOT", str(guard.PACKAGE.parent))


@pytest.mark.parametrize("part, n", [(harm.calls, 25), (harm.damaged_files, 60)])
def test_nothing_falls(part, n):
    assert part(n, random.Random(1)) == (n, [])


@pytest.mark.slow
def test_kills_lose_nothing():
    assert harm.kills(3, random.Random(1)) == (3, [])


def test_the_page_shows_the_counts_and_nothing_fell():
    counts, table = json.loads((harm.PAGE / "counts.json").read_text()), (harm.PAGE / "table.txt").read_text()
    assert len(counts["rows"]) == 3 + len(harm.GROUPS) and all(row["tried"] and not row["fell"] for row in counts["rows"].values())
    assert all(f"| {what} | {row['tried']} | {row['tried']} |" in table for what, row in counts["rows"].items())
