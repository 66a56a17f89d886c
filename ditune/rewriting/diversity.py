"""How diverse a set of rules is, from the rules alone: effective numbers of rules, of forms of words and of words.

An effective number is how many equally frequent kinds would be as diverse as the kinds at hand with their shares: a
Hill number (Hill 1973, "Diversity and evenness"). Where kinds are more or less alike, the eigenvalues of their
similarities take the place of shares; this is the Vendi score (Friedman and Dieng 2023, arXiv 2210.02410), here of
words, which are as similar as the share of places at which they have the same letter.

Shapes: n words or kinds, L letters of the longest word, A letters of the alphabet.
"""

from collections import Counter
from functools import lru_cache

import numpy as np
import torch

from .rules import Words, make_rules
from .specs import TaskSpec
from .tasks import rule_of_example

CHUNK = 1 << 20  # numbers at a time


def hill(weights, order: float = 1) -> float:
    """Effective number of kinds with the given weights (n,), which are 0 or more: (sum of share^order)^(1 / (1 -
    order)).

    Order 0: the number of kinds there are. Order 1, as a limit: exp of the entropy of the shares. Order 2: one over the
    probability that two draws are of one kind (inverse Simpson). The higher the order, the less do rare kinds count.

    >>> [round(hill([2, 1, 1, 0], order), 2) for order in (0, 1, 2)]
    [3.0, 2.83, 2.67]
    """
    share = np.asarray(weights, dtype=float)
    share = share[share > 0] / share.sum()
    if order == 1:
        return float(np.exp(-(share * np.log(share)).sum()))
    return float((share**order).sum() ** (1 / (1 - order)))


def vendi(embeddings: np.ndarray) -> float:
    """The Vendi score (Friedman & Dieng 2023) of embeddings of length 1, (B, C), similarity their cosine: 1 to B.

    It is the effective number of different texts, exp of the entropy of the eigenvalues of K / B, where K is the (B, B)
    matrix of similarities. Its eigenvalues other than 0 are those of the smaller (C, C) matrix too.

    >>> round(vendi(np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])), 6)
    2.0
    """
    B, C = embeddings.shape
    x = embeddings.astype(np.float64) / np.sqrt(B)
    values = np.linalg.eigvalsh(x.T @ x if C < B else x @ x.T)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def letters_by_place(letters: np.ndarray, n_letters: int) -> np.ndarray:
    """Words (n, L) of letters below n_letters as vectors of length 1, (n, L x n_letters): which letter stands at which
    place.

    The product of two of them is the share of places at which the words have the same letter.

    >>> a, b, c = letters_by_place(np.array([[0, 1], [0, 0], [2, 2]]), 3)
    >>> float(round(a @ b, 3)), float(round(a @ c, 3))
    (0.5, 0.0)
    """
    return np.eye(n_letters, dtype=np.float32)[letters].reshape(len(letters), -1) / np.sqrt(letters.shape[1])


def forms(letters: np.ndarray) -> np.ndarray:
    """Which places of each word have the same letter: for each place the first one with its letter, (n, L).

    >>> forms(np.array([[7, 7, 3, 3], [4, 5, 4, 5]])).tolist()
    [[0, 0, 2, 2], [0, 1, 0, 1]]
    """
    return (letters[:, :, None] == letters[:, None, :]).argmax(axis=2)


def padded(word: Words, longest: int, beyond: int) -> np.ndarray:
    """The letters of words (n, longest), with `beyond` behind their ends."""
    letters = np.full((len(word.length), longest), beyond, dtype=np.uint8)
    letters[:, : word.letters.shape[1]] = word.letters.cpu().numpy()
    letters[np.arange(longest)[None] >= word.length.cpu().numpy()[:, None]] = beyond
    return letters


def tally(rows: np.ndarray) -> Counter:
    """How often each different row occurs. (Sorting rows with `np.unique` takes many times longer.)"""
    return Counter(row.tobytes() for row in rows)


@lru_cache(maxsize=256)
def of_rules(spec: TaskSpec, seed: int) -> dict[str, float]:
    """What the training rules of a task are, each counted once, with x and y as words of one set:

    different_rules, different_words; forms: effective number (order 1) of the patterns of equal letters in a word;
    vendi: effective number of dissimilar words (order 1).
    """
    rules = make_rules(spec, seed, torch.arange(spec.n_rules * spec.rules_in_prompt))
    longest = max(spec.x_len[1], spec.y_len[1])
    x, y = (padded(side, longest, spec.alphabet_size) for side in (rules.x, rules.y))
    words = np.concatenate([x, y])
    return {
        "different_rules": len(tally(np.concatenate([x, y], axis=1))),
        "different_words": len(tally(words)),
        "forms": hill(list(tally(forms(words)).values())),
        "vendi": vendi(letters_by_place(words, spec.alphabet_size + 1)),
    }


@lru_cache(maxsize=256)
def of_examples(spec: TaskSpec, seed: int) -> dict[str, float]:
    """How many rules the training examples are about: met, those with an example at all; half, entropy and simpson,
    effective numbers of order 1/2, 1 and 2 of the examples of each."""
    counts = np.zeros(spec.n_rules, dtype=np.int64)
    for first in range(0, spec.n_examples, CHUNK):
        number = torch.arange(first, min(first + CHUNK, spec.n_examples))
        counts += torch.bincount(rule_of_example(spec, seed, number), minlength=spec.n_rules).numpy()
    return {"met": hill(counts, 0), "half": hill(counts, 0.5), "entropy": hill(counts, 1), "simpson": hill(counts, 2)}
