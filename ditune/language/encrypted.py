"""Replace, then encrypt: a pretrained model is tuned with LoRA on rewriting whose answers are encrypted, and tested.

Where the pretrained model is a rewriter of this study, it is trained once, exported to transformers and kept with the
other models (`pretrained.cached`); it reads and writes tokens as ever. A language model reads and writes text. A run
from scratch sees the same encrypted rows and starts from random weights.

Shapes: B examples, T tokens of a row, V tokens of an alphabet with its signs.
"""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from ..rewriting.evaluate import BATCH, eval_examples, summary
from ..rewriting.hashing import permute, stream
from ..rewriting.model import to_transformers
from ..rewriting.specs import EvalSpec, RunSpec
from ..rewriting.tasks import Alphabet, training_examples
from ..rewriting.train import Pack
from ..store import backends
from ..store.provenance import device, device_name
from . import pretrained, tuning
from .pretrained import Pretrained
from .specs import EncryptedSpec, FromScratchSpec
from .tuning import READ_TOKENS, Example, answer_logits, buckets, lengths, report_from

# ---- the cipher ------------------------------------------------------------------------------------------------------


def cipher(alphabet_size: int, seed: int) -> torch.Tensor:
    """What each token is written as, (V,): letters stand on a circle in a hashed order, and each is written as the next
    one; signs stay."""
    letters = torch.arange(alphabet_size)
    circle = permute(letters, torch.tensor([alphabet_size]), stream(seed, "cipher")).argsort()
    written = torch.arange(Alphabet(alphabet_size).n_tokens)
    written[circle] = circle.roll(-1)
    return written


def encrypt_answers(rows: torch.Tensor, alphabet_size: int, seed: int) -> torch.Tensor:
    """The rows (B, T) uint8 with the letters behind "=" encrypted."""
    in_answer = (rows == Alphabet(alphabet_size).equals).cumsum(-1) > 0
    written = cipher(alphabet_size, seed).to(rows.device, rows.dtype)
    return torch.where(in_answer, written[rows.long()], rows)


# ---- examples as a model reads them ----------------------------------------------------------------------------------


def examples_of(lm: Pretrained, rows: torch.Tensor, alphabet_size: int, max_tokens: int) -> list[Example]:
    """Prompts and answers of rows (B, T): for a rewriter tokens as they are, for a language model sentences."""
    signs = Alphabet(alphabet_size)
    if lm.tokenizer is None:
        found = [[token for token in row if token != signs.pad] for row in rows.tolist()]
        ends = [row.index(signs.equals) + 1 for row in found]
        return [(tuple(row[:end]), tuple(row[end:])) for row, end in zip(found, ends)]
    return tuning.encoded(lm, (sentences(signs.text(row)) for row in rows.tolist()), max_tokens)


def sentences(row: str) -> tuple[str, str]:
    """An example as text, letters apart, so that each is a token of its own.

    >>> sentences("ab>cd|zab=qrs._")
    ('Replace a b with c d in: z a b', 'q r s')
    """
    rule, rest = row.rstrip("_").rstrip(".").split("|")
    x, y, z, answer = (" ".join(word) for word in (*rule.split(">"), *rest.split("=")))
    return f"Replace {x} with {y} in: {z}", answer


