"""Exact match: one teacher-forced pass against `GPT2LMHeadModel.generate`, greedy, with the same verdict on every row."""

import statistics

import torch

from ditune.rewriting.evaluate import answered, eval_examples
from ditune.rewriting.model import to_transformers
from ditune.rewriting.optim import schedule
from ditune.rewriting.specs import RunSpec
from ditune.rewriting.train import Pack

from . import limit, sizes
from .timing import bound, in_turn, matmul_rate, row, seconds


def trained(run: RunSpec, n_steps: int) -> Pack:
    """The run's model after n_steps: good enough that some answers are right and some wrong."""
    pack = Pack([run], "cpu")
    for batch in pack.data(0, n_steps).unbind(1) if n_steps else ():
        pack.optimizer.lr_scale.fill_(schedule(run.train, pack.step))
        pack.advance(batch)
        pack.step += 1
    return pack


@torch.no_grad()
def generated(model, tokens: torch.Tensor, start: int, eos: int, pad: int) -> torch.Tensor:
    """Of rows (B, T): is what the model writes after the prompt, greedily, the whole answer? (B,) bool"""
    prompt, answer = tokens[:, :start].long(), tokens[:, start:].long()
    rows = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=answer.shape[1], do_sample=False, eos_token_id=eos, pad_token_id=pad
    )
    found = rows[:, start:]
    found = torch.nn.functional.pad(found, (0, answer.shape[1] - found.shape[1]), value=pad)
    return (found == answer).all(dim=1)


def compare(name: str, run: RunSpec, n_steps: int, peer_batches: dict[int, int], repetitions: int) -> list[dict]:
    """Rows a second of one pass over all rows and of `generate`, checked to agree on every row.

    peer_batches: {batch of generate: rows that it is timed on}, the largest first, which is also ours. The target is for
    equal batches. With its cache, generate does about the same arithmetic; what one pass saves is the calls.
    """
    pack = trained(run, n_steps)
    n_rows = max(peer_batches)
    tokens = eval_examples(run, run.evals[0], 0, n_rows, "cpu").tokens
    model = to_transformers(pack.model, pack.shapes, pack.flat.detach()[0])
    weights, eos, verdicts = pack.weights(), pack.pad - 1, {}

    def teacher_forced():
        verdicts["ours"] = answered(pack.model, weights, tokens[None], pack.start, pack.pad)[0][0]

    def written(batch: int):
        parts = tokens[: peer_batches[batch]].split(batch)
        verdicts[batch] = torch.cat([generated(model, part, pack.start, eos, pack.pad) for part in parts])

    sides = {"ours": lambda: n_rows / seconds(teacher_forced)}
    sides |= {batch: lambda batch=batch, n=n: n / seconds(lambda: written(batch)) for batch, n in peer_batches.items()}
    rate = "rate of matrix products"
    rates = in_turn(sides | {rate: lambda: matmul_rate(limit.large(), repetitions=1)[0]}, repetitions)
    for batch, n in peer_batches.items():
        if not torch.equal(verdicts["ours"][:n], verdicts[batch]):
            raise RuntimeError(f"{name}: the verdicts of generate in batches of {batch} differ from ours")
    right = {n: verdicts["ours"][:n].float().mean() for n in peer_batches.values()}
    notes = {batch: f"identical verdicts on {n} rows, {right[n]:.2f} of them right; ours in one batch of {n_rows}" for batch, n in peer_batches.items()}
    what, peer = f"exact match, {name}", "generate, greedy, with cache, batch {}"
    rows = [row(what, "rows/s", rates["ours"], rates[batch], peer.format(batch), 10.0 if batch == n_rows else None, notes[batch]) for batch in peer_batches]
    counts = [limit.counted(work) / n_rows for work in (teacher_forced, lambda: written(n_rows))]
    return rows + bounds(what, peer.format(n_rows), counts, statistics.median(rates[rate]), statistics.median(rates[n_rows]))


def bounds(what: str, peer: str, counts: list[float], rate: float, peer_rows_s: float) -> list[dict]:
    """The ratio to `generate` by arithmetic alone; counts: operations a row of one pass, and of `generate`."""
    ours, theirs = counts
    return [
        bound(what, peer, f"both did their matrix products equally fast: {ours / 1e6:.3g} MFLOP a row in one pass, {theirs / 1e6:.3g} in generate, as counted", theirs / ours),
        bound(what, peer, f"our pass did them at the machine's best rate, {rate / 1e9:.0f} GFLOP/s, and nothing else", rate / ours / peer_rows_s),
    ]


def measure(quick: bool = False) -> list[dict]:
    """The study's sizes after its training, and the paper's sizes untrained."""
    if quick:
        return compare("tiny model", sizes.tiny(), 40, {64: 64, 8: 16}, 2)
    ours, paper = sizes.of_profile("study"), sizes.of_profile("paper")
    names = (f"{run.model.n_layer} x {run.model.n_embd}, answers of {run.task.z_len[0] + 1} tokens" for run in (ours, paper))
    return [
        *compare(next(names), ours, ours.train.n_steps, {512: 512, 32: 128, 1: 16}, 5),
        *compare(f"{next(names)}, untrained", paper, 0, {64: 64, 1: 2}, 3),
    ]
