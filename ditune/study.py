"""The study: what a chapter runs, looked up, computed where it is missing, checked by computing a sample of it again.

    chapter = study.chapter("02_number_of_rules", globals())    # the first code cell of a notebook
    chapter.frame, chapter.verdicts(), chapter.settings()

A page shows the recorded study, the records in `results/`, whatever the machine. `run_notebooks` computes what is not
recorded, computes a sample of what is again, and executes the notebooks, which say on how much of it this machine
agrees.
"""

import contextlib
import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import ModuleType

from tqdm import tqdm

from . import notebooks
from .report import ledger, tables
from .specs import Spec
from .store import backends, checks, records
from .store.kinds import kind_of


class RunsFailed(RuntimeError):
    """Some runs failed; all others are recorded. `failed` has the records' content by spec."""

    def __init__(self, failed: dict[Spec, dict]):
        self.failed = failed
        lines = [f"{spec.key}: {records.last_line(data)}" for spec, data in failed.items()]
        title = f"{len(failed)} of the runs failed (whole errors in {records.local()}/KEY.failed.json):"
        super().__init__("\n  ".join([title, *lines]))


# ---- a chapter -------------------------------------------------------------------------------------------------------


def chapter(name: str, values: dict) -> "Chapter":
    """The chapter of a notebook with its parameters, those of `values` in place of its own; what is missing is
    computed."""
    from .report import plots

    plots.use_style()
    module = notebooks.module_of(name)
    parameters = notebooks.of_kernel(name, values)
    specs = list(dict.fromkeys(module.runs(**parameters)))
    compute(missing(specs))
    return Chapter(name, module, parameters, specs)


def chapters(profile: str) -> list["Chapter"]:
    """The numbered chapters of a profile, for the front page; nothing is computed."""
    from .report import plots

    plots.use_style()
    plans = [planned for planned in notebooks.plan([], profile) if planned.stem[0].isdigit()]
    return [Chapter(p.stem, notebooks.module_of(p.stem), p.parameters, p.specs) for p in plans]


def computed_again(chapters: list["Chapter"]) -> str:
    """How far this machine agrees with the record, over all chapters."""
    found = {check.spec: check for chapter in chapters for check in chapter.checks}
    return checks.in_words(list(found.values()), len({spec for chapter in chapters for spec in chapter.specs}))


@dataclass(frozen=True)
class Chapter:
    """A chapter's runs with what is recorded of them."""

    name: str
    module: ModuleType
    parameters: dict
    specs: list[Spec]

    @functools.cached_property
    def frame(self):
        """The table that figures and rules are made from: `frame` of the module, or one row a run and evaluation
        set."""
        return self.module.frame(self) if hasattr(self.module, "frame") else records.frame(self.specs)

    @functools.cached_property
    def slices(self):
        """The metrics by slice (`records.slices`)."""
        return records.slices(self.specs)

    @functools.cached_property
    def curves(self):
        """The learning curves (`records.curves`)."""
        return records.curves(self.specs)

    @functools.cached_property
    def records(self) -> list[records.Record]:
        """The records of the runs, in their order."""
        return [record for spec in self.specs if (record := records.find(spec)) and record.result is not None]

    # ---- what was computed again here

    @functools.cached_property
    def checks(self) -> list[checks.Check]:
        """The recorded runs that were computed again on this machine, each compared with its record."""
        return checks.of(self.specs)

    @property
    def again(self) -> list[str]:
        """Their keys, for the rings in a figure."""
        return [check.spec.key for check in self.checks]

    def computed_again(self) -> str:
        """How far this machine agrees with the record, in a sentence."""
        return checks.in_words(self.checks, len(self.specs))

    # ---- verdicts and settings

    @functools.cached_property
    def judged(self) -> list[ledger.Verdict]:
        """The verdicts on the chapter's claims."""
        claims = getattr(self.module, "CLAIMS", ())
        return [ledger.judge(claim, claim.table(self) if claim.table else self.frame) for claim in claims]

    def verdicts(self) -> str:
        """A table with a row a statement."""
        caption = "The statements, each with its verdict and what was seen; means with 95 % t-intervals over seeds"
        return tables.verdicts(self.judged, caption, f"tab-verdicts-{self.name[:2]}")

    def rules(self) -> str:
        """The rules of the verdicts, folded."""
        return tables.folded("How each statement is decided", tables.rules(self.module.CLAIMS))

    def settings(self) -> str:
        """The paper's settings beside those of the runs, folded."""
        from .chapters.settings import table

        return tables.folded("Settings, beside the paper's", table(self))


