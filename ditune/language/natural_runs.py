"""Runs on tasks in natural language: the map of a pretrained model, and active selection with a model that is tuned on what is selected.

    pools -> split by the seed -> first round (tune, test, measure) -> select -> tune anew on all tasks so far, test, measure -> ...

Source: Kung et al. 2023 (arXiv 2311.00288). The first round of a seed is a record of its own, which all strategies of the seed use.
"""

import json
import time
from pathlib import Path

import torch

from ..active.selection import Candidates, select
from ..active.specs import STRATEGIES
from ..active.uncertainty import UncertaintySpec
from ..rewriting.train import keep_freed_memory
from ..specs import SpecError
from ..store import records
from ..store.backends import damaged
from .natural import KINDS, SPLITS, Task, described, fingerprint, rouge_l, usable
from .pretrained import Pretrained, adapt, load, plain
from .prompting import OwnScorer, Template, by_definition, by_paraphrases, likelihoods, measured, pairs, written
from .specs import FirstSpec, MapSpec, RoundsSpec, ScoreSpec
from .tuning import LanguageScorer, train

GROUP = 64  # tasks of a map that are measured in one call of the scorer, and kept if the run is stopped
PARAPHRASES = 4  # most that are read


def uncertainty_spec(spec: ScoreSpec, **changes) -> UncertaintySpec:
    """How uncertainty is measured in a run."""
    return UncertaintySpec(**{"n": getattr(spec, "n", 1), "k": spec.k, "drop_rate": spec.drop_rate, "max_tokens": spec.max_tokens} | changes)


def begun(spec: ScoreSpec) -> tuple[float, Pretrained]:
    """The clock, and the model, on one thread."""
    torch.set_num_threads(1)
    keep_freed_memory()
    return time.perf_counter(), load(spec.model, spec.dtype)


def device_of(lm: Pretrained) -> str:
    """What a record says of the machine."""
    return torch.cuda.get_device_name() if lm.model.device.type == "cuda" else "cpu"


def of_pools(names: tuple[str, ...], tasks: list[Task]) -> dict:
    """What a record says of its data."""
    known = {name: {"licence": described(name).licence, "origin": described(name).origin} for name in names}
    return {"pools": known, "tasks": len(tasks), "fingerprint": fingerprint(tasks)}


def references(tasks: list[Task]) -> list[list[tuple[str, ...]]]:
    """The right answers to each instance of each task."""
    return [[outputs for _, outputs in task.instances] for task in tasks]


# ---- the map ---------------------------------------------------------------------------------------------------------


