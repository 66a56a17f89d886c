"""What a run is: frozen dataclasses that say everything a result depends on, and check it.

A spec is plain data. It imports nothing heavy, so that a mistake is reported before torch or a kernel starts.
A run is named by its key, the hash of its spec; fields that hold their default are left out of the hash, so that a new
field does not rename the runs that do not use it.

Every wrong value raises `SpecError`, one line with the field, the value and what is allowed.
"""

import dataclasses
import difflib
import functools
import hashlib
import json
import sys
import types
import typing

Range = tuple[int, int]
"""A closed range of lengths; a single int n is read as (n, n)."""


class SpecError(ValueError):
    """A parameter that is mistyped or impossible; the message is one line."""


def unknown(what: str, name: str, allowed) -> SpecError:
    """The error for a name that does not exist, with the nearest one that does.

    >>> str(unknown("field", "n_rule", ["n_rules", "n_examples"]))
    "unknown field 'n_rule'; did you mean 'n_rules'? Allowed: n_rules, n_examples"
    """
    near = difflib.get_close_matches(str(name), [str(a) for a in allowed], n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return SpecError(f"unknown {what} {str(name)!r}{hint} Allowed: {', '.join(map(str, allowed))}")


def convert(owner: str, name: str, kind, value):
    """`value` as the annotated type `kind`, or a SpecError: lists become tuples, an int may be a Range, a dict a
    spec."""
    if kind == Range and isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for option in args:
            try:
                return convert(owner, name, option, value)
            except SpecError:
                continue
    elif kind is types.NoneType and value is None:
        return None
    elif origin is tuple and isinstance(value, (list, tuple)):
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else args
        if len(kinds) == len(value):
            return tuple(convert(owner, name, k, v) for k, v in zip(kinds, value))
    elif dataclasses.is_dataclass(kind) and isinstance(value, (dict, kind)):
        return value if isinstance(value, kind) else kind.of(**{str(name): v for name, v in value.items()})
    elif kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if abs(value) <= sys.float_info.max:
            return float(value)
        raise SpecError(f"{owner}.{name} = {value!r}; allowed: a finite number")
    elif kind in (int, str, bool) and type(value) is kind:
        return value
    wanted = (
        "int or [low, high]" if kind == Range else "a number, written with a point (3.0e-3)" if kind is float
        else str(getattr(kind, "__name__", kind)) if origin is None else str(kind)
    )
    raise inside(owner, name, args, value) or SpecError(
        f"{owner}.{name} = {value!r} has the wrong type; allowed: {wanted}"
    )


def inside(owner: str, name: str, options: tuple, value) -> SpecError | None:
    """What is wrong in a dict or list that is to be one of several types."""
    for option in options:
        takes = dict if dataclasses.is_dataclass(option) else list if typing.get_origin(option) is tuple else ()
        if isinstance(value, takes):
            try:
                convert(owner, name, option, value)
            except SpecError as error:
                return error


class Spec:
    """Base of all specs: typed construction, replacement, plain-data form and key."""

    @classmethod
    def of(cls, **values):
        """A spec from plain data (YAML, JSON, notebook parameters); an unknown key is an error."""
        allowed = [f.name for f in dataclasses.fields(cls)]
        for key in values:
            if key not in allowed:
                raise unknown(f"{cls.__name__} field", key, allowed)
        return cls(**values)

    def __post_init__(self):
        hints = typing.get_type_hints(type(self))
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, convert(type(self).__name__, f.name, hints[f.name], getattr(self, f.name)))
        self.check()

    def check(self):
        """Raise SpecError where the fields contradict one another."""

    def require(self, ok: bool, name: str, allowed: str):
        if not ok:
            raise SpecError(f"{type(self).__name__}.{name} = {getattr(self, name)!r}; allowed: {allowed}")

    def replace(self, **changes):
        """A copy with some fields changed, checked like a new one."""
        return type(self).of(**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)} | changes)

    def to_dict(self) -> dict:
        """All fields as plain data."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def changed(self) -> dict:
        """The fields that differ from their default, as plain data: what the key is made of."""
        out = {}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if value != (f.default if f.default_factory is dataclasses.MISSING else f.default_factory()):
                out[f.name] = plain(value)
        return out

    @functools.cached_property
    def key(self) -> str:
        """16 hexadecimal digits that identify the spec."""
        text = json.dumps([type(self).__name__, self.changed()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def plain(value):
    """Specs inside specs and tuples as dicts and lists, defaults left out."""
    if isinstance(value, Spec):
        return value.changed()
    return [plain(v) for v in value] if isinstance(value, tuple) else value