# ---- a set of runs ---------------------------------------------------------------------------------------------------


def missing(specs: Iterable[Spec]) -> list[Spec]:
    """The specs that have no result: neither a committed one, of whatever sources, nor a fresh one made here."""
    committed, here = [records.results()], [records.local()]
    return [spec for spec in specs if not records.find(spec, committed) and not records.find_fresh(spec, here)]


def stale(specs: Iterable[Spec]) -> list[Spec]:
    """The specs that have no fresh result."""
    return [spec for spec in specs if not records.find_fresh(spec)]


def compute(
    specs: Iterable[Spec],
    jobs: int = 2,
    desc: str = "runs",
    force: bool = False,
    client: str | None = None,
    minutes: float = float("inf"),
):
    """Compute the specs, in `jobs` processes, but for those that have a fresh record here; with `force` these too.

    With `client`, the address of a Dask scheduler, its workers compute. After `minutes` the runs that are going on are
    left at their checkpoints. Raises RunsFailed after everything else is done, and SpecError before anything starts if
    data of a run are not here.
    """
    todo = list(dict.fromkeys(specs))
    if not todo:
        return
    if client is None:  # a cluster's workers may have data that this machine lacks
        check_data(todo)
    todo.sort(key=lambda spec: (bool(kind_of(spec).needs(spec)), -kind_of(spec).seconds(spec)))
    backend = backends.choose(jobs, client)
    deadline, wait, failed = time.monotonic() + 60 * minutes, False, {}
    with Bar(todo, desc) as bar:
        while todo and time.monotonic() < deadline:
            left = []
            with contextlib.closing(backend(todo, bar.show, deadline, wait=wait, force=force)) as outcomes:
                for spec, data in outcomes:
                    if data is None:
                        left.append(spec)
                        continue
                    bar.finish(spec)
                    if data["error"]:
                        failed[spec] = data
            todo, wait = left, True
    if failed:
        raise RunsFailed(failed)


def check_data(specs: list[Spec]) -> None:
    """SpecError, if what one of the runs needs is not here; runs that share a first round share its data."""
    needed = [kind_of(spec).needs(spec) or (spec,) for spec in specs]
    for spec in dict.fromkeys(sum(needed, ())):
        backends.check(spec)


class Bar:
    """Progress over all runs, in steps that are weighed by what they cost, with the time that remains."""

    def __init__(self, todo: list[Spec], desc: str):
        self.seconds = {spec: kind_of(spec).seconds(spec) for spec in todo}
        self.steps = {spec: kind_of(spec).steps(spec) for spec in todo}
        self.done, self.finished = dict.fromkeys(todo, 0.0), 0
        watched = sys.stderr.isatty() or "ipykernel" in sys.modules
        shape = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}{postfix}]"
        total = sum(self.seconds.values())
        self.tqdm = tqdm(total=total, desc=desc, bar_format=shape, mininterval=0.5 if watched else 30)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.tqdm.close()

    def show(self, spec: Spec, step: int):
        """The run of `spec` is at `step`."""
        done = self.seconds[spec] * min(1.0, step / max(1, self.steps[spec]))
        self.tqdm.update(done - self.done[spec])
        self.done[spec] = done

    def finish(self, spec: Spec):
        """The run of `spec` has ended."""
        self.finished += 1
        self.tqdm.set_postfix_str(f"{self.finished}/{len(self.seconds)} runs", refresh=False)
        self.show(spec, self.steps[spec])


# ---- what is computed again ------------------------------------------------------------------------------------------


def to_check(planned: notebooks.Plan, which: str) -> list[Spec]:
    """The recorded runs of a chapter that are to be computed again: none of them; a sample, which the chapter names;
    those whose turn it is tonight; all. Runs whose data are not here are left out."""
    recorded = [spec for spec in planned.specs if records.find(spec, [records.results()])]
    if which == "none" or not recorded:
        return []
    if which == "sample":
        name = getattr(notebooks.module_of(planned.stem), "sample", cheapest)
        recorded = [spec for spec in name(recorded) if records.find(spec, [records.results()])]
    elif which == "night":
        recorded = [spec for spec in recorded if checks.is_tonights(spec)]
    return [spec for spec in recorded if at_hand(spec)]


