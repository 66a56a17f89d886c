"""Runs on tasks in natural language, and on instructions that are a task each: the map of a pretrained model, and
active selection with a model that is tuned on what is selected.

    pools -> split by the seed -> first round (tune, test, measure) -> select -> tune anew on all so far, test -> ...
    instructions -> measures of the pretrained model -> the first of a strategy's order -> tune -> test, at each budget

Source: Kung et al. 2023 (arXiv 2311.00288); the part on instructions was never released. The first round of a seed is a
record of its own, which all strategies of the seed use.
"""

import time
from functools import partial
from pathlib import Path

import torch

from ..active.selection import Candidates, select
from ..active.specs import STRATEGIES
from ..active.uncertainty import UncertaintySpec
from ..specs import SpecError
from ..store.files import load_checkpoint, save_checkpoint
from ..store.provenance import device_name
from . import instructions
from .catalogue import described
from .natural import KINDS, SPLITS, Task, fingerprint, usable
from .pretrained import Pretrained, load, plain
from .prompting import (
    OwnScorer,
    Template,
    answer_measures,
    by_definition,
    by_paraphrases,
    gold_nll,
    greedy_answers,
    pairs,
    rouge_of_tasks,
)
from .specs import FirstSpec, InstructionsSpec, InstructSpec, MapSpec, RoundsSpec, ScoreSpec
from .tuning import Example, LanguageScorer, report_from, train

GROUP = 64  # tasks of a map that are measured in one call of the scorer, and kept if the run is stopped
PARAPHRASES = 4  # most that are read


def uncertainty_spec(spec: ScoreSpec, **changes) -> UncertaintySpec:
    """How uncertainty is measured in a run."""
    shared = {"n": getattr(spec, "n", 1), "k": spec.k, "drop_rate": spec.drop_rate, "max_tokens": spec.max_tokens}
    return UncertaintySpec(**shared | changes)


def pools_record(names: tuple[str, ...], tasks: list[Task]) -> dict:
    """What a record says of its data."""
    sources = {name: described(name) for name in names}
    known = {name: {"licence": source.licence, "origin": source.origin} for name, source in sources.items()}
    return {"pools": known, "tasks": len(tasks), "fingerprint": fingerprint(tasks)}


def references(tasks: list[Task]) -> list[list[tuple[str, ...]]]:
    """The right answers to each instance of each task."""
    return [[outputs for _, outputs in task.instances] for task in tasks]


def costs_since(before: dict, scorer: OwnScorer) -> dict:
    """What a scorer has read since then."""
    return {name: n - before[name] for name, n in scorer.costs().items()}


def tokens_of(examples: list[Example]) -> int:
    """Tokens of all examples."""
    return sum(len(prompt) + len(answer) for prompt, answer in examples)


def select_places(spec, columns: dict[str, list], decision: torch.Tensor, n: int, share: float, name: str) -> list[int]:
    """The places, in the columns, of the n that the strategy selects."""
    known = [measure for measure in ("uncertainty", "probability", "perplexity") if measure in columns]
    measures = {measure: torch.tensor(columns[measure], dtype=torch.float64) for measure in known}
    candidates = Candidates(torch.arange(len(decision)), decision, **measures)
    return select(spec.strategy, candidates, n, share, spec.seed, name).tolist()


# ---- the map ---------------------------------------------------------------------------------------------------------


