"""Tables and figures of what the study costs: from the records of its runs and from the files of `ditune bench`."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter, NullLocator

from .. import experiments, notebooks
from ..figures.plotting import BLACK, BLUE, GREEN, ORANGE, PURPLE, QUIET, SKY, VERMILION, WIDTH, number, sign, table
from ..report import bench
from ..store import records

LINES = list(zip((BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK), "os^Dv<>"))
"""Colour and mark of each machine."""
AIM_OUTSIDE = 0.05
"""Of a training's time, at most, for all that is not training steps."""
GROUP = ["notebook", "profile", "model", "batch", "optimizer", "device"]


# ---- from the records ------------------------------------------------------------------------------------------------


def runs(profiles: list[str]):
    """One row for each recorded training of the profiles: what it was, where, tokens a second, seconds, their shares."""
    import pandas

    rows = []
    for profile in (p for p in profiles if p in notebooks.profiles()):
        for planned in notebooks.plan(list(experiments.SPECS), profile):
            for spec in planned.specs:
                record = records.find(spec)
                if record and record.state != "failed" and "tokens_per_s" in record.result:
                    rows.append(one_run(planned.stem, profile, record))
    columns = GROUP + ["kind", "tokens_per_s", "train_s", "wall_s", "n_models", "key", "state"]
    return pandas.DataFrame(rows, columns=columns)


def one_run(stem: str, profile: str, record) -> dict:
    """The columns of one record; the seconds are its part of a pack's."""
    spec, result = record.spec, record.result
    device, models = result.get("device") or "cpu", result.get("n_models", 1)
    return {
        "notebook": stem,
        "profile": profile,
        "model": f"{spec.model.n_layer} × {spec.model.n_embd}",
        "batch": spec.train.batch_size,
        "optimizer": spec.train.optimizer,
        "device": record.data["machine"]["cpu"] if device == "cpu" else device,
        "kind": type(spec).__name__,
        "tokens_per_s": result["tokens_per_s"],
        "train_s": result["train_s"] / models,
        "wall_s": result["wall_s"] / models,
        "n_models": models,
        "key": spec.key,
        "state": record.state,
    }


def of_runs(frame, caption: str, name: str) -> str:
    """Tokens a second and time by notebook, profile, model and device."""
    rows = [["none of these profiles is recorded here", *[""] * 8]] if frame.empty else []
    for key, group in frame.groupby(GROUP, sort=False):
        rate, wall = group["tokens_per_s"], group["wall_s"]
        rows.append([
            key[0].replace("_", " "), *key[1:3], f"{key[3]}, {key[4]}", key[5], len(group), f"{bench.short(rate.median())} ({bench.short(rate.min())} to {bench.short(rate.max())})",
            bench.short(round(wall.median(), 1)), f"{wall.sum() / 60:.3g}",
        ])  # fmt: skip
    header = ["notebook", "profile", "model", "batch, optimiser", "device", "runs", "tokens/s (lowest to highest)", "seconds a run", "minutes in all"]
    return table(caption, name, header, rows)


def outside_training(frame) -> str:
    """The share of a training that is not training steps, by profile, in a sentence. Left out are interrupted runs, and those that
    measure more than accuracy: uncertainty, selection and whole algorithms take time of their own."""
    whole = frame[(frame["wall_s"] >= frame["train_s"]) & (frame["kind"] == "RunSpec")].drop_duplicates(["profile", "key"])
    if whole.empty:
        return "No training is recorded here that ran without an interruption."
    shares = (1 - whole["train_s"] / whole["wall_s"]).groupby(whole["profile"], sort=False).agg(["median", "count"])
    said = ", ".join(f"{share:.1%} in {profile} (median of {n})" for profile, share, n in shares.itertuples())
    return f"Of a training with its tests, evaluation, the learning curve and start-up take {said}; the rest is training steps, data included. The aim was less than {AIM_OUTSIDE:.0%}."


# ---- from the benchmarks ---------------------------------------------------------------------------------------------

