"""Tests that call a program in another sandbox: a script that runs inside, at both ends of one channel.

    main.py check NAME ...    runs the tests; each NAME in them is a stand-in that sends a call and waits for the value
    main.py serve             runs the program and answers calls; it knows the arguments and nothing else of the tests

What comes back is data, rebuilt from JSON: numbers, text, lists and so on, whose equality the program cannot change.
Any other object stays with the program, and the tests hold its number; arguments are copies, so that a test does not
see what a program does to them. So the tests are decided by values that the testing process compares itself; there is
nothing in the program's reach to patch, and no secret to find.

One line of JSON a message: [name, arguments, keywords] one way, {"value": ...} or {"error": text} the other.
"""

import builtins
import contextlib
import json
import os
import sys
import types

CHANNEL = 3  # as in jail.py
LONGEST = 1 << 24  # bytes of a message
KINDS = {kind.__name__: kind for kind in (list, tuple, set, frozenset, dict)}


class ProgramError(Exception):
    """The program raised, ended or answered what is no answer."""


# ---- values ----------------------------------------------------------------------------------------------------------


def pack(value, keep):
    """A value as JSON holds it. A subclass counts as what it extends; keep gives the number of any other object.

    >>> pack([1, (True, None)], id)
    {'list': [1, {'tuple': [True, None]}]}
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": value.hex()}
    if isinstance(value, type) and getattr(builtins, value.__name__, None) is value:
        return {"type": value.__name__}
    for name, kind in KINDS.items():
        if isinstance(value, kind):
            items = value.items() if kind is dict else value
            return {name: [pack(item, keep) for item in items]}
    return {"object": keep(value)}


def unpack(packed, find):
    """The value that `pack` was given, of built-in types only; find gives the object of a number.

    >>> unpack({"list": [1, {"tuple": [True, None]}]}, None)
    [1, (True, None)]
    """
    if not isinstance(packed, dict):
        return packed
    ((name, content),) = packed.items()
    if name == "object":
        return find(content)
    if name == "type":
        return {kind.__name__: kind for kind in vars(builtins).values() if isinstance(kind, type)}[content]
    if name == "complex":
        return complex(*content)
    if name == "bytes":
        return bytes.fromhex(content)
    return KINDS[name](unpack(item, find) for item in content)


# ---- the program's end -----------------------------------------------------------------------------------------------


def serve(program: str, requests, answers) -> None:
    """Run the program, then answer calls of what it defines (or of built-in functions) until there are no more."""
    module, kept, failed = types.ModuleType("program"), [], None
    sys.modules["program"] = module
    try:
        exec(compile(program, "program.py", "exec"), module.__dict__)
    except Exception as error:
        failed = error

    def keep(value):
        kept.append(value)
        return len(kept) - 1

    for line in requests:
        name, arguments, keywords = json.loads(line)
        try:
            if failed:
                raise failed
            function = module.__dict__.get(name) or getattr(builtins, name)
            value = function(*unpack(arguments, kept.__getitem__), **unpack(keywords, kept.__getitem__))
            answer = {"value": pack(value, keep)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


# ---- the tests' end --------------------------------------------------------------------------------------------------


class Caller:
    """Calls by name into the program."""

    def __init__(self, answers, requests):
        self.answers, self.requests = answers, requests

    def __call__(self, name: str, *arguments, **keywords):
        message = [name, pack(arguments, number_of), pack(keywords, number_of)]
        try:
            self.requests.write(json.dumps(message).encode() + b"\n")
            self.requests.flush()
            line = self.answers.readline(LONGEST)
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise ProgramError("the program gave an answer that is too long" if line else "the program ended")
        try:
            answer = json.loads(line)
            if "error" not in answer:
                return unpack(answer["value"], lambda number: Held(self, number))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ProgramError("the program gave what is no answer") from error
        raise ProgramError(f"the program raised {answer['error']}")

    def stand_in(self, name: str):
        """A function that calls `name` in the program."""
        return lambda *arguments, **keywords: self(name, *arguments, **keywords)


class Held:
    """An object that stays with the program: equal to nothing but itself; it can be iterated, have attributes, be
    passed on."""

    def __init__(self, call: Caller, number: int):
        vars(self).update(_call=call, _number=number)

    def __getattr__(self, name: str):
        return self._call("getattr", self, name)

    def __setattr__(self, name: str, value):
        self._call("setattr", self, name, value)

    def __iter__(self):
        return iter(self._call("list", self))


def number_of(value) -> int:
    """The number by which the program knows a value that is no data."""
    if not isinstance(value, Held):
        raise TypeError(f"the tests cannot send a {type(value).__name__}")
    return vars(value)["_number"]


def check(names: list[str], reference: str, tests: str, call: Caller) -> dict:
    """Run the tests where each of `names` is the program's, and all else what the reference has defined."""
    namespace = {"__name__": "tests"}
    exec(compile(reference, "reference.py", "exec"), namespace)
    namespace.update({name: call.stand_in(name) for name in names})
    try:
        exec(compile(tests, "tests.py", "exec"), namespace)
    except Exception as error:
        return {"passed": False, "reason": f"{type(error).__name__}: {error}".rstrip(": ")[:500]}
    return {"passed": True, "reason": ""}


def main(task: str, *names: str) -> None:
    """One end of the channel, in a sandbox: "serve" a program's functions to the other end, or judge them by tests that
    call them."""
    def text(name):
        with open(name, encoding="utf-8") as file:
            return file.read()

    incoming, outgoing = os.fdopen(CHANNEL, "rb"), os.fdopen(os.dup(CHANNEL), "wb")
    if task == "serve":
        serve(text("program.py"), incoming, outgoing)
    else:
        with contextlib.redirect_stdout(None):
            verdict = check(names, text("reference.py"), text("tests.py"), Caller(incoming, outgoing))
        print(json.dumps(verdict))


if __name__ == "__main__":
    main(*sys.argv[1:])
