"""17: what the study costs: the seconds of its recorded runs, and its speed beside other programs (`ditune bench`)."""

import textwrap

from ..report import bench, plots, tables

READS = ("records", "benchmarks")
STEP = ("training step, 3 x 64", "Trainer + GPT2LMHeadModel")
"""The comparison that the answer names."""
RATE = "rate of"
"""How the comparisons with what the processor could do begin; all others are with programs."""


def runs(profile) -> list:
    """The chapter runs nothing; profile: the profile whose recorded runs it lists."""
    return []


# ---- recorded runs ---------------------------------------------------------------------------------------------------


def recorded(chapters: list):
    """One row for each recorded run of each chapter: its seconds (its part of a pack's), and those of the training."""
    import pandas

    rows = [
        {"chapter": c.name, "key": r.spec.key, "wall_s": r.result["wall_s"] / r.result.get("n_models", 1)}
        for c in chapters
        for r in c.records
        if r.result.get("wall_s")
    ]
    return pandas.DataFrame(rows, columns=["chapter", "key", "wall_s"])


def trainer(contents: list[dict]) -> list[float]:
    """How many times as fast as Trainer a training step of the small model is, by machine."""
    rows = [row for content in contents for row in bench.comparisons(content)]
    return [row["ratio"] for row in rows if (row["what"], row["peer_name"]) == STEP]


def answer(chapters: list) -> str:
    """The answer in a sentence."""
    found = recorded(chapters).drop_duplicates("key")
    times = " and ".join(f"{ratio:.3g}" for ratio in trainer(bench.read()))
    said = f", and a training step is {times} times as fast as with Trainer of transformers" if times else ""
    hours, median = found["wall_s"].sum() / 3600, found["wall_s"].median()
    took = f"took {hours:.3g} core-hours, {median:.3g} seconds in the median"
    return f"**The {len(found):,} recorded runs {took}{said}.**"


def table_runs(chapters: list) -> str:
    """The seconds of a run and of all runs, by chapter."""
    rows = []
    for name, group in recorded(chapters).groupby("chapter"):
        seconds = group["wall_s"]
        spread = f"{bench.short(round(seconds.min(), 1))} to {bench.short(round(seconds.max(), 1))}"
        link = f"{{doc}}`{name}`"
        rows.append([link, len(group), bench.short(round(seconds.median(), 1)), spread, f"{seconds.sum() / 60:,.0f}"])
    header = ["chapter", "runs", "seconds a run (median)", "from, to", "minutes in all"]
    caption = "Recorded runs, each on one core; a run that chapters share stands in each"
    return tables.table(caption, "tab-cost-runs", header, rows or [["none recorded", "", "", "", ""]])


# ---- measured speed --------------------------------------------------------------------------------------------------


def device(content: dict) -> str:
    """The processor of a file's machine, and its GPU where it has one."""
    return ", ".join(filter(None, (content["machine"]["cpu"], content["machine"]["gpu"])))


def figure_speed(contents: list[dict]):
    """How many times as fast as another program each part is, with what was aimed at, on a logarithmic axis."""
    rows = [(row, content) for content in contents for row in bench.comparisons(content)]
    rows = [(row, content) for row, content in rows if row["target"] and not row["peer_name"].startswith(RATE)]
    figure, (ax,) = plots.panels(1, height=0.68 * max(1, len(rows)) + 0.4)
    for y, (row, content) in enumerate(rows):
        what = f"{row['what']} ({device(content)})" if len(contents) > 1 else row["what"]
        label = textwrap.shorten(what, 60) + "\n" + textwrap.shorten(f"against {row['peer_name']}", 60)
        ax.annotate(label, (0.012, y - 0.32), xycoords=("axes fraction", "data"), fontsize=8.5, va="center", zorder=5)
        ends = [row["ratio"] * (row["ours"] / v if row["unit"] == "s" else v / row["ours"]) for v in row["ours_spread"]]
        ax.plot([1, row["ratio"]], [y, y], color=plots.BLUE, linewidth=1.2, alpha=0.5)
        ax.plot(ends, [y, y], color=plots.BLUE, linewidth=4, alpha=0.5, solid_capstyle="butt")
        ax.plot(row["target"], y, "|", markersize=11, markeredgewidth=2, color=plots.VERMILION)
        ax.plot(row["ratio"], y, ">" if row.get("at_least") else "o", color=plots.BLUE)
        ax.annotate(bench.ratio(row), (row["ratio"], y), (8, 0), textcoords="offset points", fontsize=9, va="center")
    ax.plot([], [], "o", color=plots.BLUE, label="measured")
    ax.plot([], [], "|", markersize=10, markeredgewidth=2, color=plots.VERMILION, label="aimed at")
    ax.axvline(1, color=plots.QUIET, linewidth=0.8, zorder=0)
    most = max((max(row["ratio"], row["target"]) for row, _ in rows), default=10)
    ax.set(xscale="log", xlim=(0.5, 2 * most), yticks=[], ylim=(len(rows) - 0.5, -0.8))
    ax.set_xlabel("times as fast (logarithmic)")
    ax.xaxis.set_major_formatter(plots.number)
    plots.legend(figure, [ax])
    made = [f"{device(c)}, one core, {max(m['date'] for m in c['benchmarks'].values())[:10]}" for c in contents]
    figure.supxlabel("\n".join(made), x=0.01, ha="left", fontsize=8.5)
    return figure


def table_speed(contents: list[dict]) -> str:
    """All comparisons of all machines, with quartiles and aims."""
    rows = []
    for content in contents:
        for row in bench.comparisons(content):
            ours, peer = (with_quartiles(row, side) for side in ("ours", "peer"))
            reached = {"yes": "{:g}: reached", "no": "{:g}: **not reached**", "": ""}
            aim = reached[bench.reached(row)].format(row["target"])
            against = f"{row['peer_name']}. *{row['note']}*" if row.get("note") else row["peer_name"]
            ratio = f"**{bench.ratio(row)}**"
            rows.append([row["what"], against, f"{ours} {row['unit']}", peer, ratio, aim, device(content)])
    caption = "Ours beside another program: medians and, in brackets, quartiles and the number of repetitions"
    header = ["what", "against, with remarks", "ours", "other", "ratio", "aimed at", "machine"]
    return tables.table(caption, "tab-bench", header, rows or [["not measured yet: `ditune bench`", *[""] * 6]])


def with_quartiles(row: dict, side: str) -> str:
    """The median of one side with its quartiles and number of repetitions."""
    n = len(row[f"{side}_all"])
    ends = " to ".join(map(bench.short, row[f"{side}_spread"])) + "; " if n > 1 else ""
    return f"{bench.short(row[side])} ({ends}{n})"
