"""The kinds of runs: for each class of specs that has records, what computes it, what it costs, and what it needs.

The folders that compute (`rewriting`, `active`, `language`) register theirs in `runs.py`, in functions that import what
is heavy when they are called: looking up a record loads no torch.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..specs import Spec
from . import guard


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
    needs: Callable[[Spec], tuple[Spec, ...]] = lambda spec: ()
    """The specs whose results a run begins with; they are computed before it."""
    check: Callable[[Spec], None] | None = None
    """Called before anything starts; SpecError where the data of a run are not here."""
    pack: Callable[..., list[dict]] | None = None
    """pack(specs, checkpoint, progress) -> a result for each: specs of one shape computed as one program."""
    shape: Callable[[Spec], object] | None = None
    """What specs share that can be one pack."""
    most: Callable[[Spec], int] | None = None
    """Most members of a pack."""

    def code(self) -> str:
        """The hash of the code that determines a result, as this process found it first."""
        from .backends import one_thread  # in which every run is computed

        return guard.code_hash(self.spec, self.run, *([self.pack] if self.pack else []), one_thread)


KINDS: dict[str, Kind] = {}
"""By the name of the class of specs."""


def register(*kinds: Kind) -> None:
    """Enter kinds of runs."""
    KINDS.update({kind.spec.__name__: kind for kind in kinds})


def kind_of(spec: Spec) -> Kind:
    """The kind of a spec."""
    return KINDS[type(spec).__name__]
