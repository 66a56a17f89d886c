"""Runs in which every instruction is a task of its own: a pretrained model measures a pool of instructions, some are selected, and it
is tuned on them. The measure is how likely it then finds answers that people wrote to instructions of other sources.

    instructions -> measures of the pretrained model -> the first of a strategy's order -> tuning -> likelihood of each written answer

Source: Kung et al. 2023 (arXiv 2311.00288), on data made by Self-Instruct (arXiv 2212.10560); that code was never released.
"""

import time
from pathlib import Path

import torch

from ..active.selection import Candidates, select
from ..store.backends import damaged
from .natural_runs import begun, device_of, uncertainty_spec
from .pretrained import Pretrained, adapt, plain
from .prompting import OwnScorer, Template, likelihoods, measured, pairs
from .self_instruct import candidates_of, of_set, tests_of
from .specs import InstructionsSpec, InstructSpec
from .tuning import LanguageScorer, train


class Work:
    """A pretrained model with the instructions of a run, encoded."""

    def __init__(self, spec: InstructionsSpec):
        self.spec, (self.started, self.base) = spec, begun(spec)
        self.tests = tests_of(spec.test, spec.n_test, spec.most_letters)
        asked = {row.instruction for rows in self.tests.values() for row in rows}
        self.candidates = candidates_of(spec.pool, spec.n_candidates, spec.most_letters, spec.seed, asked)
        self.template = Template(self.base)
        self.prompts = [self.template.instruction(row.instruction, row.input, row.output) for row in self.candidates]
        self.test_prompts = [self.template.instruction(row.instruction, row.input, row.output) for rows in self.tests.values() for row in rows]

    def tested(self, lm: Pretrained) -> dict:
        """nll_each: negative log-likelihood of each written answer, mean over its tokens, in the order of the test sets; nll: their mean; n."""
        each = likelihoods(LanguageScorer(lm), self.test_prompts, 1)
        return {"nll": sum(each) / len(each), "nll_each": each, "n": len(each)}

    def report(self) -> dict:
        """What the record of a run says beside its results."""
        data = {name: of_set(name, rows) for name, rows in {self.spec.pool: self.candidates, **self.tests}.items()}
        return {"data": data, "wall_s": time.perf_counter() - self.started, "device": device_of(self.base)}


def instructions_run(spec: InstructionsSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Test the pretrained model and measure the candidates; plain data:

    metrics: {"not tuned": what `Work.tested` gives}; map: columns of the candidates, by number, as in `prompting.measured`; costs: n_passes
    and n_read of the measures; data; score_s, wall_s, device. It has no checkpoint.
    """
    work = Work(spec)
    metrics = {"not tuned": {"n_trained": 0} | work.tested(work.base)}
    progress(1, spec.n_steps)
    since, scorer = time.perf_counter(), OwnScorer(work.base, spec.max_tokens)
    found, _ = measured(scorer, work.prompts, uncertainty_spec(spec), spec.seed, [[(row.output,)] for row in work.candidates])
    shared = {"metrics": metrics, "curve": [], "map": found, "costs": [scorer.costs()], "score_s": time.perf_counter() - since}
    return shared | work.report()


def instruct_run(spec: InstructSpec, checkpoint: Path, progress, first: dict) -> dict:
    """Given the measures of the pretrained model: tune the pretrained model on the first instructions of the strategy's order, as many as each budget says, and test it; plain data:

    metrics: {"budget b": what `Work.tested` gives, with n_trained}; curve: [{budget, loss, tokens}]; selected: numbers of the candidates of
    the largest budget, increasing; data; train_s, which says nothing where resumed; wall_s, device.
    """
    first = first["map"]
    work, metrics, curve, train_s, done, resumed = Work(spec), {}, [], 0.0, 0, False
    for budget in spec.budgets:
        chosen, since = selected(spec, first, budget), time.perf_counter()
        examples = [pair for i in chosen for pair in pairs(work.prompts[i], 1, work.base.eos, spec.tune.max_tokens)]
        tune = spec.tune.replace(n_steps=spec.steps(budget))
        lm = adapt(work.base, tune, spec.seed)
        of_budget = checkpoint.with_name(f"{checkpoint.stem}-{budget}.safetensors")
        if damaged(of_budget):
            of_budget.unlink()
        resumed |= of_budget.exists()
        losses = train(lm, examples, tune, spec.seed, of_budget, lambda step, _, done=done: progress(done + step, spec.n_steps))
        train_s += time.perf_counter() - since
        metrics[f"budget {budget}"] = {"n_trained": budget} | work.tested(lm)
        curve.append({"budget": budget, "loss": losses[-1], "tokens": spec.passes * sum(len(prompt) + len(answer) for prompt, answer in examples)})
        work.base, done = plain(lm), done + tune.n_steps + 1
        progress(done, spec.n_steps)
    shared = {"metrics": metrics, "curve": curve, "selected": chosen, "train_s": train_s, "resumed": resumed}
    return shared | work.report()


def selected(spec: InstructSpec, columns: dict[str, list], budget: int) -> list[int]:
    """The numbers of the instructions that the strategy selects."""
    measures = {name: torch.tensor(columns[name], dtype=torch.float64) for name in ("uncertainty", "probability", "perplexity")}
    n = len(columns["uncertainty"])
    return select(spec.strategy, Candidates(torch.arange(n), torch.zeros(n, dtype=torch.bool), **measures), budget, 0.0, spec.seed, "selection").tolist()
