"""A tuning on a mixture of instructions: draw the examples, train adapters, measure the likelihood of solutions and
answers.

    spec -> instructions -> examples -> adapted model -> likelihood of each answer of each evaluation set

Rows on which a set is evaluated are held out of every mixture, so they are the same for all runs that hold out as many.

Shapes: B answers of an evaluation set.
"""

import time
from pathlib import Path
from random import Random

from ..sandbox.programs import SandboxError
from ..store.provenance import device_name
from . import codegen
from .instructions import Instruction, data_record, fingerprint, load, mixed
from .pretrained import Pretrained
from .pretrained import load as load_model
from .specs import LanguageSpec
from .tuning import Example, batch, complete, encoded, lengths, mean_nll, train

FENCE = "```"
"""A model tuned on chats ends a block of code at once; as text goes on, no token with a fence is allowed."""


def tune_run(spec: LanguageSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Tune the model as the spec says and test it; plain data:

    metrics: {set: `likelihood`, and for benchmarks what `run_generated` adds}; curve: [{step, loss}], the loss of each
    batch before the step, in nats a token; data: {set: examples, licence, origin, fingerprint}; tokens, of training;
    train_s, wall_s, device. SpecError: a set or benchmark is not here, or a set is too small.
    """
    started = time.perf_counter()
    held_out, pools = split_held_out(spec)
    problems = {e.name: codegen.load(e.name)[: e.n_examples] for e in spec.evals if e.is_benchmark}
    lm = load_model(spec.model, spec.dtype)
    mixture = mixed(pools, spec.examples, spec.seed) if spec.sets else []
    examples, losses = encoded(lm, pairs(mixture), spec.tune.max_tokens), []
    since = time.perf_counter()
    if mixture:
        lm, losses = train(lm, examples, spec.tune, spec.seed, checkpoint, lambda step, _: progress(step, spec.n_steps))
    train_s, metrics = time.perf_counter() - since, {}
    for done, e in enumerate(spec.evals, spec.n_steps - len(spec.evals) + 1):
        rows = problems[e.name] if e.is_benchmark else held_out[e.name]
        read = encoded(lm, pairs(rows), spec.most_read, chat=not e.is_benchmark, end=not e.is_benchmark)
        metrics[e.name] = likelihood(lm, read)
        if e.is_benchmark:
            metrics[e.name] |= run_generated(lm, rows[: spec.n_generate], spec.most_written)
        else:
            metrics[e.name] |= {"fingerprint": fingerprint(rows)}
        progress(done, spec.n_steps)
    of_set = {name: [row for row in mixture if row.source == name] for name in spec.sets}
    return {
        "metrics": metrics,
        "curve": [{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)],
        "data": {name: data_record(name, rows, "examples") for name, rows in of_set.items()},
        "tokens": tokens_read(spec, examples),
        "train_s": train_s,
        "wall_s": time.perf_counter() - started,
        "device": device_name(lm.model.device.type),
    }


# ---- data ------------------------------------------------------------------------------------------------------------


def pairs(rows: list[Instruction | codegen.Problem]) -> list[tuple[str, str]]:
    """What is asked and the answer, of each instruction or problem."""
    return [row.pair for row in rows]


def split_held_out(spec: LanguageSpec) -> tuple[dict[str, list[Instruction]], dict[str, list[Instruction]]]:
    """The rows of each set that it is evaluated on, which no seed draws, and what is left of all sets. Rows that are
    too long or occur twice are left out."""
    names = dict.fromkeys([*spec.sets, *(e.name for e in spec.evals if not e.is_benchmark)])
    pools, held_out = {}, {}
    for name in names:
        pools[name] = [row for row in dict.fromkeys(load(name)) if sum(map(len, row.pair)) <= spec.most_letters]
    for e in spec.evals:
        if not e.is_benchmark:
            rows = pools[e.name]
            held_out[e.name] = Random(f"{e.name}/held out").sample(rows, min(e.n_examples, len(rows)))
    kept = {name: set(rows) for name, rows in held_out.items()}
    return held_out, {name: [row for row in rows if row not in kept.get(name, ())] for name, rows in pools.items()}


def tokens_read(spec: LanguageSpec, examples: list[Example]) -> int:
    """Tokens of all batches of the training."""
    n, steps = lengths(examples), range(spec.tune.n_steps * bool(examples))
    return sum(n[i] for step in steps for i in batch(len(n), spec.tune.batch_size, spec.seed, step))


# ---- tests -----------------------------------------------------------------------------------------------------------


def likelihood(lm: Pretrained, examples: list[Example]) -> dict:
    """nll_each (B,): the negative log-likelihood of each answer, mean over its tokens, in nats; nll: their mean; n."""
    each = mean_nll(lm, examples)
    return {"nll": each.mean().item(), "nll_each": [round(value, 6) for value in each.tolist()], "n": len(examples)}


def run_generated(lm: Pretrained, problems: list[codegen.Problem], most_written: int) -> dict:
    """pass_1: share of the problems whose greedy answer passes the tests; passed: of each. Where nothing can be run
    safely, not_tested says why; of no problems nothing."""
    if not problems:
        return {}
    suppress = (lm.eos, *(token for text, token in lm.tokenizer.get_vocab().items() if FENCE in text))
    texts = complete(lm, [problem.question for problem in problems], most_written, suppress, problems[0].stops)
    completions = [problem.cut(text) for problem, text in zip(problems, texts)]
    try:
        passed = [verdict.passed for verdict in codegen.check_all(problems, completions)]
    except SandboxError as error:
        return {"not_tested": str(error)}
    return {"pass_1": sum(passed) / len(passed), "passed": passed}
