"""The store of run records: one JSON file a run, from which every table and figure is made.

A record holds the spec, the result, and what made it. It is written to a temporary name and then renamed, so that a
file is either whole or absent. There are two folders: the local `.ditune/records/` (git-ignored; DITUNE_HOME moves
`.ditune`), and `results/`, which is committed. Both are searched. A record is

    fresh    of this spec and of the sources as they are: it is not computed again
    stale    of this spec and of other sources: it still draws, marked as such
    failed   the error of a run that failed; local only
"""

import dataclasses
import datetime
import functools
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..specs import Spec, SpecError, unknown
from . import guard, provenance
from .files import write
from .kinds import KINDS, kind_of

NOT_REPEATABLE = ("wall_s", "train_s", "score_s", "seconds", "tokens_per_s", "device", "n_models")
"""Fields of a result that differ from one computation to the next."""
MEASURES = ("exact_match", "nll", "rouge_l", "pass_1")
"""The measures of an evaluation set."""
FIELDS = {"kind": str, "spec": dict, "sources": str, "git": dict, "libraries": dict, "machine": dict}
"""What every record says, beside its result or error."""


# ---- folders ---------------------------------------------------------------------------------------------------------


def root() -> Path:
    """The study's folder, which holds `notebooks/`: DITUNE_ROOT, the checkout of this package, or one around here."""
    if "DITUNE_ROOT" in os.environ:
        return Path(os.environ["DITUNE_ROOT"]).resolve()
    checkout, here = guard.PACKAGE.parent, Path.cwd()
    return next((p for p in (checkout, here, *here.parents) if (p / "notebooks").is_dir()), checkout)


def home() -> Path:
    """The folder of what is computed here: DITUNE_HOME, or `.ditune` in the study's folder."""
    return root() / os.environ.get("DITUNE_HOME", ".ditune")


def local() -> Path:
    """The folder of local records."""
    return home() / "records"


def results() -> Path:
    """The folder of committed records."""
    return root() / "results"


# ---- records ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """A record found in the store."""

    spec: Spec
    state: str
    path: Path
    data: dict

    @property
    def result(self) -> dict:
        """What the runner returned."""
        return self.data["result"]