NO_FILE = "No measurements are kept for any machine. This command makes them, in about a quarter of an hour:\n\n```{code-block} bash\nditune bench\n```"


def machine_of(content: dict) -> str:
    """One line on what made a file: machine, library versions, commit, date."""
    machine, made = content["machine"], list(content["benchmarks"].values())[-1]
    libraries = ", ".join(f"{name} {made['libraries'][name]}" for name in ("torch", "transformers"))
    commits = sorted({(m["git"]["commit"] or "")[:9] for m in content["benchmarks"].values()})
    return f"{device(content)}, {machine['cores']} cores, one used · {libraries} · {', '.join(commits)} · {made['date'][:10]}"


def device(content: dict) -> str:
    """The processor of a file's machine, and its GPU where it has one; the name of each measurement says which of them it is of."""
    return ", ".join(filter(None, (content["machine"]["cpu"], content["machine"]["gpu"])))


def comparisons(contents: list[dict]) -> str:
    """The comparisons of all machines, a table each; or how to make them. Tables that a page refers to always exist."""
    none = table("Ours against a peer", "tab-bench-0", ["what"], [["not measured on any machine yet"]]) + "\n\n" + NO_FILE
    return "\n\n".join(comparison_table(content, i) for i, content in enumerate(contents)) or none


def comparison_table(content: dict, i: int) -> str:
    """The comparisons of one machine, with the targets."""
    rows = []
    for row in bench.comparisons(content):
        of_ours, of_peer = (with_quartiles(row, side) for side in ("ours", "peer"))
        target = f"{row['target']:g}: {'reached' if bench.reached(row) == 'yes' else '**not reached**'}" if row["target"] else ""
        against = f"{row['peer_name']}. *{row['note']}*" if row.get("note") else row["peer_name"]
        rows.append([row["what"], against, f"{of_ours} {row['unit']}", of_peer, f"**{bench.ratio(row)}**", target])
    caption = f"Ours against a peer: medians and, in brackets, quartiles and the number of repetitions. {machine_of(content)}"
    return table(caption, f"tab-bench-{i}", ["what", "against, with remarks", "ours", "peer", "ratio", "aimed at"], rows)


def checks(contents: list[dict]) -> str:
    """What a speed-up must leave as it is, as a list; empty where no machine has measured it."""
    lines = [
        f"- {row['check']}: {row['ours']:.6g} {row['unit']}; {row['peer_name']}: {row['peer']:.6g} ({row['note']}; {device(content)})."
        for content in contents
        for row in bench.checks(content)
    ]
    return "\n".join(["What the speed leaves as it is:", "", *lines]) if lines else ""


def with_quartiles(row: dict, side: str) -> str:
    """The median of a side and, in brackets, its quartiles and repetitions."""
    n, ends = len(row[f"{side}_all"]), "" if len(row[f"{side}_all"]) < 2 else " to ".join(map(bench.short, row[f"{side}_spread"])) + "; "
    return f"{bench.short(row[side])} ({ends}{n})"


def missed(contents: list[dict]) -> str:
    """For each target that is not reached: how much time too much, what the ratio would be under conditions, and the profile; of
    those that are reached, only the ratios under conditions."""
    rows = [(content, row) for content in contents for row in bench.comparisons(content) if row["target"]]
    lines = [missed_line(content, row) for content, row in rows if bench.reached(row) == "no"] or ["Every target that was measured is reached."]
    reached = [(row["what"], conditions(content, row)) for content, row in rows if bench.reached(row) == "yes"]
    return "\n".join(lines + [f"- **{what}**, reached. {found}" for what, found in reached if found])


def missed_line(content: dict, row: dict) -> str:
    """One target that is not reached."""
    parts = [f"- **{row['what']}**, against {row['peer_name']}: {bench.ratio(row)} of {row['target']:g}; ours would have to take {1 - row['ratio'] / row['target']:.0%} less time."]
    parts.append(conditions(content, row))
    by = {of: found for of, found in profiles(content).items() if of.startswith(f"{row['what']}, by ")}
    parts += [f"Our time by {of.rpartition(', by ')[2]}: {found}." for of, found in by.items()]
    return " ".join(filter(None, [*parts, f"*{row['note']}.*" if row["note"] else ""]))


