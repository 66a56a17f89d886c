"""A training step: ours, Hugging Face's Trainer, and a loop like nanoGPT's; and how far each is from the limit.

All have the same model, batch, rows, labels and precision, AdamW, one thread. Tokens are all tokens of a row, prompt and
answer. Ours makes its data on the way, the others have theirs ready in memory. Ours keeps freed memory in its process;
what that setting does for Trainer is a row of its own.
"""

import statistics

import torch

from ditune.rewriting.specs import RunSpec
from ditune.rewriting.tasks import Alphabet, prompt_length, row_length
from ditune.rewriting.train import Pack

from . import limit, sizes
from .peers import NanoGPT, PlainLoop, Rows, gpt2, trainer_seconds, with_labels
from .timing import apart, bound, in_turn, matmul_rate, row, seconds

TRAINER, PLAIN, RATE = "Trainer + GPT2LMHeadModel", "loop like nanoGPT's", "rate of matrix products"
KEPT = f"{TRAINER}, freed memory kept as ours does"


def our_seconds(pack: Pack, n_steps: int) -> float:
    """Seconds a step of a pack, its data included, made as `Pack.run` makes them."""

    def steps():
        for batch in pack.data(pack.step, n_steps).unbind(1):
            pack.advance(batch)
            pack.step += 1

    return seconds(steps, pack.device) / n_steps


