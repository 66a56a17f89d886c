"""The front page: what the chapters answer, a board of all statements, what was computed again here."""

from ..report import tables
from ..report.ledger import OUT_OF_REACH, WORDS, Verdict
from ..report.stats import FAILS, HOLDS, OPEN
from . import number_of_rules

READS = ("records",)
BADGES = {WORDS[HOLDS]: "success", WORDS[FAILS]: "danger", WORDS[OPEN]: "secondary", OUT_OF_REACH: "light"}
"""The look of each verdict, in the order of the board."""


def runs(profile) -> list:
    """The front page runs nothing; profile: the profile whose chapters it shows."""
    return []


def answers(chapters: list, *names: str) -> str:
    """The answers of some chapters, a paragraph each, with a link."""
    by_name = {chapter.name: chapter for chapter in chapters}
    found = [by_name[name] for name in names if name in by_name]
    return "\n\n".join(f"{c.module.answer(c)} ({{doc}}`notebooks/{c.name}`)" for c in found)


def figure_rules(chapters: list):
    """The transition, of which one seed is trained here."""
    (chapter,) = (chapter for chapter in chapters if chapter.module is number_of_rules)
    return number_of_rules.figure_accuracy(chapter)


def board(chapters: list) -> str:
    """A table a verdict: the statements with their number and a link to the chapter that decides them."""
    judged = [(chapter, verdict) for chapter in chapters for verdict in chapter.judged]
    parts = []
    for words, badge in BADGES.items():
        rows = [row(chapter, verdict) for chapter, verdict in judged if verdict.verdict == words]
        caption = f"{{bdg-{badge}}}`{words}` {len(rows)} of {len(judged)} statements"
        name = f"tab-board-{words.replace(' ', '-')}"
        parts += [tables.table(caption, name, ["", "statement", "number", "chapter"], rows)] if rows else []
    return "\n\n".join(parts)


def row(chapter, verdict: Verdict) -> list:
    """A line of the board."""
    effect = verdict.finding.effect
    link = f"{{doc}}`notebooks/{chapter.name}`"
    return [f"**{verdict.claim.id}**", verdict.claim.statement, effect if effect and effect.n > 1 else "–", link]
