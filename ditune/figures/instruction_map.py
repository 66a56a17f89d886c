"""Chapter 14: sentence embeddings of instruction sets, how diverse each set is, whether sets lie together by domain.

Shapes: B texts of all sets, b of one set, C width of an embedding.
"""

from random import Random

import numpy as np

from .. import codegen, instructions, plotting
from ..embeddings import embed, vendi
from ..intervals import Interval
from ..plotting import sign, table
from .shared import COLORS, MARKERS

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5)
"""General instructions among those about code."""


# ---- data ------------------------------------------------------------------------------------------------------------


def texts_of(name: str, n: int, seed: int) -> list[str]:
    """n different texts of a set, drawn by the seed: what is asked, without the answer; of a benchmark the prompts."""
    rows = [problem.question for problem in codegen.load(name)] if name in codegen.BENCHMARKS else [row.pair[0] for row in instructions.load(name)]
    rows = list(dict.fromkeys(rows))
    return Random(f"{name}/{seed}").sample(rows, min(n, len(rows)))


def domain_of(name: str) -> str:
    """The domain of a set; problems of a benchmark are about code."""
    return "code" if name in codegen.BENCHMARKS else instructions.described(name).domain


def licence_of(name: str) -> str:
    """The licence of a set or benchmark."""
    return codegen.BENCHMARKS[name].licence if name in codegen.BENCHMARKS else instructions.described(name).licence


def embedded(names: list[str], n: int, embedding: str, seed: int) -> dict[str, np.ndarray]:
    """The embeddings (b, C) of n texts of each set."""
    texts = {name: texts_of(name, n, seed) for name in names}
    vectors = embed([text for rows in texts.values() for text in rows], embedding)
    ends = np.cumsum([len(rows) for rows in texts.values()])
    return dict(zip(texts, np.split(vectors, ends[:-1])))


# ---- measures --------------------------------------------------------------------------------------------------------