def batches(pack: Pack, n_steps: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The first batches of the pack's first run, with labels, as the peers take them."""
    return [with_labels(tokens, pack.start) for tokens in pack.data(0, n_steps)[0].unbind(0)]


def plain_seconds(run: RunSpec, n_steps: int) -> float:
    """Seconds a step of the plain loop on batches that are ready; the first step is not counted."""
    pack = Pack([run], "cpu")
    first, *ready = batches(pack, n_steps + 1)
    loop = PlainLoop(NanoGPT(gpt2(pack)), pack.train)
    loop.step(*first)
    return seconds(lambda: [loop.step(*batch) for batch in ready]) / n_steps


def trainer_run(run: RunSpec, n_steps: int) -> float:
    """Seconds a step of Trainer."""
    pack = Pack([run], "cpu")
    data = Rows(pack.data(0, n_steps + 2)[0].flatten(0, 1), pack.start)
    return trainer_seconds(gpt2(pack), data, pack.train, n_steps)


def measured(run: RunSpec, n_steps: int, repetitions: int) -> dict[str, list[float]]:
    """By repetition: the seconds of a step of each side, measured over n_steps, and the machine's rates: of matrix
    products at their best and at the model's sizes, and of copies."""
    adamw = sizes.with_adamw(run, run.train.batch_size)
    ours, muon = Pack([adamw], "cpu"), Pack([run], "cpu")
    inputs = run.train.batch_size * (row_length(run.task) - 1)
    with apart() as call:
        sides = {
            "ours": lambda: our_seconds(ours, n_steps),
            TRAINER: lambda: call(trainer_run, adamw, n_steps),
            PLAIN: lambda: call(plain_seconds, adamw, n_steps),
            KEPT: lambda: trainer_run(adamw, n_steps),
        }
        if run.train.optimizer == "muon":
            sides["muon"] = lambda: our_seconds(muon, n_steps)
        sides["best"] = lambda: matmul_rate(limit.large(), repetitions=1)[0]
        sides["own"] = lambda: matmul_rate(limit.shapes(run.model, inputs), repetitions=1)[0]
        sides["copies"] = lambda: limit.copy_rate(inputs, run.model.n_embd)
        return in_turn(sides, repetitions)


def compare(name: str, run: RunSpec, n_steps: int, repetitions: int, target: float) -> list[dict]:
    """Tokens a second of one size against both peers and against the limit."""
    tokens = run.train.batch_size * row_length(run.task)
    found = measured(run, n_steps, repetitions)
    best, own, copies = (found.pop(rate) for rate in ("best", "own", "copies"))
    rates = {side: [tokens / s for s in values] for side, values in found.items()}
    what, unit = f"training step, {name}", "tokens/s"
    rows = [row(what, unit, rates["ours"], rates[peer], peer, target if peer == TRAINER else None) for peer in (TRAINER, PLAIN, KEPT)]
    if "muon" in rates:
        rows.append(row(f"{what}, ours with Muon", unit, rates["muon"], rates[TRAINER], TRAINER, note="Muon costs arithmetic of its own and needs fewer steps"))
    rows += against_limit(what, run, rates, best, own, 0.5 if target > 1.5 else None)
    return rows + bounds(what, run, statistics.median(found[TRAINER]), statistics.median(own), statistics.median(copies))


def bounds(what: str, run: RunSpec, peer_s: float, own: float, copies: float) -> list[dict]:
    """The ratio to Trainer, whose step takes peer_s, if our step took no more than the machine's rates ask for."""
    pack = Pack([sizes.with_adamw(run, run.train.batch_size)], "cpu")
    tokens = pack.data(0, 1)[:, 0]
    products_s = limit.counted(lambda: pack.losses(tokens).sum().backward()) / own
    others_s = limit.written(lambda: pack.eager_step(tokens)) / copies
    return [
        bound(what, TRAINER, "our step were nothing but its matrix products, at the rate measured for their sizes", peer_s / products_s),
        bound(what, TRAINER, "besides, each other operation took no longer than a copy of what it writes", peer_s / (products_s + others_s)),
    ]


def against_limit(what, run, rates, best, own, target) -> list[dict]:
    """Tokens a second against what the rate of matrix products would allow, at its best and at the model's own sizes."""
    T, V = row_length(run.task), Alphabet(run.task.alphabet_size).n_tokens
    start = prompt_length(run.task) - 1  # the column before the answer, as the loss has it
    of_all, of_ours = (limit.flops(run.model, T - 1, V, s) / T for s in (0, start))  # a token
    giga = {"best": statistics.median(best) / 1e9, "own": statistics.median(own) / 1e9}
    at_best, at_own, done = [r / of_all for r in best], [r / of_all for r in own], [r / of_ours for r in own]
    allowed = f"a whole pass of {of_all / 1e6:.2f} MFLOP a token, forward and backward"
    return [
        row(what, "tokens/s", rates["ours"], at_best, f"{RATE}, 1024 x 1024", target, f"{allowed}, at {giga['best']:.0f} GFLOP/s"),
        row(what, "tokens/s", rates["ours"], at_own, f"{RATE}, the model's sizes", None, f"{allowed}, at {giga['own']:.0f} GFLOP/s"),
        row(what, "tokens/s", rates["ours"], done, f"{RATE}, the model's sizes, work done", None, f"{of_ours / 1e6:.2f} MFLOP a token: without what is left out for the prompt's positions"),
        row(what, "tokens/s", rates[TRAINER], at_best, f"{RATE}, 1024 x 1024, Trainer's share", None, allowed),
    ]


def where_time_goes(name: str, run: RunSpec, repetitions: int) -> list[dict]:
    """Shares of a step with AdamW, which the rows on this size are about, and with Muon where the run has it."""
    what, adamw = f"training step, {name}", sizes.with_adamw(run, run.train.batch_size)
    rows = limit.step_shares(what, Pack([adamw], "cpu"), repetitions)
    return rows + (limit.step_shares(f"{what}, ours with Muon", Pack([run], "cpu"), repetitions) if run.train.optimizer == "muon" else [])


def measure(quick: bool = False) -> list[dict]:
    """Rows of the study's model and the paper's, or of a tiny one."""
    if quick:
        return compare("tiny model", sizes.tiny(), 4, 2, 2.0) + where_time_goes("tiny model", sizes.tiny(), 2)
    ours, paper = sizes.of_profile("study"), sizes.with_adamw(sizes.of_profile("paper"), 32)
    names = {"study": f"{ours.model.n_layer} x {ours.model.n_embd}", "paper": f"{paper.model.n_layer} x {paper.model.n_embd}"}
    return (
        compare(names["study"], ours, 16, 7, 2.0)
        + compare(names["paper"], paper, 1, 4, 1.2)
        + where_time_goes(names["study"], ours, 15)
        + where_time_goes(names["paper"], paper, 3)
    )
