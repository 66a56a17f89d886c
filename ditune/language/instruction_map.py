"""A map of instruction sets: sentence embeddings of what is asked, how diverse each set is, whether sets lie together by domain.

    texts of each set -> embeddings -> Vendi scores, nearest neighbours, two directions of largest variance

The map is that of Zhang et al. 2024 (2405.19787), whose encoder is not named. A record holds numbers and no text.

Shapes: B texts of all sets, b of one set, C width of an embedding.
"""

import hashlib
import json
import time
from pathlib import Path
from random import Random

import numpy as np

from . import codegen, instructions
from .embeddings import embed, vendi
from .specs import InstructionMapSpec

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5)
"""General instructions among those about code."""


def map_run(spec: InstructionMapSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Embed the sets and measure them; plain data, without a checkpoint:

    metrics: {set: {n texts, domain, licence, vendi [mean, low, high] of n_drawn texts, near, chance}}, see `diversity` and `neighbours`;
    n_drawn; mixtures: {code, general, n, scores: [[share, mean, low, high]]} or None; places: {set: (b, 2)}, held: see `plane`; data: {set:
    fingerprint of its texts}; curve (empty); wall_s, device. SpecError: a set is not here.
    """
    since = time.perf_counter()
    texts = {name: texts_of(name, spec.n_texts, spec.seed) for name in spec.sets}
    vectors = embed([text for rows in texts.values() for text in rows], spec.embedding)
    found = dict(zip(texts, np.split(vectors, np.cumsum([len(rows) for rows in texts.values()])[:-1])))
    n, scores = diversity(found, spec.n_draws, spec.seed)
    near, (places, held) = neighbours(found), plane(found)
    metrics = {
        name: {"n": len(x), "domain": domain_of(name), "licence": licence_of(name), "vendi": scores[name], "near": near[name][0], "chance": near[name][1]}
        for name, x in found.items()
    }
    shared = {"metrics": metrics, "curve": [], "n_drawn": n, "mixtures": of_mixtures(found, spec.n_draws, spec.seed), "held": held}
    data = {name: hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16] for name, rows in texts.items()}
    rounded = {name: np.round(x, 3).tolist() for name, x in places.items()}
    return shared | {"places": rounded, "data": data, "wall_s": time.perf_counter() - since, "device": "cpu"}


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


# ---- measures --------------------------------------------------------------------------------------------------------


def over_draws(draws: list[float]) -> list[float]:
    """The mean of a measure over draws of texts, and the middle 95 % of the draws: [mean, low, high]."""
    return [round(float(value), 4) for value in (np.mean(draws), *np.quantile(draws, [0.025, 0.975]))]


def diversity(found: dict[str, np.ndarray], n_draws: int, seed: int) -> tuple[int, dict[str, list[float]]]:
    """The Vendi score of equally many texts of each set, half of those of the smallest one: their number, and mean and middle
    95 % over draws without replacement. (Drawn with replacement, equal texts would make every set look less diverse.)"""
    n, draw = min(map(len, found.values())) // 2, np.random.default_rng(seed)
    return n, {name: over_draws([vendi(x[draw.permutation(len(x))[:n]]) for _ in range(n_draws)]) for name, x in found.items()}


def of_mixtures(found: dict[str, np.ndarray], n_draws: int, seed: int) -> dict | None:
    """The Vendi score of mixtures of the first set about code with the first general one, benchmarks left out, at a fixed number of
    texts, by the share of the second; None where one of them is missing."""
    names = [next((one for one in found if domain_of(one) == domain and one not in codegen.BENCHMARKS), None) for domain in ("code", "general")]
    if None in names:
        return None
    code, general = (found[name] for name in names)
    n, draw, scores = min(len(code), len(general)) // 2, np.random.default_rng(seed), []
    for share in SHARES:
        k = round(share * n)
        each = [vendi(np.concatenate([code[draw.permutation(len(code))[: n - k]], general[draw.permutation(len(general))[:k]]])) for _ in range(n_draws)]
        scores.append([share, *over_draws(each)])
    return {"code": names[0], "general": names[1], "n": n, "scores": scores}


def neighbours(found: dict[str, np.ndarray]) -> dict[str, tuple[float | None, float | None]]:
    """How often the nearest text of another set is of the same domain: {set: (share, share by chance)}, None where the domain has no
    other set. Chance: the share of the domain among the texts of all other sets."""
    names, whole = list(found), np.concatenate(list(found.values()))
    of = np.repeat(np.arange(len(names)), [len(x) for x in found.values()])
    domains = np.array([domain_of(name) for name in names])
    out: dict[str, tuple[float | None, float | None]] = dict.fromkeys(names, (None, None))
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
