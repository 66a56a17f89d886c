"""The study: run specs, execute notebooks, find what is recorded.

`run` is what a notebook calls: it looks up every spec, computes what is missing, and returns a table. The same specs
can be computed without Jupyter (`compute`). `run_notebooks` computes the runs of several notebooks first, with one
progress bar, and then executes the notebooks, which find them recorded.
"""

import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool

from tqdm import tqdm

from . import notebooks
from .specs import Spec
from .store import backends, records
from .store.kinds import kind_of

PROFILES = ("paper", "workstation", "laptop", "smoke")
"""From the largest to the smallest."""


class RunsFailed(RuntimeError):
    """Some runs failed; all others are recorded. `failed` has the records' content by spec."""

    def __init__(self, failed: dict[Spec, dict]):
        self.failed = failed
        lines = [f"{spec.key}: {records.last_line(data)}" for spec, data in failed.items()]
        title = f"{len(failed)} of the runs failed (whole errors in {records.local()}/KEY.failed.json):"
        super().__init__("\n  ".join([title, *lines]))


# ---- a set of runs ---------------------------------------------------------------------------------------------------


def run(specs: Iterable[Spec], jobs: int = 2, desc: str = "runs", client: str | None = None):
    """The records of the specs as a DataFrame (`records.frame`); what has no fresh record is computed first."""
    specs = list(specs)
    compute(specs, jobs, desc, client=client)
    return records.frame(specs)


def compute(
    specs: Iterable[Spec],
    jobs: int = 2,
    desc: str = "runs",
    force: bool = False,
    client: str | None = None,
    minutes: float = float("inf"),
):
    """Compute the specs that have no fresh record, with `force` all of them, in `jobs` processes.

    With `client`, the address of a Dask scheduler, its workers compute. After `minutes` the runs that are going on are
    left at their checkpoints. With `force`, a result that is not the recorded one is reported as drift.
    Raises RunsFailed after everything else is done, and SpecError before anything starts if data of a run are not here.
    """
    todo = [spec for spec in dict.fromkeys(specs) if force or not records.find_fresh(spec)]
    if not todo:
        return
    if not client:  # a cluster's workers may have data that this machine lacks
        check_data(todo)
    todo.sort(key=lambda spec: (bool(kind_of(spec).needs(spec)), -kind_of(spec).seconds(spec)))
    before = {spec: records.find_fresh(spec) for spec in todo} if force else {}
    backend = backends.choose(jobs, client)
    deadline, wait, failed = time.monotonic() + 60 * minutes, False, {}
    with Bar(todo, desc) as bar:
        while todo and time.monotonic() < deadline:
            left = []
            for spec, data in backend(todo, bar.show, deadline, wait=wait, force=force):
                if data is None:
                    left.append(spec)
                    continue
                bar.finish(spec)
                if data["error"]:
                    failed[spec] = data
                elif before.get(spec):
                    bar.write(drift(before[spec].data, data))
            todo, wait = left, True
    if failed:
        raise RunsFailed(failed)


def check_data(specs: list[Spec]) -> None:
    """SpecError, if the data of one of the runs are not here; runs that share a first round share its data."""
    needed = [kind_of(spec).needs(spec) or (spec,) for spec in specs]
    for spec in dict.fromkeys(sum(needed, ())):
        if check := kind_of(spec).check:
            check(spec)


def drift(old: dict, new: dict) -> str:
    """One line that says how a result computed again differs from the recorded one; empty where it does not."""
    if records.repeatable(old) == records.repeatable(new):
        return ""
    before, after = (data["result"]["metrics"] for data in (old, new))
    both = [(name, before[name].get("exact_match"), after[name].get("exact_match")) for name in after if name in before]
    changes = ", ".join(f"{name} {was} -> {now}" for name, was, now in both)
    return f"drift in {new['key']}, recorded {old['date']}: exact match {changes}"


class Bar:
    """Progress over all runs in steps, with the rate and the time that remains."""

    def __init__(self, todo: list[Spec], desc: str):
        self.total = {spec: kind_of(spec).steps(spec) for spec in todo}
        self.at, self.finished = dict.fromkeys(todo, 0), 0
        watched = sys.stderr.isatty() or "ipykernel" in sys.modules
        self.tqdm = tqdm(total=sum(self.total.values()), desc=desc, unit="step", mininterval=0.5 if watched else 30)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.tqdm.close()

    def show(self, spec: Spec, step: int):
        """The run of `spec` is at `step`."""
        self.tqdm.update(step - self.at[spec])
        self.at[spec] = step

    def finish(self, spec: Spec):
        """The run of `spec` has ended."""
        self.finished += 1
        self.tqdm.set_postfix_str(f"{self.finished}/{len(self.total)} runs", refresh=False)
        self.show(spec, self.total[spec])

    def write(self, line: str):
        """A line above the bar."""
        if line:
            self.tqdm.write(line, file=sys.stderr)


# ---- notebooks -------------------------------------------------------------------------------------------------------


def run_notebooks(
    plans: list[notebooks.Plan], profile: str, jobs: int = 2, force: bool = False
) -> Iterator[tuple[str, str, str]]:
    """Compute the runs of the planned notebooks, then execute those whose copies in the book are not current.

    Gives (notebook, "executed" | "unchanged" | "failed", error) as they come. A notebook that fails, or one of whose
    runs failed, keeps its previous copy. With `force` everything is computed and executed again.
    """
    failed = {}
    try:
        compute([spec for planned in plans for spec in planned.specs], jobs, force=force)
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
    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(jobs, context, backends.start_worker) as pool:
        pending = {pool.submit(notebooks.execute, planned, profile): planned for planned in todo}
        for future in tqdm(futures.as_completed(pending), "notebooks", len(pending), unit="notebook", disable=not pending):
            try:
                error = future.result()
            except BrokenProcessPool:
                error = "a process that executes notebooks was killed"
            yield pending[future].stem, "failed" if error else "executed", error


# ---- what is recorded ------------------------------------------------------------------------------------------------


def recorded(notebook: str, live_profile: str):
    """The largest profile that has committed records of a notebook's runs, and these records as a DataFrame.

    Its `attrs` say how many of the profile's `runs` are `recorded`. Without any committed record: the live profile
    and what the store has of it.
    """
    specs = {p: notebooks.plan([notebook], p)[0].specs for p in PROFILES if p in notebooks.profiles()}
    for profile, of_profile in specs.items():
        found = records.frame(of_profile, [records.results()])
        if len(found):
            found.attrs = {"runs": len(of_profile), "recorded": found["key"].nunique()}
            return profile, found
    return live_profile, records.frame(specs.get(live_profile, []))


def profile_of(notebook: str, specs: Iterable[Spec]) -> str:
    """The profile that has just these runs of a notebook; "own parameters" where none has."""
    specs = set(specs)
    same = (p for p in notebooks.profiles() if set(notebooks.plan([notebook], p)[0].specs) == specs)
    return next(same, "own parameters")