def map_run(spec: MapSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Measure every task of the pools, those for evaluation only included, by the pretrained model; plain data:

    map: columns task, kind, all of `prompting.measured`, and for tasks that have paraphrases (None for others) paraphrased, the uncertainty
    by these, and definition, that by words dropped from the definition alone; metrics: {"map": {n, n_passes, n_read}}, without what these two
    take; data; score_s, without these two; wall_s, device.
    """
    started, lm = begun(spec)
    tasks = usable(spec.pool, spec.most_letters)
    template, scorer, how = Template(lm, spec.most_head), OwnScorer(lm, spec.max_tokens), uncertainty_spec(spec)
    kept, data = checkpoint.with_suffix(".json"), of_pools(spec.pool, tasks)
    state = json.loads(kept.read_text()) if kept.exists() else {}
    if state.get("data") != data:  # nothing is kept, or it is of other data
        state = {"data": data, "map": {}, "score_s": 0.0, "n_passes": 0, "n_read": 0}
    for at in range(len(state["map"].get("task", ())), len(tasks), GROUP):
        since, before, some = time.perf_counter(), scorer.costs(), tasks[at : at + GROUP]
        prompts = [template.task(task) for task in some]
        columns, answers = measured(scorer, prompts, how, spec.seed, references(some))
        state["score_s"] += time.perf_counter() - since
        state |= {name: state[name] + n - before[name] for name, n in scorer.costs().items()}
        columns["paraphrased"] = by_paraphrases(scorer, template, some, answers, PARAPHRASES)
        columns["definition"] = by_definition(scorer, prompts, some, how, spec.seed)
        columns |= {"task": [task.name for task in some], "kind": [task.kind for task in some]}
        state["map"] = {name: state["map"].get(name, []) + values for name, values in columns.items()}
        records.write(kept, json.dumps(state))
        progress((at + len(some)) * spec.n_steps // len(tasks), spec.n_steps)
    kept.unlink(missing_ok=True)
    metrics = {"map": {"n": len(tasks), "n_passes": state["n_passes"], "n_read": state["n_read"]}}
    shared = {"metrics": metrics, "curve": [], "map": state["map"], "data": data, "score_s": state["score_s"]}
    return shared | {"wall_s": time.perf_counter() - started, "device": device_of(lm)}


# ---- splits ----------------------------------------------------------------------------------------------------------


def drawn(tasks: list[Task], n: int, share: float, seed: int, name: str) -> list[Task]:
    """n of the tasks, a share of them classification tasks, drawn by the stream `name` of the seed, in their order."""
    everything = Candidates(torch.arange(len(tasks)), torch.tensor([task.kind == KINDS[1] for task in tasks]))
    return [tasks[i] for i in select("random", everything, n, share, seed, name).tolist()]


def split_of(spec: FirstSpec) -> dict[str, list[Task]]:
    """The tasks of "test", "validation", "initial" and "candidates", none in two of them. SpecError: there are too few."""
    tested = [task for task in usable(spec.test, spec.most_letters, SPLITS[1]) if task.name not in spec.left_out]
    names = {task.name for task in tested}
    left = [task for task in usable(spec.pool, spec.most_letters, SPLITS[0]) if task.name not in names]
    found = {"test": drawn(tested, spec.n_test, spec.share, 0, "test")}
    for name, n, share in (("validation", spec.n_validation, 0.5), ("initial", spec.n_initial, spec.share), ("candidates", spec.n_candidates, spec.share)):
        found[name] = drawn(left, n, share, spec.seed, name)
        left = [task for task in left if task not in found[name]]
    if len(found["initial"]) < spec.n_initial or not found["candidates"]:
        raise SpecError(f"the pools {', '.join(spec.pool)} leave {len(found['initial'])} initial tasks and {len(found['candidates'])} candidates; needed: {spec.n_initial} and one or more")
    return found


# ---- one round -------------------------------------------------------------------------------------------------------


class Round:
    """A pretrained model that is tuned on tasks, tested, and asked about others; the split and all tokens are made once."""

    def __init__(self, spec: FirstSpec):
        self.spec, (self.started, self.base), self.train_s, self.resumed = spec, begun(spec), 0.0, False
        self.split, self.template = split_of(spec), Template(self.base, spec.most_head)
        self.prompts = {task.name: self.template.task(task) for tasks in self.split.values() for task in tasks}
        self.pool = {task.name: task for name in ("initial", "candidates") for task in self.split[name]}

    def tuned(self, names: list[str], checkpoint: Path, progress) -> tuple[OwnScorer, dict]:
        """A scorer of the pretrained model tuned on the named tasks, and {n_examples, loss, tokens}; the seconds are added to `train_s`."""
        since, spec = time.perf_counter(), self.spec
        if damaged(checkpoint):
            checkpoint.unlink()
        self.resumed |= checkpoint.exists()
        examples = [pair for name in names for pair in pairs(self.prompts[name], spec.n_instances, self.base.eos, spec.tune.max_tokens)]
        tune = spec.tune.replace(n_steps=spec.steps(len(examples)))
        lm = adapt(self.base, tune, spec.seed)
        losses = train(lm, examples, tune, spec.seed, checkpoint, progress)
        tokens = spec.passes * sum(len(prompt) + len(answer) for prompt, answer in examples)
        self.train_s += time.perf_counter() - since
        return self.scorer(lm), {"n_examples": len(examples), "loss": losses[-1], "tokens": tokens}

    def scorer(self, lm: Pretrained) -> OwnScorer:
        """A scorer of a model's own answers."""
        return OwnScorer(lm, self.spec.max_tokens)

    def tested(self, scorer: OwnScorer, name: str) -> dict:
        """nll: negative log-likelihood of the first reference, mean over its tokens, over instances, then over tasks; nll_each task;
        rouge_l of greedy answers, likewise, and rouge_each task; n tasks."""
        spec, tasks = self.spec, self.split[name]
        prompts = [self.prompts[task.name] for task in tasks]
        nll = likelihoods(LanguageScorer(scorer.lm), prompts, spec.n_test_instances)
        said = written(scorer, prompts, spec.n_written, spec.max_tokens)
        scores = [[rouge_l(text, right) for text, right in zip(texts, of_task)] for texts, of_task in zip(said, references(tasks))]
        rouge = [round(sum(each) / len(each), 5) for each in scores]
        return {"nll": sum(nll) / len(nll), "nll_each": nll, "rouge_l": sum(rouge) / len(rouge), "rouge_each": rouge, "n": len(tasks)}

    def measured(self, scorer: OwnScorer, names: list[str], **changes) -> dict[str, list]:
        """The columns of `prompting.measured` for some candidates, with their names and kinds."""
        tasks = [self.pool[name] for name in names]
        how = uncertainty_spec(self.spec, **changes)
        columns, _ = measured(scorer, [self.prompts[name] for name in names], how, self.spec.seed, references(tasks))
        return {"task": names, "kind": [task.kind for task in tasks]} | columns

    def report(self) -> dict:
        """What the record of a run says beside its results."""
        names = {name: [task.name for task in tasks] for name, tasks in self.split.items()}
        kinds = {task.name: task.kind for tasks in self.split.values() for task in tasks}
        data = of_pools((*self.spec.pool, *self.spec.test), [task for tasks in self.split.values() for task in tasks])
        times = {"resumed": self.resumed, "wall_s": time.perf_counter() - self.started}
        return {"split": names, "kinds": kinds, "data": data} | times | {"device": device_of(self.base)}


def first_run(spec: FirstSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Tune on the initial tasks, test, measure the candidates; plain data:

    metrics: {"not tuned": what `Round.tested` gives of the pretrained model; "round 0" and "round 0 validation": that of the tuned one, with
    round, tasks ("test" or "validation") and n_trained}; curve: [{round, n_examples, loss, tokens}]; map: columns of the candidates; split:
    {part: names}; kinds: {name: kind}; costs: n_passes and n_read of the measures; data; train_s, which says nothing where resumed;
    score_s, wall_s, device.
    """
    work = Round(spec)
    before = {"not tuned": {"tasks": "test", "n_trained": 0} | work.tested(work.scorer(work.base), "test")}
    names = [task.name for task in work.split["initial"]]
    scorer, training = work.tuned(names, checkpoint, lambda step, _: progress(step, spec.n_steps))
    metrics = before | tests(work, scorer, 0, len(names))
    progress(spec.n_steps - 1, spec.n_steps)
    since, begin = time.perf_counter(), scorer.costs()
    found = work.measured(scorer, [task.name for task in work.split["candidates"]])
    costs = {"round": 0} | {name: n - begin[name] for name, n in scorer.costs().items()}
    shared = {"metrics": metrics, "curve": [{"round": 0} | training], "map": found, "costs": [costs]}
    return shared | {"train_s": work.train_s, "score_s": time.perf_counter() - since} | work.report()


def tests(work: Round, scorer: OwnScorer, number: int, n_trained: int) -> dict:
    """The tests of a round, by name."""
    parts = [name for name in ("test", "validation") if work.split[name]]
    names = {"test": f"round {number}", "validation": f"round {number} validation"}
    return {names[part]: {"round": number, "tasks": part, "n_trained": n_trained} | work.tested(scorer, part) for part in parts}


# ---- the later rounds ------------------------------------------------------------------------------------------------


def rounds_run(spec: RoundsSpec, checkpoint: Path, progress, first: dict) -> dict:
    """From the result of the first round: select, tune the pretrained model anew on all tasks so far, and test, n_rounds times; plain data as in `first_run`, with

    selected: the names of the tasks of each selection; costs: of each selection after the first, which uses the measures of the first
    round. There is no map.
    """
    work, kept = Round(spec), checkpoint.with_suffix(".json")
    if (now := work.report())["data"] != first["data"] or now["split"] != first["split"]:
        raise SpecError(f"the pools {', '.join(spec.pool)} have changed since the first round of this seed was recorded: compute it again")
    state = json.loads(kept.read_text()) if kept.exists() else {"selected": [], "metrics": {}, "curve": [], "costs": [], "train_s": 0.0, "score_s": 0.0}
    if not state["selected"]:
        state["selected"].append(chosen(spec, first["map"], 1))
    for number in range(len(state["curve"]) + 1, spec.n_rounds + 1):
        names = first["split"]["initial"] + sum(state["selected"], [])
        done = sum(point["steps"] + 1 for point in state["curve"])
        of_round = checkpoint.with_name(f"{checkpoint.stem}-{number}.safetensors")
        scorer, training = work.tuned(names, of_round, lambda step, _, done=done: progress(done + step, spec.n_steps))
        state["metrics"] |= tests(work, scorer, number, len(names))
        state["train_s"], work.train_s = state["train_s"] + work.train_s, 0.0
        if number < spec.n_rounds:
            since, before = time.perf_counter(), scorer.costs()
            left = [task.name for task in work.split["candidates"] if task.name not in names]
            state["selected"].append(chosen(spec, of_strategy(work, scorer, left), number + 1))
            state["score_s"] += time.perf_counter() - since
            state["costs"].append({"round": number} | {name: n - before[name] for name, n in scorer.costs().items()})
        work.base = plain(scorer.lm)
        state["curve"].append({"round": number, "steps": spec.steps(len(names) * spec.n_instances)} | training)
        records.write(kept, json.dumps(state))
        of_round.unlink(missing_ok=True)
    kept.unlink(missing_ok=True)
    return state | work.report()


def of_strategy(work: Round, scorer: OwnScorer, names: list[str]) -> dict[str, list]:
    """What a strategy needs to know of tasks; without perturbed prompts where it needs no uncertainty."""
    needs = STRATEGIES[work.spec.strategy]
    if not needs:
        return {"task": names, "kind": [work.pool[name].kind for name in names]}
    return work.measured(scorer, names, **({} if "uncertainty" in needs else {"k": 1, "drop_rate": 0.0}))


def chosen(spec: RoundsSpec, columns: dict[str, list], number: int) -> list[str]:
    """The names of the tasks that the strategy selects in a round."""
    measures = {name: torch.tensor(columns[name], dtype=torch.float64) for name in ("uncertainty", "probability", "perplexity") if name in columns}
    tasks = Candidates(torch.arange(len(columns["task"])), torch.tensor([kind == KINDS[1] for kind in columns["kind"]]), **measures)
    return [columns["task"][i] for i in select(spec.strategy, tasks, spec.n_select, spec.share, spec.seed, f"selection/{number}").tolist()]
