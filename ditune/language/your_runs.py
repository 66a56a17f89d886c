"""The runs of `your_tasks`: measures of each task, then what strategies select and how diverse that is."""

import dataclasses
import math
import time
from pathlib import Path

import numpy as np
import torch

from ..active.selection import Candidates, select
from ..active.uncertainty import Scores, measure
from ..rewriting.diversity import vendi
from ..store.files import load_checkpoint, save_checkpoint
from ..store.provenance import device_name
from .instruction_map import embed, over_draws
from .natural import KINDS, fingerprint
from .natural_runs import GROUP, uncertainty_spec
from .pretrained import Pretrained, load
from .prompting import MEASURES, OwnScorer, n_units
from .your_tasks import STRATEGIES, ChosenSpec, TasksSpec, base_of, framed, ready

ERRORS = ("se", "se_perturbations", "se_instances")


def loaded(spec: TasksSpec) -> Pretrained:
    """The model of a spec; adapters are merged into their base."""
    lm = load(base_of(spec.model) or spec.model, spec.dtype)
    if base_of(spec.model):
        from peft import PeftModel

        model = PeftModel.from_pretrained(lm.model, spec.model).merge_and_unload().eval()
        lm = dataclasses.replace(lm, model=model)
    framed(spec, lm.tokenizer)
    return lm


def tasks_run(spec: TasksSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Measure the tasks; plain data: tasks, a dict of columns, see `measured`, with task, kind, definition and input;
    left_out, tasks that were too long; metrics: {"tasks": {n, n_passes, n_read}}; data, wall_s, device."""
    started, found, lm = time.perf_counter(), ready(spec), loaded(spec)
    scorer, data, loading = OwnScorer(lm, spec.max_tokens), fingerprint(found.tasks), time.perf_counter() - started
    state, _ = load_checkpoint(checkpoint) or ({}, {})
    if state.get("data") != data:
        state = {"data": data, "tasks": {}, "spent": 0.0, "n_passes": 0, "n_read": 0}
    for at in range(len(state["tasks"].get("task", ())), len(found.tasks), GROUP):
        since, before, some = time.perf_counter(), scorer.costs(), slice(at, at + GROUP)
        scores = measure(scorer, found.prompts[some], uncertainty_spec(spec), spec.seed)
        columns = measured(scores, lm, spec.max_tokens)
        state["tasks"] = {name: state["tasks"].get(name, []) + values for name, values in columns.items()}
        state["tasks"]["task"] = [task.name for task in found.tasks[: at + GROUP]]
        state["spent"] += time.perf_counter() - since
        state |= {name: state[name] + n - before[name] for name, n in scorer.costs().items()}
        save_checkpoint(checkpoint, state)
        progress(spec.n_steps * len(state["tasks"]["task"]) // len(found.tasks), spec.n_steps)
    said = {"kind": [t.kind for t in found.tasks], "definition": [t.definition for t in found.tasks]}
    said["input"] = [task.instances[0][0][:200] for task in found.tasks]
    metrics = {"tasks": {"n": len(found.tasks), "n_passes": state["n_passes"], "n_read": state["n_read"]}}
    shared = {"metrics": metrics, "curve": [], "data": data, "left_out": found.left_out, "tasks": state["tasks"] | said}
    return shared | {"wall_s": state["spent"] + loading, "device": device_name(lm.model.device.type)}


def measured(scores: Scores, lm: Pretrained, max_tokens: int) -> dict[str, list]:
    """Columns, one value a task: uncertainty, probability, perplexity; `errors`; half_a and half_b, the uncertainty by
    every other copy (None where there is one copy); n_instances; n_droppable words; cut, the share of answers that were
    cut off; written, the first answer."""
    columns = {m.__name__: m(scores.p).round(decimals=7).tolist() for m in MEASURES}
    moved = (scores.p[..., 1:] - scores.p[..., :1]).abs()
    each = [rows[: len(answers)].numpy() for rows, answers in zip(moved, scores.answers)]
    columns |= {name: list(values) for name, values in zip(ERRORS, zip(*map(errors, each)))}
    for name, first in (("half_a", 0), ("half_b", 1)):
        columns[name] = [round(float(one[:, first::2].mean()), 7) if one.shape[1] > 1 else None for one in each]
    columns["n_instances"] = [len(answers) for answers in scores.answers]
    columns["n_droppable"] = [n_units(t, "definition") + n_units(t, "examples") for t in scores.tasks]
    columns["cut"] = [sum(len(a) >= max_tokens for a in answers) / len(answers) for answers in scores.answers]
    columns["written"] = [lm.decode(answers[0]).strip()[:200] for answers in scores.answers]
    return columns


def errors(moved: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """Standard errors of the mean of |p_j - p_0|, (n, k): of both draws together; over copies; over instances, None
    where there is one. The first adds the others' squares, less the part of the residual that both count.

    >>> errors(np.array([[0.1, 0.3], [0.1, 0.3]]))
    (0.1, 0.1, 0.0)
    """
    n, k = moved.shape
    copies = moved.mean(0).std(ddof=1) / math.sqrt(k) if k > 1 else None
    instances = moved.mean(1).std(ddof=1) / math.sqrt(n) if n > 1 else None
    known = [float(value) ** 2 for value in (copies, instances) if value is not None]
    both = sum(known)
    if len(known) == 2:
        rest = moved - moved.mean(0) - moved.mean(1, keepdims=True) + moved.mean()
        both = max(*known, both - float((rest**2).sum()) / ((n - 1) * (k - 1) * n * k))
    found = (math.sqrt(both) if known else None, copies, instances)
    return tuple(None if value is None else round(float(value), 7) for value in found)


def chosen_run(spec: ChosenSpec, checkpoint: Path, progress, first: dict) -> dict:
    """Select by each strategy; plain data: selected {strategy: names}; vendi, the Vendi score of "all" tasks and of
    each selection; random_vendi [mean, low, high] of random ones of the same size; metrics (empty), wall_s, device."""
    started, tasks = time.perf_counter(), first["tasks"]
    names = tasks["task"]
    texts = ["\n\n".join(filter(None, pair)) for pair in zip(tasks["definition"], tasks["input"])]
    vectors = embed(texts, spec.embedding)
    decision = torch.tensor([kind == KINDS[1] for kind in tasks["kind"]])
    known = {m: torch.tensor(tasks[m], dtype=torch.float64) for m in ("uncertainty", "probability", "perplexity")}
    pool = Candidates(torch.arange(len(names)), decision, features=torch.from_numpy(vectors).double(), **known)
    share, places = float(decision.double().mean()), {}
    for name in STRATEGIES:
        places[name] = select(name, pool, spec.n_select, share, spec.seed, name).tolist()
    draw = np.random.default_rng(spec.seed)
    drawn = [vendi(vectors[draw.permutation(len(names))[: spec.n_select]]) for _ in range(spec.n_draws)]
    scores = {"all": vendi(vectors)} | {name: vendi(vectors[chosen]) for name, chosen in places.items()}
    return {
        "selected": {name: [names[i] for i in chosen] for name, chosen in places.items()},
        "vendi": {name: round(score, 4) for name, score in scores.items()},
        "random_vendi": over_draws(drawn),
        "metrics": {},
        "curve": [],
        "wall_s": time.perf_counter() - started,
        "device": "cpu",
    }