def conditions(content: dict, row: dict) -> str:
    """What the ratio would be under conditions, in sentences."""
    return " ".join(f"It would be {b['ours']:.3g}, if {b['if']}." for b in bench.bounds(content, row))


def profiles(content: dict) -> dict[str, str]:
    """Where the time goes, by what the shares are of: the parts in one line."""
    found: dict[str, list[str]] = {}
    for row in bench.shares(content):
        found.setdefault(row["share_of"], []).append(f"{row['part']} {row['ours']:.1%}")
    return {of: ", ".join(parts) for of, parts in found.items()}


def share_table(contents: list[dict]) -> str:
    """Where the time of a training step and of the generator goes, by part, by kind of operation and by operation."""
    rows = [[*of.rpartition(", by ")[::2], parts, device(content)] for content in contents for of, parts in profiles(content).items()]
    return table("Where our time goes", "tab-shares", ["time of", "by", "shares of the time", "machine"], rows or [["not measured yet", "", "", ""]])


def exponent(x, y) -> float:
    """Slope of log y over log x: 1 is proportional, 0 does not depend on x.

    >>> round(exponent([1, 2, 4], [3, 12, 48]), 3)
    2.0
    """
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


# ---- figures ---------------------------------------------------------------------------------------------------------


def empty(text: str):
    """A figure that says why there is nothing to draw."""
    figure, ax = plt.subplots(figsize=(WIDTH, 0.8))
    ax.axis("off")
    ax.text(0, 0.5, text, va="center", color=QUIET)
    return figure


def ratios(contents: list[dict]):
    """How many times faster than each peer: a line for each comparison, its target as a mark, on a logarithmic axis."""
    rows = [(row, content) for content in contents for row in bench.comparisons(content) if not row["peer_name"].startswith("rate of")]
    if not rows:
        return empty("No measurements yet: ditune bench makes them.")
    figure, ax = plt.subplots(figsize=(WIDTH, 0.66 * len(rows) + 1.4))
    for y, (row, content) in enumerate(rows):
        ratio_line(ax, -y, row, f" ({device(content)})" if len(contents) > 1 else "")
    ax.plot([], [], marker="o", color=BLUE, linestyle="", label="measured")
    ax.plot([], [], marker="|", markersize=10, markeredgewidth=2, color=VERMILION, linestyle="", label="aimed at")
    ax.axvline(1, color=QUIET, linewidth=0.8, zorder=0)
    ax.set(xscale="log", yticks=[], ylim=(-len(rows) + 0.6, 0.8), xlabel="times as fast as the peer (logarithmic)")
    ax.set_xlim(min(0.5, *(r["ratio"] * 0.8 for r, _ in rows)), 2.6 * max(max(r["ratio"], r["target"] or 0) for r, _ in rows))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.grid(axis="y", visible=False)
    figure.legend(loc="outside upper left", ncols=2)
    sign(figure, [machine_of(content) for content in contents])
    return figure


def ratio_line(ax, y: float, row: dict, where: str):
    """One comparison: its name in two lines, and below them the ratio, its quartiles and its target."""
    label = "\n".join(textwrap.shorten(text, 84, placeholder=" …") for text in (row["what"] + where, f"against {row['peer_name']}"))
    ax.annotate(label, (0.012, y + 0.36), xycoords=("axes fraction", "data"), fontsize=8.5, va="center", color="#333333", zorder=5)
    ends = [row["ratio"] * (row["ours"] / v if row["unit"] == "s" else v / row["ours"]) for v in row["ours_spread"]]
    ax.plot([1, row["ratio"]], [y, y], color=BLUE, linewidth=1.2, alpha=0.5)
    ax.plot(ends, [y, y], color=BLUE, linewidth=4, alpha=0.5, solid_capstyle="butt")
    if row["target"]:
        ax.plot(row["target"], y, marker="|", markersize=11, markeredgewidth=2, color=VERMILION, linestyle="")
    ax.plot(row["ratio"], y, marker=">" if row.get("at_least") else "o", color=BLUE, linestyle="")
    ax.annotate(bench.ratio(row), (row["ratio"], y), xytext=(8, 0), textcoords="offset points", fontsize=9, va="center")