# ---- tests -----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def answered(lm: Pretrained, examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each example: is every token of the answer the most likely one, given those before it, (B,) bool, and the mean
    negative log-likelihood of these tokens (B,), nats. As in `evaluate.answered`, the first equals greedy decoding."""
    right, nll = torch.empty(len(examples), dtype=torch.bool), torch.empty(len(examples), dtype=torch.float64)
    for group in buckets(lengths(examples), READ_TOKENS):
        logits, targets, row = (found.cpu() for found in answer_logits(lm, [examples[i] for i in group]))
        each = torch.nn.functional.cross_entropy(logits, targets, reduction="none").double()
        wrong = torch.zeros(len(group)).index_add(0, row, (logits.argmax(dim=-1) != targets).float())
        right[group] = wrong == 0
        nll[group] = torch.zeros(len(group), dtype=torch.float64).index_add(0, row, each) / row.bincount()
    return right, nll


def evaluate_encrypted(
    lm: Pretrained,
    run: RunSpec,
    which: EvalSpec,
    n: int,
    max_tokens: int = 0,
    encrypt: bool = True,
    others: bool = True,
) -> dict:
    """The result of `evaluate.summary` on the first n examples of a set, encrypted or as they are. With `others` it
    counts two kinds of wrong answers, as shares of all: `copies`, the input, as if the rule did not apply, and, of
    encrypted rewriting, `plain`, the right answer left unencrypted."""
    letters = run.task.alphabet_size
    kinds = ["right", *["copied"] * others, *["plain"] * (others and encrypt)]
    columns: dict[str, list[torch.Tensor]] = {name: [] for name in (*kinds, "nll")}
    known = []
    for first in range(0, n, BATCH):
        for kind in kinds:
            examples = eval_examples(run, which, first, min(BATCH, n - first), "cpu", copy=kind == "copied")
            rows = examples.tokens
            if encrypt and kind != "plain":
                rows = encrypt_answers(rows, letters, run.seed)
            right, nll = answered(lm, examples_of(lm, rows, letters, max_tokens))
            columns[kind].append(right)
            if kind == "right":
                columns["nll"].append(nll)
                known.append(examples.slices)
    whole = {name: torch.cat(parts) for name, parts in columns.items()}
    wrong = {kind: whole[kind] & ~whole["right"] for kind in kinds if kind != "right"}
    plain = {"plain": wrong.pop("plain").double().mean().item()} if "plain" in wrong else {}
    return summary({"right": whole["right"], "nll": whole["nll"], **wrong}, known) | plain


# ---- a rewriter as a pretrained model --------------------------------------------------------------------------------


def exported(pack: Pack) -> Pretrained:
    """The model of a pack of one, as transformers knows it."""
    model = to_transformers(pack.model, pack.shapes, pack.flat[0].detach().cpu())
    return Pretrained("rewriter", model.to(pack.device), None, Alphabet(pack.runs[0].task.alphabet_size).eos)


def rewriter(base: RunSpec, checkpoint: Path, progress) -> Pretrained:
    """The model of a run, trained if it is not kept here from before. A checkpoint, if there is one, is continued."""
    from transformers import GPT2LMHeadModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would be in the pages

    def make(folder: Path) -> None:
        pack = Pack([base], device())
        pack.load(checkpoint)
        pack.run(checkpoint, progress)
        exported(pack).model.save_pretrained(folder)
        checkpoint.unlink(missing_ok=True)

    folder = pretrained.cached(backends.checkpoint_path([base]).stem, make)  # of these sources and libraries
    model = GPT2LMHeadModel.from_pretrained(folder).to(device()).eval()
    return Pretrained("rewriter", model, None, Alphabet(base.task.alphabet_size).eos)


# ---- runs ------------------------------------------------------------------------------------------------------------


def tuned_run(spec: EncryptedSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Tune a pretrained model on encrypted rewriting.

    metrics: {set: result of `evaluate_encrypted`}, and as set "base" what the pretrained model does, before it is
    tuned, with plain rewriting of the first set; curve: [{step, loss}], means over a twentieth of the steps; epochs,
    wall_s (this call), device.
    """
    started = time.perf_counter()
    if isinstance(spec.base, str):
        lm = pretrained.load(spec.base)
    else:
        of_base = checkpoint.with_name(f"{checkpoint.stem}-base.safetensors")
        lm = rewriter(spec.base, of_base, lambda step, n: progress(step, spec.n_steps))
    run, most = RunSpec(task=spec.task, evals=spec.evals, seed=spec.seed), spec.tune.max_tokens
    metrics = {"base": evaluate_encrypted(lm, run, spec.evals[0], spec.evals[0].n_examples, most, encrypt=False)}
    numbers = torch.arange(spec.task.n_examples).split(BATCH)
    rows = torch.cat([training_examples(spec.task, spec.seed, number).tokens for number in numbers])
    letters = spec.task.alphabet_size
    examples = examples_of(lm, encrypt_answers(rows, letters, spec.seed), letters, most)
    report = partial(report_from, progress, spec.n_pretraining, spec.n_steps)
    lm, losses = tuning.train(lm, examples, spec.tune, spec.seed, checkpoint, report)
    metrics |= {e.name: evaluate_encrypted(lm, run, e, e.n_examples, most) for e in spec.evals}
    return {
        "metrics": metrics,
        "curve": list(curve(losses)),
        "epochs": spec.tune.n_steps * spec.tune.batch_size / spec.task.n_examples,
        "wall_s": time.perf_counter() - started,
        "device": device_name(device()),
    }


def curve(losses: list[float], n_points: int = 20) -> Iterator[dict]:
    """The mean loss up to each of at most n_points steps at equal distances, since the one before.

    >>> list(curve([4.0, 2.0, 1.0], 2))
    [{'step': 2, 'loss': 3.0}, {'step': 3, 'loss': 1.0}]
    """
    ends = sorted({-(-(i + 1) * len(losses) // n_points) for i in range(n_points)})
    for begin, end in zip([0, *ends], ends):
        yield {"step": end, "loss": sum(losses[begin:end]) / (end - begin)}


class EncryptedPack(Pack):
    """A pack of one whose rows are encrypted, in training and tests."""

    def data(self, first_step: int, n_steps: int) -> torch.Tensor:
        (run,) = self.runs
        return encrypt_answers(super().data(first_step, n_steps), run.task.alphabet_size, run.seed)

    def evaluate(self, most: int | None = None, copies: bool = True) -> list[dict[str, dict]]:
        (run,), lm = self.runs, exported(self)
        sizes = {e: min(most or e.n_examples, e.n_examples) for e in run.evals}
        return [{e.name: evaluate_encrypted(lm, run, e, n, others=copies) for e, n in sizes.items()}]


def from_scratch(run: FromScratchSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Train a model from random weights on encrypted rewriting; metrics and curve as in `train.train_pack`."""
    started = time.perf_counter()
    pack = EncryptedPack([run], device())
    pack.load(checkpoint)
    pack.run(checkpoint, progress)
    return {
        "metrics": pack.evaluate()[0],
        "curve": [point[0] for point in pack.curve],
        "epochs": run.train.n_steps * run.train.batch_size / run.task.n_examples,
        "wall_s": time.perf_counter() - started,
        "train_s": pack.train_s,
        "device": device_name(device()),
    }
