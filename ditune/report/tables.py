"""Tables as MyST text, for a notebook cell whose metadata say {"mystnb": {"markdown_format": "myst"}}."""

from .ledger import Claim, Verdict
from .stats import by_seed, interval


def table(caption: str, name: str, header: list, rows: list[list]) -> str:
    """A table with a number and a caption; a cell may hold Markdown.

    >>> print(table("Two numbers", "tab-two", ["I", "accuracy"], [[100, "0.5 | 0.6"]]))
    :::{table} Two numbers
    :name: tab-two
    <BLANKLINE>
    | I | accuracy |
    |---|---|
    | 100 | 0.5 \\| 0.6 |
    :::
    """
    lines = [header, ["---"] * len(header), *rows]
    text = ["|" + "|".join(cell if cell == "---" else f" {escaped(cell)} " for cell in line) + "|" for line in lines]
    return "\n".join([f":::{{table}} {caption}", f":name: {name}", "", *text, ":::"])


def escaped(cell) -> str:
    """A cell on one line, its bars escaped."""
    return " ".join(str(cell).replace("|", "\\|").split())


def folded(title: str, text: str) -> str:
    """Text that is shown when its title is clicked."""
    return f"::::{{dropdown}} {title}\n\n{text}\n::::"


def settings(chapter, spec, rows: dict, seeds="–") -> str:
    """The paper's settings beside those of a spec, folded. rows: {setting: (the paper's, ours: a function of the
    spec)}; seeds: the paper's."""
    cells = [[name, paper, here(spec)] for name, (paper, here) in rows.items()]
    cells.append(["seeds", seeds, len({spec.seed for spec in chapter.specs})])
    name = f"tab-settings-{chapter.name[:2]}"
    text = table("The paper's settings and ours", name, ["setting", "paper", "here"], cells)
    return folded("Settings, beside the paper's", text)


def by_cell(cells: dict, header: list[str], measures: dict[str, tuple], caption: str, name: str) -> str:
    """A row for each cell of runs, {tuple of what names it: rows}: mean and interval of each measure, {heading:
    (evaluation set, column)}, the column exact_match where it is not given, and the seeds' values of the first one."""
    rows = []
    for cell, group in cells.items():
        first, *others = (by_seed(group, *measure) for measure in measures.values())
        raw = ", ".join(f"{value:.2f}" for value in first)
        rows.append([*map(shown, cell), interval(first), raw, *map(interval, others)])
    first, *others = measures
    return table(caption, name, [*header, first, "by seed", *others], rows)


def verdicts(found: list[Verdict], caption: str, name: str) -> str:
    """A row a statement: the verdict, what was seen."""
    rows = [
        [f"**{v.claim.id}**", v.claim.statement, f"**{v.verdict}**", " ".join([v.text(), *v.marks])] for v in found
    ]
    return table(caption, name, ["", "statement", "verdict", "what was seen"], rows)


def rules(claims: tuple[Claim, ...]) -> str:
    """The claims with their rules, as a MyST definition list."""
    parts = []
    for c in claims:
        rule = f"*Rule.* {c.rule} *Margin.* {c.margin} At least {c.n_seeds} seeds."
        rule = rule if c.decide else f"*Out of reach.* {c.scale}"
        parts.append(f"**{c.id}.** {c.statement}\n: {escaped(rule)}\n: *Measure.* {c.measure}. *Source.* {c.source}.\n")
    return "\n".join(parts)


def shown(value) -> str:
    """A value of a spec in a table.

    >>> [shown(x) for x in ((3, 3), (1,), (3, 6), ("repeated", "periodic"), 128_000, 0.003, False)]
    ['3', '1', '3 to 6', 'repeated + periodic', '128,000', '0.003', 'no']
    """
    if isinstance(value, tuple):
        between = " + " if isinstance(value[0], str) else " to " if len(value) == 2 else ", "
        return shown(value[0]) if len(set(value)) == 1 else between.join(map(shown, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in ("adamw", "muon"):
        return {"adamw": "AdamW", "muon": "Muon"}[value]
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
