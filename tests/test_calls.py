"""Values between tests and program: what arrives is data that the program cannot change."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ditune.language.codegen import MODULE_STOPS, Problem, check
from ditune.sandbox.calls import Held, pack, unpack
from ditune.sandbox.programs import Limits, missing_protections

ATOMS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.just(1 - 2j), st.just(int))
SETS = st.sets(ATOMS, max_size=3) | st.frozensets(ATOMS, max_size=3)
VALUES = st.recursive(ATOMS | SETS, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(ATOMS, inner, max_size=3), max_leaves=6)


def sent(value):
    """What arrives at the other end."""
    return unpack(json.loads(json.dumps(pack(value, None))), None)


def same(a, b) -> bool:
    """Whether two values are equal and of the same types throughout."""
    if type(a) is not type(b) or a != b:
        return False
    if isinstance(a, dict):
        return all(same(a[key], b[key]) for key in a)
    return all(map(same, a, b)) if isinstance(a, (list, tuple)) else True


@settings(max_examples=60)
@given(VALUES)
def test_data_arrive_as_they_were_sent(value):
    assert same(sent(value), value)


class Any(int):
    __hash__ = int.__hash__

    def __eq__(self, other):
        return True


@pytest.mark.parametrize("value, wrong", [(Any(3), 4), ([Any(3)], [4]), ({"x": (Any(3),)}, {"x": (4,)})])
def test_a_subclass_arrives_as_what_it_extends(value, wrong):
    assert value == wrong
    assert sent(value) != wrong
    assert repr(sent(value)) == repr(value)


def test_an_object_that_stays_equals_nothing_else():
    held = unpack({"object": 0}, lambda number: Held(None, number))
    assert all(held != other for other in (0, None, True, [], Held(None, 0)))


@pytest.mark.skipif(bool(missing_protections()), reason="; ".join(missing_protections()))
def test_tests_may_use_objects_that_stay_with_the_program():
    solution = """
import sys
class Node:
    def __init__(self, value): self.value, self.next = value, None
def values(node):
    while node: yield node.value; node = node.next
def root(z): return z ** 0.5
"""
    tests = """
node = Node((1, b"x"))
node.next = Node({2: {3.5}})
node.next.next = Node(int)
assert node.next.next.value is int and sys
assert list(values(node)) == [(1, b"x"), {2: {3.5}}, int]
assert values(node) != [(1, b"x"), {2: {3.5}}, int] and node != node.next
assert abs(root(z=-4) - 2j) < 1e-9
"""
    problem = Problem("nodes", '"""Linked lists."""\n', solution, tests, "values", MODULE_STOPS, ("Node", "root"))
    assert check(problem, problem.answer, Limits(wall_seconds=60, cpu_seconds=30)).reason == ""
