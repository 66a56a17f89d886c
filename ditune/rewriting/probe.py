"""What a trained model does with a rule of which training has shown it a part: x, y, or both, but never together.

A run is trained as ever. Its model then rewrites inputs under rules that are put together from the sides of training
rules and of unseen ones. A model that carries out the prompt's rule does not care where the sides are from. One that
has learnt rules by heart may know them by x and write the y that belonged to it, whatever y the prompt has: such
answers are counted as `memorised`, and answers that repeat the input as `copies`, as in `evaluate`.

Shapes: B examples, T tokens of a row.
"""

from pathlib import Path

import torch

from ..store.provenance import device
from .evaluate import BATCH, answered
from .hashing import Stream, stream
from .rules import Rules, make_rules
from .specs import ProbeSpec, TaskSpec
from .tasks import Alphabet, Examples, make_answers, make_inputs, prompt_length, write_rows
from .train import Pack, train_pack

COMBINATIONS = {
    "trained rule": ("own", "own"),
    "y of another": ("own", "other"),
    "new y": ("own", "new"),
    "new x": ("new", "own"),
    "new rule": ("new", "new"),
}
"""The sets of a probe and the rules that x and y are taken from: `own`, training rule i; `other`, another training
rule; `new`, unseen rule i. Words y are drawn rule by rule, so that another rule's y can be the same by chance."""


def combined(task: TaskSpec, seed: int, which: str, number: torch.Tensor) -> tuple[Rules, Rules]:
    """The rules of examples `number` (B,) of a combination, and the training rules that x or y is from."""
    I = task.n_rules
    own = number % I
    rules = {
        "own": make_rules(task, seed, own),
        "other": make_rules(task, seed, (own + 1 + number // I % (I - 1)) % I),
        "new": make_rules(task, seed, number % task.n_pairs(True), unseen=True),
    }
    x, y = (rules[side] for side in COMBINATIONS[which])
    return Rules(x.x, y.y, x.family, x.k), rules["own"]


def probe_examples(task: TaskSpec, seed: int, which: str, number: torch.Tensor) -> dict[str, Examples]:
    """Examples `number` (B,) of a combination, with three answers: `right`, `copied` (the input), and, where x is of a
    training rule and y is not that rule's, `memorised` (that rule's y in the place of x). Slices: place, where x begins
    in z."""
    prompt, trained = combined(task, seed, which, number)
    random = Stream.of(stream(seed, "probe/inputs"), number, torch.zeros_like(number))
    length, count = torch.full_like(number, task.z_len[0]), torch.ones_like(number)
    z, at = make_inputs(task, random, [prompt], torch.zeros_like(number), length, count)
    answers = {"right": make_answers(task, z, at, [prompt]), "copied": z}
    if COMBINATIONS[which] in (("own", "other"), ("own", "new")):
        answers["memorised"] = make_answers(task, z, at, [trained])
    rows = {name: write_rows(task, [prompt], z, answer) for name, answer in answers.items()}
    return {name: Examples(tokens, {"place": at[:, 0]}) for name, tokens in rows.items()}


def probe(spec: ProbeSpec, w: dict[str, torch.Tensor], which: str) -> dict:
    """The result of one combination: exact_match, copies, memorised (where it can be), n, and slices by place."""
    pad, start, where = Alphabet(spec.task.alphabet_size).pad, prompt_length(spec.task), w["wte"].device
    found: dict[str, list] = {}
    for first in range(0, spec.n_probe, BATCH):
        number = torch.arange(first, min(first + BATCH, spec.n_probe), device=where)
        for name, examples in probe_examples(spec.task, spec.seed, which, number).items():
            found.setdefault(name, []).append(answered(spec.model, w, examples.tokens[None], start, pad)[0][0].cpu())
            if name == "right":
                found.setdefault("place", []).append(examples.slices["place"].cpu())
    columns = {name: torch.cat(parts) for name, parts in found.items()}
    right, place = columns["right"].double(), columns["place"]
    result = {"exact_match": right.mean().item(), "n": len(right)}
    for name, column in (("copied", "copies"), ("memorised", "memorised")):
        if name in columns:
            result[column] = (columns[name] & ~columns["right"]).double().mean().item()
    by_place = {str(p): [right[place == p].mean().item(), int((place == p).sum())] for p in place.unique().tolist()}
    return result | {"slices": {"place": by_place}}


def probe_pack(specs: list[ProbeSpec], checkpoint: Path, progress=lambda step, n_steps: None) -> list[dict]:
    """`train.train_pack`, whose metrics gain a set for each of COMBINATIONS; the weights are those of its last
    checkpoint."""
    results = train_pack(specs, checkpoint, progress)
    pack = Pack(specs, device())
    pack.load(checkpoint)
    for m, (spec, result) in enumerate(zip(specs, results)):
        w = {name: weight[m : m + 1] for name, weight in pack.weights().items()}
        result["metrics"] |= {which: probe(spec, w, which) for which in COMBINATIONS}
    return results


def probe_run(spec: ProbeSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """`probe_pack` of one run."""
    return probe_pack([spec], checkpoint, progress)[0]