def scaling(contents: list[dict]):
    """The cost against each size, both axes logarithmic, with the exponent: a panel for each curve, a line a machine."""
    names = list(dict.fromkeys((p["curve"], p["x_name"], p["unit"]) for content in contents for p in bench.points(content)))
    if not names:
        return empty("No measurements yet: ditune bench makes them.")
    figure, axes = plt.subplots(-(-len(names) // 2), 2, figsize=(WIDTH, 2.1 * -(-len(names) // 2) + 0.5), squeeze=False)
    for ax in axes.flat[len(names) :]:
        ax.axis("off")
    for ax, (curve, x_name, unit) in zip(axes.flat, names):
        for content, (color, marker) in zip(contents, LINES):
            scaling_line(ax, [p for p in bench.points(content) if p["curve"] == curve], color, marker, unit)
        ax.set_title(curve, fontsize=9.5)
        ax.set_xlabel(x_name, fontsize=9)
        ax.tick_params(labelsize=8.5)
        ax.yaxis.set_major_formatter(EngFormatter("s") if unit == "s" else FuncFormatter(lambda v, _, unit=unit: f"{v:g} {unit}"))
    if len(contents) > 1:
        handles = [plt.Line2D([], [], color=color, marker=marker) for color, marker in LINES[: len(contents)]]
        figure.legend(handles, [device(content) for content in contents], loc="outside upper left")
    sign(figure, [machine_of(content) for content in contents])
    return figure


def scaling_line(ax, found: list[dict], color, marker, unit):
    """One curve of one machine (which may lack it), with its exponent written into the panel; memory on a linear axis, for it may be 0."""
    if not found:
        return
    x, y = [p["x"] for p in found], [p["ours"] for p in found]
    if unit == "s":
        ax.set(xscale="log", yscale="log")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_locator(LogLocator(numticks=4))
        ax.set_ylim(min([*y, *([ax.get_ylim()[0]] if ax.lines else [])]) / 3, max([*y, *([ax.get_ylim()[1]] if ax.lines else [])]) * 3)
        if len(found) > 1:
            ax.annotate(f"exponent {exponent(x, y):.2f}", (0.04, 0.9 - 0.12 * len(ax.lines)), xycoords="axes fraction", color=color, fontsize=8.5, va="top")
    else:
        ax.set(xscale="log", ylim=(-2, 1.25 * max([*y, 20])))
    ax.plot(x, y, color=color, marker=marker, markersize=4, linewidth=1.2)
    ax.set_xticks(x[:: -(-len(x) // 4)], [number(n) for n in x[:: -(-len(x) // 4)]])
    ax.xaxis.set_minor_locator(NullLocator())


def exponents(contents: list[dict]) -> str:
    """The fitted exponents as a table."""
    rows = []
    for content in contents:
        for curve in dict.fromkeys(p["curve"] for p in bench.points(content) if p["unit"] == "s"):
            found = [p for p in bench.points(content) if p["curve"] == curve]
            x, y = [p["x"] for p in found], [p["ours"] for p in found]
            if len(x) > 1:
                half = len(x) // 2
                upper = f"{exponent(x[half:], y[half:]):.2f}" if len(x) - half > 1 else ""
                rows.append([curve, found[0]["x_name"], f"{min(x):,} to {max(x):,}", f"{bench.short(y[0])} to {bench.short(y[-1])}", f"{exponent(x, y):.2f}", upper, device(content)])
    header = ["cost of", "against", "from, to", "seconds", "exponent", "of the upper half", "machine"]
    return table("Exponents of the cost: 1 is proportional, 0 independent", "tab-exponents", header, rows or [["not measured yet", *[""] * 6]])