def over_draws(draws: list[float]) -> Interval:
    """The mean of a measure over draws of texts, and the middle 95 % of the draws."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(np.mean(draws)), float(low), float(high), len(draws))


def diversity(found: dict[str, np.ndarray], n_draws: int, seed: int) -> tuple[int, dict[str, Interval]]:
    """The Vendi score of equally many texts of each set, half of those of the smallest one: their number, and mean and middle
    95 % over draws without replacement. (Drawn with replacement, equal texts would make every set look less diverse.)"""
    n, draw = min(map(len, found.values())) // 2, np.random.default_rng(seed)
    return n, {name: over_draws([vendi(x[draw.permutation(len(x))[:n]]) for _ in range(n_draws)]) for name, x in found.items()}


def of_mixtures(code: np.ndarray, general: np.ndarray, n_draws: int, seed: int) -> tuple[int, dict[float, Interval]]:
    """The Vendi score of mixtures of two sets at a fixed number of texts, by the share of the second."""
    n, draw = min(len(code), len(general)) // 2, np.random.default_rng(seed)
    out = {}
    for share in SHARES:
        k = round(share * n)
        scores = [vendi(np.concatenate([code[draw.permutation(len(code))[: n - k]], general[draw.permutation(len(general))[:k]]])) for _ in range(n_draws)]
        out[share] = over_draws(scores)
    return n, out


def neighbours(found: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """How often the nearest text of another set is of the same domain: {set: (share, share by chance)}, of sets whose domain
    has another set. Chance: the share of the domain among the texts of all other sets."""
    names, whole = list(found), np.concatenate(list(found.values()))
    of = np.repeat(np.arange(len(names)), [len(x) for x in found.values()])
    domains = np.array([domain_of(name) for name in names])
    out = {}
    for i, name in enumerate(names):
        others = of != i
        if (domains == domains[i]).sum() > 1:
            nearest = of[others][(found[name] @ whole[others].T).argmax(axis=1)]
            out[name] = float((domains[nearest] == domains[i]).mean()), float((domains[of[others]] == domains[i]).mean())
    return out


def plane(found: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
    """The embeddings on the two directions of largest variance (b, 2), and the share of the variance that these hold."""
    whole = np.concatenate(list(found.values())).astype(float)
    centre = whole.mean(axis=0)
    _, values, axes = np.linalg.svd(whole - centre, full_matrices=False)
    return {name: (x - centre) @ axes[:2].T for name, x in found.items()}, float((values[:2] ** 2).sum() / (values**2).sum())


# ---- figures and tables ----------------------------------------------------------------------------------------------


def styles(found: dict[str, np.ndarray]) -> dict[str, dict]:
    """A colour for each domain, a mark for each set."""
    domains = sorted({domain_of(name) for name in found})
    return {name: {"color": COLORS[domains.index(domain_of(name))], "marker": MARKERS[i % len(MARKERS)]} for i, name in enumerate(found)}


def map_figure(found: dict[str, np.ndarray], note: str):
    """All texts in the plane, coloured by domain."""
    places, held = plane(found)
    figure, ax = plotting.plt.subplots(figsize=(plotting.WIDTH, plotting.WIDTH * 0.95))
    for name, style in styles(found).items():
        ax.scatter(*places[name].T, s=11, alpha=0.55, linewidth=0, label=f"{name} ({domain_of(name)})", **style)
    ax.set(xlabel="first direction", ylabel="second direction")
    figure.legend(loc="outside upper left", ncols=2, fontsize=9, markerscale=2, columnspacing=1.0, handletextpad=0.2)
    sign(figure, [f"{note} · the two directions hold {held:.0%} of the variance"])
    return figure


def diversity_figure(found: dict[str, np.ndarray], scores: dict[str, Interval], n: int, note: str):
    """The Vendi score of each set with the middle 95 % of its draws."""
    order = sorted(scores, key=lambda name: scores[name].mean)
    figure, ax = plotting.plt.subplots(figsize=(plotting.WIDTH, 0.36 * len(order) + 1.4))
    for at, name in enumerate(order):
        s = scores[name]
        ax.errorbar(s.mean, at, xerr=[[s.mean - s.low], [s.high - s.mean]], capsize=3.5, **styles(found)[name])
    ax.set(yticks=range(len(order)), yticklabels=[f"{name} ({domain_of(name)})" for name in order], xlabel=f"Vendi score of {n} texts", xlim=(0, None))
    sign(figure, [note])
    return figure


def sets_table(found: dict[str, np.ndarray], scores: dict[str, Interval], n: int, caption: str, name: str) -> str:
    """By set: domain, licence, texts, diversity, whether its neighbours in other sets are of its domain."""
    near = neighbours(found)
    rows = []
    for one, x in found.items():
        share = f"{near[one][0]:.2f} ({near[one][1]:.2f})" if one in near else "no other set of the domain"
        rows.append([one, domain_of(one), licence_of(one), len(x), scores[one], share])
    return table(caption, name, ["set", "domain", "licence", "texts", f"Vendi score of {n} texts", "nearest of another set is of its domain (by chance)"], rows)


def mixtures_table(found: dict[str, np.ndarray], n_draws: int, seed: int, caption: str, name: str) -> str:
    """The diversity of mixtures of the first set about code with the first general one, by share."""
    code, general = (next((one for one in found if domain_of(one) == domain and one not in codegen.BENCHMARKS), None) for domain in ("code", "general"))
    if not code or not general:
        return "No set about code and general set are here, so that there is no mixture to look at."
    n, scores = of_mixtures(found[code], found[general], n_draws, seed)
    return table(caption.format(n=n, code=code, general=general), name, ["general instructions", "Vendi score"], [[f"{share:.0%}", score] for share, score in scores.items()])


def in_words(found: dict[str, np.ndarray], scores: dict[str, Interval]) -> str:
    """The most and the least diverse set, and the neighbours, in sentences."""
    order, near = sorted(scores, key=lambda name: scores[name].mean), neighbours(found)
    text = f"The most diverse set is {order[-1]} ({domain_of(order[-1])}), {scores[order[-1]]}, the least diverse {order[0]} ({domain_of(order[0])}), {scores[order[0]]}."
    if near:
        more = [name for name, (share, chance) in near.items() if share > chance]
        text += f" Of {len(near)} sets whose domain has another set, {len(more)} have their nearest neighbours in it more often than by chance."
    return text