def to_compute(plans: list[notebooks.Plan], force: bool, check: str) -> list[Spec]:
    """What `run_notebooks` computes first: what the plans lack, and what is to be checked."""
    again = [spec for planned in plans for spec in to_check(planned, check)]
    again = [spec for spec in again if force or not records.find_fresh(spec, [records.local()])]
    lacking = [spec for planned in plans for spec in (planned.specs if force else missing(planned.specs))]
    return [spec for spec in lacking if not records.find(spec, [records.results()])] + again


def expected(planned: notebooks.Plan, force: bool, check: str, jobs: int) -> float:
    """Seconds that a notebook's runs should take in so many processes: each as long as it took where it is recorded; of
    others what their kind says, times what that was wrong by for like runs, the recorded ones of this notebook."""
    todo = list(dict.fromkeys(to_compute([planned], force, check)))
    like = [*planned.specs, *notebooks.plan([planned.stem], "study")[0].specs] if todo else []
    took = {spec: r.result.get("wall_s") for spec in (*like, *todo) if (r := records.find(spec)) and r.result}
    wrong: dict[type, list[float]] = {}
    for spec, seconds in took.items():
        if seconds and spec not in todo:
            wrong.setdefault(type(spec), []).append(seconds / max(1e-9, kind_of(spec).seconds(spec)))
    times = {kind: statistics.median(values) for kind, values in wrong.items()}
    each = [took.get(spec) or kind_of(spec).seconds(spec) * times.get(type(spec), 1.0) for spec in todo]
    return max([sum(each) / jobs, *each])


def checks_of(plans: list[notebooks.Plan]) -> list[checks.Check]:
    """The checks of all runs of some notebooks, each once."""
    found = {check.spec: check for planned in plans for check in checks.of(planned.specs)}
    return list(found.values())


def cheapest(specs: list[Spec]) -> list[Spec]:
    """The run that took least time."""
    return sorted(specs, key=lambda spec: records.find(spec).result.get("wall_s") or 0.0)[:1]


def at_hand(spec: Spec) -> bool:
    """Whether the data of a run are here."""
    from .specs import SpecError

    try:
        check_data([spec])
    except SpecError:
        return False
    return True


# ---- notebooks -------------------------------------------------------------------------------------------------------


def run_notebooks(
    plans: list[notebooks.Plan], profile: str, jobs: int = 2, force: bool = False, check: str = "none"
) -> Iterator[tuple[str, str, str]]:
    """Compute what the planned notebooks lack and what is to be checked, then execute those whose copies are not
    current.

    Gives (notebook, "executed" | "unchanged" | "failed", error) as they come. A notebook that fails, or one of whose
    runs failed, keeps its previous copy. With `force` all notebooks are executed again, and what was computed on this
    machine is computed again.
    """
    failed = {}
    try:
        compute(to_compute(plans, force, check), jobs, force=force)
    except RunsFailed as error:
        failed = error.failed
    todo = []
    for planned in plans:
        if broken := {spec: failed[spec] for spec in planned.specs if spec in failed}:
            yield planned.stem, "failed", str(RunsFailed(broken))
        elif force or not notebooks.is_current(planned):
            todo.append(planned)
        else:
            yield planned.stem, "unchanged", ""
    with tempfile.TemporaryDirectory(prefix="ditune-") as sockets, tqdm(
        total=len(todo), desc="notebooks", unit="notebook", disable=not todo
    ) as bar:
        for planned, error in executions([(planned, profile, sockets) for planned in todo], jobs):
            bar.update()
            yield planned.stem, "failed" if error else "executed", error


def executions(calls: list[tuple], jobs: int) -> Iterator[tuple[notebooks.Plan, str]]:
    """Calls of `notebooks.execute`: the notebook with its error, as they come. Where a process is killed, those not
    done are executed again, each alone in a process; one that is killed again has failed."""
    killed = []
    if calls:
        with backends.processes(jobs, notebooks.execute, calls) as pending:
            for future in futures.as_completed(pending):
                try:
                    yield calls[pending[future]][0], future.result()
                except BrokenProcessPool:
                    killed.append(calls[pending[future]])
    for call in killed:
        if len(calls) == 1:
            yield call[0], "the process that executed it was killed"
        else:
            yield from executions([call], 1)
