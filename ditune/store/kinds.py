"""The kinds of runs: for each class of specs that has records, what computes it, what it costs, and what it needs.

The folders that compute (`rewriting`, `active`, `language`) register theirs in `runs.py`, in functions that import what
is heavy when they are called: looking up a record loads no torch.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..specs import Spec
from . import guard
from .threads import one_thread


@dataclass(frozen=True)
class Kind:
    """How the results of one class of specs are made."""

    spec: type[Spec]
    run: Callable[..., dict]
    """run(spec, checkpoint, progress, *results of what it needs) -> the result, plain data."""
    steps: Callable[[Spec], int]
    """The number of steps that a run reports its progress in."""
    seconds: Callable[[Spec], float]
    """Roughly, on one core of a CPU: the longest runs start first, and progress is weighed by it."""
    begins_with: type[Spec] | None = None
    """The class of `spec.first`, with whose result a run begins; it is computed before it."""
    check: Callable[[Spec], None] | None = None
    """Called before anything starts; SpecError where the data of a run are not here."""
    pack: Callable[..., list[dict]] | None = None
    """pack(specs, checkpoint, progress) -> a result for each: specs of one shape computed as one program."""
    shape: Callable[[Spec], object] | None = None
    """What specs share that can be one pack."""
    most: Callable[[Spec], int] | None = None
    """Most members of a pack."""

    def needs(self, spec: Spec) -> tuple[Spec, ...]:
        """The specs whose results a run begins with."""
        return (spec.first,) if self.begins_with else ()

    def code(self) -> str:
        """The hash of the code that determines a result, that of what it begins with included, as this process found it
        first."""
        first = KINDS.get(self.begins_with.__name__) if self.begins_with else None
        roots = (self.spec, self.run, self.pack, one_thread, *((first.spec, first.run) if first else ()))
        return guard.code_hash(*filter(None, roots))


KINDS: dict[str, Kind] = {}
"""By the name of the class of specs."""


def register(*kinds: Kind) -> None:
    """Enter kinds of runs."""
    KINDS.update({kind.spec.__name__: kind for kind in kinds})


def kind_of(spec: Spec) -> Kind:
    """The kind of a spec."""
    return KINDS[type(spec).__name__]