def make(spec: Spec, result: dict | None, error: str | None = None) -> dict:
    """The content of a spec's record: its result, or the error, with what made it."""
    return {
        "kind": type(spec).__name__,
        "key": spec.key,
        "command": f"ditune compute {spec.key} --force",
        "seed": getattr(spec, "seed", None),
        "changed": spec.changed(),
        "spec": spec.to_dict(),
        "result": result,
        "error": error,
        "ditune": __version__,
        "sources": kind_of(spec).code(),
        "git": provenance.git_state(),
        "libraries": provenance.libraries(),
        "machine": provenance.machine(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def save(data: dict, folder: Path | None = None) -> Path:
    """Write a record; a result replaces the failure of the same spec."""
    folder = folder or local()
    path = folder / f"{data['key']}{'.failed' if data['error'] else ''}.json"
    if os.path.lexists(path) and _read(path) is None:
        path.replace(path.with_name(f"{path.name}.damaged"))
    write(path, json.dumps(data | {"sum": checksum(data)}, indent=1, allow_nan=False) + "\n")
    if not data["error"]:
        (folder / f"{data['key']}.failed.json").unlink(missing_ok=True)
    return path


def checksum(data: dict) -> str:
    """What tells that a record is as it was written; ValueError where a number is infinite or none (NaN)."""
    content = {name: value for name, value in data.items() if name != "sum"}
    return guard.short_hash(json.dumps(content, sort_keys=True, allow_nan=False))


def find(spec: Spec, folders: Iterable[Path] | None = None) -> Record | None:
    """The record of a spec: the committed one, else a local one, else that of its failure, else None.

    The study is what is committed; a local record of the same spec is there to be compared with it (`checks`).
    """
    folders = [results(), local()] if folders is None else list(folders)
    code = kind_of(spec).code()
    for folder in folders:
        path = folder / f"{spec.key}.json"
        data = _read(path)
        if data is not None and _is_of(path, path.stat().st_mtime_ns, spec):
            return Record(spec, "fresh" if data["sources"] == code else "stale", path, data)
    return next((record for folder in folders if (record := failure(spec, folder))), None)


def find_fresh(spec: Spec, folders: Iterable[Path] | None = None) -> Record | None:
    """The fresh record of a spec, if there is one: such a spec is not computed again."""
    folders = [results(), local()] if folders is None else list(folders)
    found = (find(spec, [folder]) for folder in folders)
    return next((record for record in found if record and record.state == "fresh"), None)


def failure(spec: Spec, folder: Path | None = None) -> Record | None:
    """The record of the last failure of a spec that had no result since."""
    path = (folder or local()) / f"{spec.key}.failed.json"
    data = _read(path)
    return data and Record(spec, "failed", path, data)


def spec_of_key(key: str) -> Spec:
    """The spec of a record in the store, by its key."""
    for folder in (local(), results()):
        for path in (folder / f"{key}.json", folder / f"{key}.failed.json"):
            if data := _read(path):
                if data["kind"] not in KINDS:
                    raise unknown(f"kind of run in {path}:", data["kind"], KINDS)
                return KINDS[data["kind"]].spec.of(**data["spec"])
    raise SpecError(f"no record {key!r} in {local()} or {results()}")


def promote(specs: Iterable[Spec]) -> list[Path]:
    """Copy the fresh local records of the specs to `results/`, to be committed."""
    found = [find_fresh(spec, [local()]) for spec in specs]
    return [save(record.data, results()) for record in found if record]


def repeatable(data: dict) -> dict:
    """The part of a record's result that another computation of it must give again."""
    return {name: value for name, value in data["result"].items() if name not in NOT_REPEATABLE}


def last_line(data: dict) -> str:
    """The last line of the error in the record of a failure."""
    return data["error"].strip().splitlines()[-1]


def _read(path: Path) -> dict | None:
    """A record's content; one that cannot be read or is not as it was written is ignored with a warning, and so
    computed again."""
    try:
        return _parsed(path, path.stat().st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return _ignored(path, error.strerror)


@functools.lru_cache(None)
def _parsed(path: Path, modified: int) -> dict | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["key"] != path.name.split(".")[0]:
            raise ValueError("its key is not its name")
        failed = path.name.endswith(".failed.json")
        sound = isinstance(data["error"], str) if failed else data["error"] is None and _is_result(data["result"])
        wrong = [name for name, kind in FIELDS.items() if type(data[name]) is not kind]
        if wrong or not sound:
            raise ValueError(f"{wrong[0] if wrong else 'error' if failed else 'result'} has not its form")
        for part, name in (("machine", "cpu"), ("git", "commit"), ("git", "dirty")):
            data[part][name]
        if data.get("sum") != checksum(data):
            raise ValueError("it was changed since it was written")
        return data
    except KeyError as error:
        return _ignored(path, f"it lacks {error}")
    except OSError as error:
        return _ignored(path, error.strerror)
    except (ValueError, TypeError, RecursionError) as error:
        return _ignored(path, error)


def _ignored(path: Path, why) -> None:
    warnings.warn(f"ignored the damaged record {path}: {why}", stacklevel=4)


def _is_result(result) -> bool:
    """Whether it has the form of what a kind's function returns: measures by evaluation set, points of a curve."""
    metrics, curve = (result.get("metrics"), result.get("curve", [])) if isinstance(result, dict) else (None, None)
    return (
        isinstance(metrics, dict)
        and all(isinstance(values, dict) for values in metrics.values())
        and all(type(v[m]) in (int, float) for v in metrics.values() for m in MEASURES if m in v)
        and isinstance(curve, list)
        and all(isinstance(point, dict) for point in curve)
    )


@functools.lru_cache(None)
def _is_of(path: Path, modified: int, spec: Spec) -> bool:
    """Whether a record that can be read is of the spec; `modified` is there for the cache."""
    return _same_spec(_parsed(path, modified)["spec"], spec.to_dict())


def _same_spec(stored, spec) -> bool:
    """Whether a stored spec has the spec's values; fields added since then hold their default in both.

    The key leaves defaults out, so this is what notices that a default has changed.
    """
    if isinstance(stored, dict) and isinstance(spec, dict):
        return all(name in spec and _same_spec(value, spec[name]) for name, value in stored.items())
    if isinstance(stored, list) and isinstance(spec, list):
        return len(stored) == len(spec) and all(map(_same_spec, stored, spec))
    return stored == spec


# ---- tables ----------------------------------------------------------------------------------------------------------


def frame(specs: Iterable[Spec], folders: Iterable[Path] | None = None):
    """The records of the specs as a tidy DataFrame: one row per run and evaluation set.

    Columns: `key`, the spec's fields, `eval` and the set's fields (`eval_...`), its metrics, `state`, `device` (the
    GPU, or the model of the CPU), `commit` ("+changes" where files differed from it), `wall_s`. A field is named alone
    where its name is unique in the spec, otherwise with its part (`task_n_steps`, `train_n_steps`); a tuple of equal
    values is given as that value. A run without a result has no row.
    """
    import pandas

    rows = _set_rows(specs, folders)
    return pandas.DataFrame(row | {n: v for n, v in metrics.items() if n != "slices"} for row, metrics in rows)


def slices(specs: Iterable[Spec], folders: Iterable[Path] | None = None):
    """The metrics by slice: the rows of `frame` for each `slice` (occurrences, family, ...) and its `value`."""
    import pandas

    return pandas.DataFrame(
        row | {"slice": name, "value": value, "exact_match": exact_match, "n": n}
        for row, metrics in _set_rows(specs, folders)
        for name, values in metrics.get("slices", {}).items()
        for value, (exact_match, n) in values.items()
    )


def curves(specs: Iterable[Spec], folders: Iterable[Path] | None = None):
    """The learning curves: one row per run and point, with the columns that a run has in `frame`; joined names."""
    import pandas

    return pandas.DataFrame(
        row | _named(point) for record, row in _rows(specs, folders) for point in record.result["curve"]
    )


def _set_rows(specs, folders) -> Iterator[tuple[dict, dict]]:
    """For each run and evaluation set: the columns that say which it is, and its metrics."""
    for record, row in _rows(specs, folders):
        sets = {e.name: _named(e) for e in getattr(record.spec, "evals", ())}
        for name, metrics in record.result["metrics"].items():
            of_set = {f"eval_{n}": v for n, v in sets.get(name, {}).items() if n != "name" and v is not None}
            yield row | {"eval": name} | of_set, metrics


def _rows(specs, folders) -> Iterator[tuple[Record, dict]]:
    """Each record that has a result, with the columns that all of its rows share."""
    folders = None if folders is None else list(folders)
    for spec in dict.fromkeys(specs):
        record = find(spec, folders)
        if record and record.state != "failed":
            device, git = record.result.get("device"), record.data["git"]
            made = {
                "state": record.state,
                "device": record.data["machine"]["cpu"] if device == "cpu" else device,
                "commit": (git["commit"] or "")[:9] + "+changes" * bool(git["dirty"]),
                "wall_s": record.result.get("wall_s"),
            }
            yield record, {"key": spec.key} | columns(spec) | made


def columns(spec: Spec) -> dict:
    """The spec's fields as columns of a table; evaluation sets are rows and therefore left out."""
    fields = [(path, value) for path, value in _leaves(spec) if path[0] != "evals"]
    names = [path[-1] for path, _ in fields]
    return {path[-1] if names.count(path[-1]) == 1 else "_".join(path): value for path, value in fields}


def _named(data) -> dict:
    """Nested data as one dict, names joined by "_"."""
    return {"_".join(map(str, path)): value for path, value in _leaves(data)}


def _leaves(data, path: tuple = ()) -> Iterator[tuple[tuple, object]]:
    """The values in nested specs and dicts with their paths; a tuple of equal values is one value."""
    if isinstance(data, Spec):
        data = {f.name: getattr(data, f.name) for f in dataclasses.fields(data)}
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _leaves(value, (*path, name))
    else:
        yield path, data[0] if isinstance(data, tuple) and len(set(data)) == 1 else data