def map_run(spec: MapSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Measure every task of the pools, those for evaluation only included, by the pretrained model; plain data:

    map: columns task, kind, all of `prompting.answer_measures`, and for tasks that have paraphrases (None for others)
    paraphrased, the uncertainty by these, and definition, that by words dropped from the definition alone; metrics:
    {"map": {n, n_passes, n_read}}, without what these two take; data; score_s, without these two; wall_s, device.
    """
    started, lm = time.perf_counter(), load(spec.model, spec.dtype)
    tasks = usable(spec.pool, spec.most_letters)
    template, scorer, how = Template(lm, spec.most_head), OwnScorer(lm, spec.max_tokens), uncertainty_spec(spec)
    data = pools_record(spec.pool, tasks)
    state, _ = load_checkpoint(checkpoint) or ({}, {})
    if state.get("data") != data:  # nothing is kept, or it is of other data
        state = {"data": data, "map": {}, "score_s": 0.0, "n_passes": 0, "n_read": 0}
    for at in range(len(state["map"].get("task", ())), len(tasks), GROUP):
        since, before, some = time.perf_counter(), scorer.costs(), tasks[at : at + GROUP]
        prompts = [template.task(task) for task in some]
        columns, answers = answer_measures(scorer, prompts, how, spec.seed, references(some))
        state["score_s"] += time.perf_counter() - since
        state |= {name: state[name] + n for name, n in costs_since(before, scorer).items()}
        columns["paraphrased"] = by_paraphrases(scorer, template, some, answers, PARAPHRASES)
        columns["definition"] = by_definition(scorer, prompts, some, how, spec.seed)
        columns |= {"task": [task.name for task in some], "kind": [task.kind for task in some]}
        state["map"] = {name: state["map"].get(name, []) + values for name, values in columns.items()}
        save_checkpoint(checkpoint, state)
        progress((at + len(some)) * spec.n_steps // len(tasks), spec.n_steps)
    metrics = {"map": {"n": len(tasks), "n_passes": state["n_passes"], "n_read": state["n_read"]}}
    shared = {"metrics": metrics, "curve": [], "map": state["map"], "data": data, "score_s": state["score_s"]}
    return shared | {"wall_s": time.perf_counter() - started, "device": device_name(lm.model.device.type)}


# ---- splits ----------------------------------------------------------------------------------------------------------


def sample_tasks(tasks: list[Task], n: int, share: float, seed: int, name: str) -> list[Task]:
    """n of the tasks, a share of them classification tasks, drawn by the stream `name` of the seed, in their order."""
    everything = Candidates(torch.arange(len(tasks)), are_classification([task.kind for task in tasks]))
    return [tasks[i] for i in select("random", everything, n, share, seed, name).tolist()]


def are_classification(kinds: list[str]) -> torch.Tensor:
    """Which kinds are classification, (B,) bool."""
    return torch.tensor([kind == KINDS[1] for kind in kinds])


def split_of(spec: FirstSpec) -> dict[str, list[Task]]:
    """The tasks of "test", "validation", "initial" and "candidates", none in two of them. SpecError: there are too
    few."""
    tested = [task for task in usable(spec.test, spec.most_letters, SPLITS[1]) if task.name not in spec.left_out]
    names = {task.name for task in tested}
    left = [task for task in usable(spec.pool, spec.most_letters, SPLITS[0]) if task.name not in names]
    found = {"test": sample_tasks(tested, spec.n_test, spec.share, 0, "test")}
    parts = {"validation": (spec.n_validation, 0.5), "initial": (spec.n_initial, spec.share)}
    for name, (n, share) in (parts | {"candidates": (spec.n_candidates, spec.share)}).items():
        found[name] = sample_tasks(left, n, share, spec.seed, name)
        left = [task for task in left if task not in found[name]]
    if (n := len(found["initial"])) < spec.n_initial or not found["candidates"]:
        leave = f"{n} initial tasks and {len(found['candidates'])} candidates"
        pools = ", ".join(spec.pool)
        raise SpecError(f"the pools {pools} leave {leave}; needed: {spec.n_initial} and one or more")
    return found


# ---- one round -------------------------------------------------------------------------------------------------------


class TaskTuner:
    """A pretrained model that is tuned on tasks, tested, and asked about others; split and tokens are made once."""

    def __init__(self, spec: FirstSpec):
        self.spec, self.started, self.train_s = spec, time.perf_counter(), 0.0
        self.base = load(spec.model, spec.dtype)
        self.split, self.template = split_of(spec), Template(self.base, spec.most_head)
        self.prompts = {task.name: self.template.task(task) for tasks in self.split.values() for task in tasks}
        self.pool = {task.name: task for name in ("initial", "candidates") for task in self.split[name]}

    def tuned(self, names: list[str], checkpoint: Path, progress) -> tuple[OwnScorer, dict]:
        """A scorer of the pretrained model tuned on the named tasks, and {n_examples, loss, tokens}; the seconds are
        added to `train_s`."""
        since, spec = time.perf_counter(), self.spec
        prompts, eos, most = [self.prompts[name] for name in names], self.base.eos, spec.tune.max_tokens
        examples = [pair for prompt in prompts for pair in pairs(prompt, spec.n_instances, eos, most)]
        tune = spec.tune.replace(n_steps=spec.steps(len(examples)))
        lm, losses = train(self.base, examples, tune, spec.seed, checkpoint, progress)
        self.train_s += time.perf_counter() - since
        tokens = spec.passes * tokens_of(examples)
        return self.scorer(lm), {"n_examples": len(examples), "loss": losses[-1], "tokens": tokens}

    def scorer(self, lm: Pretrained) -> OwnScorer:
        """A scorer of a model's own answers."""
        return OwnScorer(lm, self.spec.max_tokens)

    def tested(self, scorer: OwnScorer, name: str) -> dict:
        """nll: negative log-likelihood of the first reference, mean over its tokens, over instances, then over tasks;
        nll_each task; rouge_l of greedy answers, likewise, and rouge_each task; n tasks."""
        spec, tasks = self.spec, self.split[name]
        prompts = [self.prompts[task.name] for task in tasks]
        nll = gold_nll(LanguageScorer(scorer.lm), prompts, spec.n_test_instances)
        rouge = rouge_of_tasks(greedy_answers(scorer, prompts, spec.n_written, spec.max_tokens), references(tasks))
        means = {"nll": sum(nll) / len(nll), "nll_each": nll, "rouge_l": sum(rouge) / len(rouge), "rouge_each": rouge}
        return means | {"n": len(tasks)}

    def tests(self, scorer: OwnScorer, number: int, n_trained: int) -> dict:
        """The tests of a round, by name."""
        known = {"round": number, "n_trained": n_trained}
        parts = [part for part in ("test", "validation") if self.split[part]]
        names = {"test": f"round {number}", "validation": f"round {number} validation"}
        return {names[part]: known | {"tasks": part} | self.tested(scorer, part) for part in parts}

    def measured(self, scorer: OwnScorer, names: list[str], **changes) -> dict[str, list]:
        """The columns of `prompting.answer_measures` for some candidates, with their names and kinds."""
        tasks = [self.pool[name] for name in names]
        how, prompts = uncertainty_spec(self.spec, **changes), [self.prompts[name] for name in names]
        columns, _ = answer_measures(scorer, prompts, how, self.spec.seed, references(tasks))
        return {"task": names, "kind": [task.kind for task in tasks]} | columns

    def report(self) -> dict:
        """What the record of a run says beside its results."""
        names = {name: [task.name for task in tasks] for name, tasks in self.split.items()}
        everything = [task for tasks in self.split.values() for task in tasks]
        known = {"split": names, "kinds": {task.name: task.kind for task in everything}}
        data = pools_record((*self.spec.pool, *self.spec.test), everything)
        clock = {"wall_s": time.perf_counter() - self.started, "device": device_name(self.base.model.device.type)}
        return known | {"data": data} | clock


def first_run(spec: FirstSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Tune on the initial tasks, test, measure the candidates; plain data:

    metrics: {"not tuned": what `TaskTuner.tested` gives of the pretrained model; "round 0" and "round 0 validation":
    that of the tuned one, with round, tasks ("test" or "validation") and n_trained}; curve: [{round, n_examples, loss,
    tokens}]; map: columns of the candidates; split: {part: names}; kinds: {name: kind}; costs: n_passes and n_read of
    the measures; data; train_s and score_s, of this call; wall_s, device.
    """
    tuner = TaskTuner(spec)
    before = {"tasks": "test", "n_trained": 0} | tuner.tested(tuner.scorer(tuner.base), "test")
    names = [task.name for task in tuner.split["initial"]]
    scorer, training = tuner.tuned(names, checkpoint, lambda step, _: progress(step, spec.n_steps))
    metrics = {"not tuned": before} | tuner.tests(scorer, 0, len(names))
    progress(spec.n_steps - 1, spec.n_steps)
    since, begin = time.perf_counter(), scorer.costs()
    found = tuner.measured(scorer, [task.name for task in tuner.split["candidates"]])
    costs = {"round": 0} | costs_since(begin, scorer)
    shared = {"metrics": metrics, "curve": [{"round": 0} | training], "map": found, "costs": [costs]}
    return shared | {"train_s": tuner.train_s, "score_s": time.perf_counter() - since} | tuner.report()


# ---- the later rounds ------------------------------------------------------------------------------------------------


def rounds_run(spec: RoundsSpec, checkpoint: Path, progress, first: dict) -> dict:
    """From the result of the first round: select, tune the pretrained model anew on all tasks so far, and test,
    n_rounds times; plain data as in `first_run`, with

    selected: the names of the tasks of each selection; costs: of each selection after the first, which uses the
    measures of the first round. There is no map.
    """
    tuner = TaskTuner(spec)
    if (now := tuner.report())["data"] != first["data"] or now["split"] != first["split"]:
        pools = ", ".join(spec.pool)
        raise SpecError(f"the pools {pools} have changed since the first round of this seed was recorded")
    new = {"selected": [], "metrics": {}, "curve": [], "costs": [], "train_s": 0.0, "score_s": 0.0}
    state, _ = load_checkpoint(checkpoint) or (new, {})
    if not state["selected"]:
        state["selected"].append(selected_tasks(spec, first["map"], 1))
    for number in range(len(state["curve"]) + 1, spec.n_rounds + 1):
        names = first["split"]["initial"] + sum(state["selected"], [])
        done = sum(point["steps"] + 1 for point in state["curve"])
        of_round = checkpoint.with_name(f"{checkpoint.stem}-{number}.safetensors")
        scorer, training = tuner.tuned(names, of_round, partial(report_from, progress, done, spec.n_steps))
        state["metrics"] |= tuner.tests(scorer, number, len(names))
        state["train_s"], tuner.train_s = state["train_s"] + tuner.train_s, 0.0
        if number < spec.n_rounds:
            since, before = time.perf_counter(), scorer.costs()
            left = [task.name for task in tuner.split["candidates"] if task.name not in names]
            state["selected"].append(selected_tasks(spec, measures_needed(tuner, scorer, left), number + 1))
            state["score_s"] += time.perf_counter() - since
            state["costs"].append({"round": number} | costs_since(before, scorer))
        tuner.base = plain(scorer.lm)
        state["curve"].append({"round": number, "steps": spec.steps(len(names) * spec.n_instances)} | training)
        save_checkpoint(checkpoint, state)
        of_round.unlink(missing_ok=True)
    return state | tuner.report()


def measures_needed(tuner: TaskTuner, scorer: OwnScorer, names: list[str]) -> dict[str, list]:
    """What the strategy needs to know of tasks; without perturbed prompts where it needs no uncertainty."""
    needs = STRATEGIES[tuner.spec.strategy]
    if not needs:
        return {"task": names, "kind": [tuner.pool[name].kind for name in names]}
    return tuner.measured(scorer, names, **({} if "uncertainty" in needs else {"k": 1, "drop_rate": 0.0}))


def selected_tasks(spec: RoundsSpec, columns: dict[str, list], number: int) -> list[str]:
    """The names of the tasks that the strategy selects in a round."""
    decision = are_classification(columns["kind"])
    selected = select_places(spec, columns, decision, spec.n_select, spec.share, f"selection/{number}")
    return [columns["task"][i] for i in selected]


# ---- instructions ----------------------------------------------------------------------------------------------------


class InstructionTuner:
    """A pretrained model with the instructions of a run, encoded."""

    def __init__(self, spec: InstructionsSpec):
        self.spec, self.started, self.base = spec, time.perf_counter(), load(spec.model, spec.dtype)
        self.tests = instructions.tests_of(spec.test, spec.n_test, spec.most_letters)
        tested = [row for rows in self.tests.values() for row in rows]
        asked = {row.instruction for row in tested}
        self.candidates = instructions.candidates_of(spec.pool, spec.n_candidates, spec.most_letters, spec.seed, asked)
        put = Template(self.base).instruction
        self.prompts = [put(row.instruction, row.input, row.output) for row in self.candidates]
        self.test_prompts = [put(row.instruction, row.input, row.output) for row in tested]

    def tested(self, lm: Pretrained) -> dict:
        """nll_each: negative log-likelihood of each written answer, mean over its tokens, in the order of the test
        sets; nll: their mean; n."""
        each = gold_nll(LanguageScorer(lm), self.test_prompts, 1)
        return {"nll": sum(each) / len(each), "nll_each": each, "n": len(each)}

    def report(self) -> dict:
        """What the record of a run says beside its results."""
        sets = {self.spec.pool: self.candidates, **self.tests}
        data = {name: instructions.data_record(name, rows, "instructions") for name, rows in sets.items()}
        clock = {"wall_s": time.perf_counter() - self.started, "device": device_name(self.base.model.device.type)}
        return {"data": data} | clock


def instructions_run(spec: InstructionsSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Test the pretrained model and measure the candidates; plain data:

    metrics: {"not tuned": what `InstructionTuner.tested` gives}; map: columns of the candidates, by number, as in
    `prompting.answer_measures`; costs: n_passes and n_read of the measures; data; score_s, wall_s, device. It has no
    checkpoint.
    """
    tuner = InstructionTuner(spec)
    metrics = {"not tuned": {"n_trained": 0} | tuner.tested(tuner.base)}
    progress(1, spec.n_steps)
    since, scorer = time.perf_counter(), OwnScorer(tuner.base, spec.max_tokens)
    right = [[(row.output,)] for row in tuner.candidates]
    found, _ = answer_measures(scorer, tuner.prompts, uncertainty_spec(spec), spec.seed, right)
    shared = {"metrics": metrics, "curve": [], "map": found, "costs": [scorer.costs()]}
    return shared | {"score_s": time.perf_counter() - since} | tuner.report()


def instruct_run(spec: InstructSpec, checkpoint: Path, progress, first: dict) -> dict:
    """Given the measures of the pretrained model: tune it on the first instructions of the strategy's order, as many as
    each budget says, and test it; plain data:

    metrics: {"budget b": what `InstructionTuner.tested` gives, with n_trained}; curve: [{budget, loss, tokens}];
    selected: numbers of the candidates of the largest budget, increasing; data; train_s, of this call; wall_s, device.
    """
    tuner, metrics, curve, train_s, done = InstructionTuner(spec), {}, [], 0.0, 0
    for budget in spec.budgets:
        chosen, since = selected_instructions(spec, first["map"], budget), time.perf_counter()
        prompts, eos, most = [tuner.prompts[i] for i in chosen], tuner.base.eos, spec.tune.max_tokens
        examples = [pair for prompt in prompts for pair in pairs(prompt, 1, eos, most)]
        tune = spec.tune.replace(n_steps=spec.steps(budget))
        of_budget = checkpoint.with_name(f"{checkpoint.stem}-{budget}.safetensors")
        report = partial(report_from, progress, done, spec.n_steps)
        lm, losses = train(tuner.base, examples, tune, spec.seed, of_budget, report)
        train_s += time.perf_counter() - since
        metrics[f"budget {budget}"] = {"n_trained": budget} | tuner.tested(lm)
        curve.append({"budget": budget, "loss": losses[-1], "tokens": spec.passes * tokens_of(examples)})
        tuner.base, done = plain(lm), done + tune.n_steps + 1
        progress(done, spec.n_steps)
    return {"metrics": metrics, "curve": curve, "selected": chosen, "train_s": train_s} | tuner.report()


def selected_instructions(spec: InstructSpec, columns: dict[str, list], budget: int) -> list[int]:
    """The numbers of the instructions that the strategy selects."""
    no_kinds = torch.zeros(len(columns["uncertainty"]), dtype=torch.bool)
    return select_places(spec, columns, no_kinds, budget, 0.0, "selection")
