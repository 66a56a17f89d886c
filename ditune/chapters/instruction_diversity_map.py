"""14: a map of instruction sets: how diverse each is, and whether sets lie together by domain.

Source: Zhang et al. 2024 (arXiv 2405.19787 and its sister 2410.04717, figure 1), which show that sets lie together by
domain; their encoder is not stated. Nothing is trained: the one run embeds the texts. Its result is that of
`instruction_map.map_run`.
"""

from ..language.catalogue import SETS, is_here
from ..language.specs import InstructionMapSpec
from ..report import plots, tables
from ..report.stats import wilson
from .common import listed, literal

COLORS = {"code": plots.BLUE, "general": plots.VERMILION, "reasoning": plots.GREEN, "unknown": plots.QUIET}


def runs(sets, n_texts, n_draws, embedding, seed) -> list[InstructionMapSpec]:
    """The one map. sets: names of instruction sets and benchmarks, none for all that are here; the rest: fields of
    the spec."""
    names = listed("sets", sets, str) if literal("sets", sets, list) else []
    names = names or [n for n, source in SETS.items() if is_here(n) and not source.eval_only] + ["humaneval"]
    return [InstructionMapSpec.of(sets=names, n_texts=n_texts, n_draws=n_draws, embedding=embedding, seed=seed)]


def sample(specs: list[InstructionMapSpec]) -> list[InstructionMapSpec]:
    """Nothing: the map takes some minutes, and the nightly computes it again."""
    return []


def result(chapter) -> dict:
    """The result of the map: metrics by set, the places of the texts in the plane, mixtures."""
    return chapter.records[0].result


def vendi(mean: float, low: float, high: float) -> str:
    """A Vendi score with the middle 95 % of its draws."""
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def ordered(found: dict) -> list[tuple[str, dict]]:
    """The sets with what is known of them, by domain and then from most to least diverse."""
    return sorted(found["metrics"].items(), key=lambda one: (list(COLORS).index(one[1]["domain"]), -one[1]["vendi"][0]))


def answer(chapter) -> str:
    """The answer in a sentence."""
    found, parts = result(chapter), []
    if near := [(known["near"], known["chance"]) for _, known in ordered(found) if known["near"] is not None]:
        more = sum(share > chance for share, chance in near)
        low, high = min(near)[0], max(near)[0]
        parts.append(
            f"In {more} of {len(near)} sets the nearest text of another set is of the same domain more often than by "
            f"chance ({100 * low:.0f} to {100 * high:.0f} % of the texts)"
        )
    if mixed := found["mixtures"]:
        code, mixture = (next(values for share, *values in mixed["scores"] if share == s) for s in (0.0, 0.1))
        parts.append(f"with 10 % of general ones the Vendi score of code goes from {vendi(*code)} to {vendi(*mixture)}")
    return f"**{'; '.join(parts) or 'No two sets share a domain here'}.**"


def figure_sets(chapter):
    """For each set: how often the nearest text of another set is of its domain, and how diverse it is."""
    found = result(chapter)
    sets = ordered(found)
    figure, (near, diverse) = plots.panels(1, 2, height=0.3 * len(sets) + 0.7, sharey=True)
    for y, (_, known) in enumerate(sets):
        bar = {"color": COLORS[known["domain"]], "linewidth": 1.8, "solid_capstyle": "butt"}
        mark = {"color": bar["color"], "marker": "o", "markersize": 5, "linestyle": ""}
        if known["near"] is not None:
            near.plot(wilson(known["near"], known["n"]), [y, y], **bar)
            near.plot([known["near"]], [y], **mark)
            near.plot([known["chance"]], [y], color=plots.QUIET, marker="x", linestyle="", label="by chance")
        mean, low, high = known["vendi"]
        diverse.plot([low, high], [y, y], **bar)
        diverse.plot([mean], [y], label=known["domain"], **mark)
    near.set_yticks(range(len(sets)), [name for name, _ in sets])
    near.set(xlim=(0, 1.02), xlabel="share of its texts", title="Nearest is of the domain")
    near.set_ylim(len(sets) - 0.4, -0.6)
    diverse.set(xlim=(0, None), xlabel=f"of {found['n_drawn']} texts", title="Diversity (Vendi score)")
    plots.legend(figure, [diverse, near])
    return plots.finished(figure, chapter.frame, chapter.specs[0].embedding)


def figure_map(chapter):
    """All texts on the two directions in which they differ most, coloured by domain, a mark a set."""
    found = result(chapter)
    figure, (ax,) = plots.panels(1, height=4.2)
    for i, (name, known) in enumerate(ordered(found)):
        x, y = zip(*found["places"][name])
        style = {"color": COLORS[known["domain"]], "marker": plots.MARKERS[i % len(plots.MARKERS)]}
        ax.scatter(x, y, s=9, alpha=0.5, linewidth=0, label=name, **style)
    title = f"{100 * found['held']:.0f} % of the variance"
    ax.set(xlabel="first direction", ylabel="second direction", title=title)
    plots.legend(figure, [ax])
    return plots.finished(figure, chapter.frame, chapter.specs[0].embedding)


def table_sets(chapter) -> str:
    """By set: domain, licence, texts, diversity, neighbours."""
    rows = []
    for name, known in ordered(result(chapter)):
        near = "–" if known["near"] is None else f"{known['near']:.2f} ({known['chance']:.2f})"
        rows.append([name, known["domain"], known["licence"], known["n"], vendi(*known["vendi"]), near])
    caption = "The sets: Vendi score, middle 95 % of the draws; texts whose nearest is of the domain (by chance)"
    return tables.table(caption, "tab-diversity", ["set", "domain", "licence", "texts", "Vendi score", "nearest"], rows)


def table_mixtures(chapter) -> str:
    """The diversity of mixtures of the first set about code with the first general one, by share; nothing where one
    is missing."""
    mixed = result(chapter)["mixtures"]
    if not mixed:
        return ""
    rows = [[f"{100 * share:g} %", vendi(*values)] for share, *values in mixed["scores"]]
    caption = f"Vendi score of {mixed['n']} texts of {mixed['code']} and {mixed['general']}, by the share of the latter"
    return tables.table(caption, "tab-diversity-mixtures", ["general instructions", "Vendi score"], rows)
