"""Exact match: one teacher-forced pass against `GPT2LMHeadModel.generate`, greedy, with the same verdict on every row."""

import torch

from ditune.evaluate import answered, eval_examples
from ditune.model import to_transformers
from ditune.optim import schedule
from ditune.specs import RunSpec
from ditune.train import Pack

from . import sizes
from .timing import in_turn, row, seconds


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


def compare(name: str, run: RunSpec, n_steps: int, n_rows: int, repetitions: int) -> dict:
    """Rows a second of both, checked to agree on every row."""
    pack = trained(run, n_steps)
    tokens = eval_examples(run, run.evals[0], 0, n_rows, "cpu").tokens
    model = to_transformers(pack.model, pack.shapes, pack.flat.detach()[0])
    weights, eos = pack.weights(), pack.pad - 1
    verdicts = {}

    def teacher_forced():
        verdicts["ours"] = answered(pack.model, weights, tokens[None], pack.start, pack.pad)[0][0]

    def written():
        verdicts["theirs"] = generated(model, tokens, pack.start, eos, pack.pad)

    times = in_turn({"ours": lambda: seconds(teacher_forced), "theirs": lambda: seconds(written)}, repetitions)
    if not torch.equal(verdicts["ours"], verdicts["theirs"]):
        raise RuntimeError(f"{name}: the verdicts differ in {(verdicts['ours'] != verdicts['theirs']).sum()} of {n_rows} rows")
    note = f"identical verdicts on {n_rows} rows, {verdicts['ours'].float().mean():.2f} of them right"
    rates = {side: [n_rows / s for s in values] for side, values in times.items()}
    return row(f"exact match, {name}", "rows/s", rates["ours"], rates["theirs"], "generate, greedy, with cache", 10.0, note)


def measure(quick: bool = False) -> list[dict]:
    """The laptop's sizes after its training, and the paper's sizes untrained."""
    if quick:
        return [compare("tiny model", sizes.tiny(), 40, 64, 2)]
    laptop, paper = sizes.of_profile("laptop"), sizes.of_profile("paper")
    return [
        compare(f"{laptop.model.n_layer} x {laptop.model.n_embd}, answers of {laptop.task.z_len[0] + 1} tokens", laptop, laptop.train.n_steps, 512, 7),
        compare(f"{paper.model.n_layer} x {paper.model.n_embd}, answers of {paper.task.z_len[0] + 1} tokens, untrained", paper, 0, 64, 3),
    ]
