"""Chapter 14: the texts of instruction sets in the plane, how diverse each set is, whether sets lie together by domain.

A result is one of `instruction_map.map_run`; results come by the name of their runs, {"profile laptop": result}.
"""

from ..figures import plotting
from ..figures.intervals import Interval
from ..figures.plotting import sign, table
from ..figures.shared import COLORS, MARKERS
from ..specs import Spec
from .select_tables import found

DOMAINS = ("code", "general", "reasoning", "unknown")


def results(runs: dict[str, list[Spec]]) -> dict[str, dict]:
    """The results of each set of runs that has one, with the number of draws."""
    return {name: result | {"n_draws": spec.n_draws, "embedding": spec.embedding} for name, specs in runs.items() for spec, result in found(specs)}


def score(result: dict, name: str) -> Interval:
    """The Vendi score of a set."""
    return Interval(*result["metrics"][name]["vendi"], result["n_draws"])


def styles(result: dict) -> dict[str, dict]:
    """A colour for each domain, a mark for each set."""
    return {name: {"color": COLORS[DOMAINS.index(known["domain"])], "marker": MARKERS[i % len(MARKERS)]} for i, (name, known) in enumerate(result["metrics"].items())}


def map_figure(maps: dict[str, dict], origins: list[str]):
    """All texts in the plane, coloured by domain: a panel a result."""
    figure, axes = plotting.plt.subplots(len(maps), 1, figsize=(plotting.WIDTH, plotting.WIDTH * 0.95 * len(maps)), squeeze=False)
    for ax, (title, result) in zip(axes[:, 0], maps.items()):
        for name, style in styles(result).items():
            x, y = zip(*result["places"][name])
            ax.scatter(x, y, s=11, alpha=0.55, linewidth=0, label=f"{name} ({result['metrics'][name]['domain']})", **style)
        ax.set(xlabel="first direction", ylabel="second direction", title=f"{title}\nthe two directions hold {result['held']:.0%} of the variance")
        ax.legend(loc="upper left", bbox_to_anchor=(0, -0.12), ncols=2, fontsize=8.5, markerscale=2, columnspacing=1.0, handletextpad=0.2)
    sign(figure, origins)
    return figure


def diversity_figure(maps: dict[str, dict], origins: list[str]):
    """The Vendi score of each set with the middle 95 % of its draws: a panel a result."""
    heights = [0.36 * len(result["metrics"]) + 0.9 for result in maps.values()]
    figure, axes = plotting.plt.subplots(len(maps), 1, figsize=(plotting.WIDTH, sum(heights) + 0.4), squeeze=False, height_ratios=heights)
    for ax, (title, result) in zip(axes[:, 0], maps.items()):
        order = sorted(result["metrics"], key=lambda name: score(result, name).mean)
        for at, name in enumerate(order):
            s = score(result, name)
            ax.errorbar(s.mean, at, xerr=[[s.mean - s.low], [s.high - s.mean]], capsize=3.5, **styles(result)[name])
        labels = [f"{name} ({result['metrics'][name]['domain']})" for name in order]
        ax.set(yticks=range(len(order)), yticklabels=labels, xlabel=f"Vendi score of {result['n_drawn']} texts", xlim=(0, None), ylim=(-0.6, len(order) - 0.4), title=title)
    sign(figure, origins)
    return figure


def sets_table(maps: dict[str, dict], caption: str, name: str) -> str:
    """By set: domain, licence, texts, diversity, whether its neighbours in other sets are of its domain."""
    rows = []
    for title, result in maps.items():
        for one, known in result["metrics"].items():
            share = "no other set of the domain" if known["near"] is None else f"{known['near']:.2f} ({known['chance']:.2f})"
            rows.append([title, one, known["domain"], known["licence"], known["n"], f"{score(result, one)} of {result['n_drawn']}", share])
    return table(caption, name, ["runs", "set", "domain", "licence", "texts", "Vendi score", "nearest of its domain (by chance)"], rows)


def mixtures_table(maps: dict[str, dict], caption: str, name: str) -> str:
    """The diversity of mixtures of a set about code with a general one, by share."""
    rows = []
    for title, result in maps.items():
        if mixed := result["mixtures"]:
            rows += [[title, f"{mixed['n']} of {mixed['code']} and {mixed['general']}", f"{share:.0%}", Interval(*values, result["n_draws"])] for share, *values in mixed["scores"]]
    return table(caption, name, ["runs", "texts", "general instructions", "Vendi score"], rows or [["no set about code and general set are here", "", "", ""]])


def in_words(result: dict, name: str) -> str:
    """The most and the least diverse set, and the neighbours, in sentences."""
    sets = result["metrics"]
    order, near = sorted(sets, key=lambda one: score(result, one).mean), {one: known for one, known in sets.items() if known["near"] is not None}
    ends = (f"{one} ({sets[one]['domain']}), {score(result, one)}" for one in (order[-1], order[0]))
    text = "In {}, the most diverse set is {}, the least diverse {}.".format(name, *ends)
    if near:
        parts = ", ".join(f"{one} {known['near']:.2f} ({known['chance']:.2f})" for one, known in near.items())
        text += f" The nearest text of another set is of the same domain for these shares of their texts, beside those by chance: {parts}."
    return text
