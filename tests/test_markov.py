"""Laws of the Markov interpreter; the plain reference for each stands beside it."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ditune.rewriting.markov import PROGRAMS, MarkovAlgorithm, Rule, StepLimitError, occurrences, rewrite

SHORT = st.text("ab", max_size=3)
WORDS = st.text("ab", max_size=12)
RULES = st.builds(Rule, SHORT, SHORT, st.booleans())
ALGORITHMS = st.lists(RULES, max_size=5).map(tuple).map(MarkovAlgorithm)
# The characters that mean something in the notation, white space, a line break that is not '\n', and two letters.
AWKWARD = st.text("ab.#-> \t\n\u2028", max_size=5)


def matches(z, x):
    """Every position of x in z, overlaps included, by comparing slices."""
    return [i for i in range(len(z) - len(x) + 1) if z[i:i + len(x)] == x]


def apart(z, x):
    """The matches taken greedily from the left so that none overlaps the one before."""
    taken = []
    for i in matches(z, x):
        if not taken or i >= taken[-1] + len(x):
            taken.append(i)
    return taken


def put(z, x, y, i):
    return z[:i] + y + z[i + len(x):]


def parse(*lines, **variables):
    return MarkovAlgorithm.parse("\n".join(lines), **variables)


@given(WORDS, SHORT, SHORT)
def test_rewrite_first_and_last_take_the_outermost_match_overlaps_included(z, x, y):
    found = matches(z, x)
    assert rewrite(z, x, y) == rewrite(z, x, y, "first") == (put(z, x, y, found[0]) if found else z)
    assert rewrite(z, x, y, "last") == (put(z, x, y, found[-1]) if found else z)


@given(WORDS, SHORT, SHORT, st.integers(1, 6))
def test_rewrite_kth_counts_matches_apart_and_leaves_the_word_where_there_are_fewer(z, x, y, k):
    found = apart(z, x)
    assert list(occurrences(z, x)) == found
    assert rewrite(z, x, y, k) == (put(z, x, y, found[k - 1]) if k <= len(found) else z)


@given(WORDS, SHORT, SHORT)
def test_rewrite_all_replaces_every_match_apart(z, x, y):
    expected = z
    for i in reversed(apart(z, x)):
        expected = put(expected, x, y, i)
    assert rewrite(z, x, y, "all") == expected


@pytest.mark.parametrize("which", [0, -1, True, 1.0, "second", None])
def test_rewrite_refuses_any_other_occurrence_in_one_line(which):
    with pytest.raises(ValueError, match="^which = .* allowed are 'first', 'last', 'all' or an int from 1$"):
        rewrite("aa", "a", "b", which)


@given(ALGORITHMS, WORDS)
def test_leftmost_occurrence_of_first_applicable_rule_is_rewritten(algorithm, word):
    options = [(n, i) for n, rule in enumerate(algorithm.rules) for i in matches(word, rule.x)]
    step = algorithm.step(word)
    if not options:
        assert step is None
    else:
        n, i = min(options)
        rule = algorithm.rules[n]
        assert (step.before, step.rule, step.position, step.after) == (word, n, i, put(word, rule.x, rule.y, i))


@given(ALGORITHMS, WORDS)
def test_a_run_is_its_steps_in_a_chain_up_to_the_halt(algorithm, word):
    try:
        trace = algorithm.run(word, max_steps=40)
    except StepLimitError:
        assume(False)
    here = word
    for i, step in enumerate(trace.steps):
        assert step == algorithm.step(here)
        assert algorithm.rules[step.rule].stop == (trace.halted == "stopped" and i == len(trace.steps) - 1)
        here = step.after
    assert trace.word == word and trace.output == here
    assert trace.halted == "stopped" or (trace.halted == "blocked" and algorithm.step(here) is None)


@given(ALGORITHMS, WORDS, st.integers(0, 8))
def test_steps_gives_the_word_after_n_steps_or_at_the_halt(algorithm, word, n):
    here = word
    for _ in range(n):
        step = algorithm.step(here)
        if step is None:
            break
        here = step.after
        if algorithm.rules[step.rule].stop:
            break
    assert algorithm.steps(word, n) == here


@pytest.mark.parametrize("rule", ["a -> b", "c -> .d"])
def test_exactly_max_steps_are_allowed_and_one_more_is_an_error(rule):
    algorithm = parse("a -> b", rule)
    word = "aaa" if rule == "a -> b" else "aac"
    assert len(algorithm.run(word, max_steps=3).steps) == 3
    with pytest.raises(StepLimitError, match=f"^no halt within 2 steps from '{word}'$"):
        algorithm.run(word, max_steps=2)
    with pytest.raises(StepLimitError, match="10000"):
        parse("a -> a").run("a")


@pytest.mark.parametrize("count", [-1, 1.5, True, None])
def test_a_wrong_number_of_steps_is_refused(count):
    with pytest.raises(ValueError, match="^max_steps = .* allowed is an int from 0$"):
        parse("a -> b").run("a", count)
    with pytest.raises(ValueError, match="^n = .* allowed is an int from 0$"):
        parse("a -> b").steps("a", count)


def test_a_printed_trace_marks_what_each_step_replaces_and_counts_in_line():
    assert str(parse("-> .c").run("ab")).split("\n") == ["1  []ab  rule 1: -> .c", "stopped after 1 step: 'cab'"]
    assert str(parse("").run("ab")) == "blocked after 0 steps: 'ab'"
    lines = str(parse("x ->", "ba -> ab").run("bbbbaaa")).split("\n")
    assert lines[0] == " 1  bbb[ba]aa  rule 2: ba -> ab"
    assert str(parse("ab ->").run("aabb")).split("\n")[1] == "2  [ab]    rule 1: ab ->"
    assert lines[11:] == ["12  aa[ba]bbb  rule 2: ba -> ab", "blocked after 12 steps: 'aaabbbb'"]


@given(ALGORITHMS, WORDS)
def test_a_printed_trace_without_its_brackets_is_the_chain_of_words(algorithm, word):
    try:
        trace = algorithm.run(word, max_steps=40)
    except StepLimitError:
        assume(False)
    for line, step in zip(str(trace).split("\n"), trace.steps):
        marked = line.split()[1]
        replaced = marked[marked.index("[") + 1:marked.index("]")]
        assert replaced == algorithm.rules[step.rule].x and marked.index("[") == step.position
        assert marked.replace("[", "").replace("]", "") == step.before


def can_be_written(word):
    return not set(".#\n\u2028") & set(word) and "->" not in word and word[:1] not in " \t" and word[-1:] not in " \t"


@given(st.lists(st.builds(Rule, AWKWARD, AWKWARD, st.booleans()), max_size=3))
def test_text_reads_back_as_the_same_algorithm_or_is_refused(rules):
    algorithm = MarkovAlgorithm(tuple(rules))
    bad = [n for n, rule in enumerate(rules, 1) if not all(w == "" or can_be_written(w) for w in (rule.x, rule.y))]
    if bad:
        with pytest.raises(ValueError, match=f"^line {bad[0]}: cannot write the word [^\n]*$"):
            algorithm.text()
    else:
        assert MarkovAlgorithm.parse(algorithm.text()) == algorithm


@given(st.text("ab.#-> \t\n", max_size=30))
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        algorithm = MarkovAlgorithm.parse(text)
    except ValueError as error:
        assert str(error).startswith("line ") and "\n" not in str(error)
    else:
        assert MarkovAlgorithm.parse(algorithm.text()) == algorithm


def test_notation_by_hand():
    algorithm = parse("# title", "", "aa -> b  # why", "a->.b", " -> b", "a ->", "a -> .", "a -> . b", "a b -> c", "->")
    assert algorithm.rules == (
        Rule("aa", "b"), Rule("a", "b", True), Rule("", "b"), Rule("a", ""), Rule("a", "", True), Rule("a", "b", True),
        Rule("a b", "c"), Rule("", ""),
    )


@pytest.mark.parametrize("line, part", [
    ("ab", "'ab' has no '->'"),
    ("a -> b -> c", "'b -> c'"),
    ("a.b -> c", "'a.b'"),
    ("a -> b.", "'b.'"),
    ("a -> ..b", "'.b'"),
    ("a # -> b", "'a' has no '->'"),
])
def test_a_line_that_cannot_be_read_is_named_by_its_number(line, part):
    with pytest.raises(ValueError, match="^line 3: [^\n]*$") as error:
        parse("a -> b", "# comment", line)
    assert part in str(error.value)


def test_variables_stand_for_one_rule_per_choice_in_order_of_the_letters():
    rules = parse("*xy -> yx", "x -> .", "b -> a", x="ab", y="xc").rules
    pairs = [("a", "x"), ("a", "c"), ("b", "x"), ("b", "c")]
    assert rules[:4] == tuple(Rule("*" + x + y, y + x) for x, y in pairs)
    assert rules[4:] == (Rule("a", "", True), Rule("b", "", True), Rule("b", "a"))


def test_variables_on_the_right_only_or_with_long_names_are_refused():
    with pytest.raises(ValueError, match="^line 2: variable 'y' must be on the left of 'x -> xy', not only on"):
        parse("x -> x", "x -> xy", x="ab", y="ab")
    with pytest.raises(ValueError, match="^variable 'xs': a variable is one character$"):
        parse("x -> x", xs="ab")


@pytest.mark.parametrize("rules", [[Rule("a", "b")], (Rule("a", "b"), "a -> b"), "ab"])
def test_rules_other_than_a_tuple_of_rules_are_refused(rules):
    with pytest.raises(ValueError, match="^rules must be a tuple of Rule, not "):
        MarkovAlgorithm(rules)


NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=4)
REFERENCE = {
    "append_reverse": (st.text("ab", max_size=14), lambda w: w + w[::-1]),
    "double_word": (st.text("ab", max_size=14), lambda w: w + w),
    "double_unary": (st.text("1", max_size=40), lambda w: "1" * (2 * len(w))),
    "unary_addition": (NUMBERS.map(lambda ns: "+".join("1" * n for n in ns)), lambda w: "1" * w.count("1")),
    "binary_to_unary": (st.text("01", max_size=8), lambda w: "|" * int(w or "0", 2)),
    "sort": (st.text("abc", max_size=20), lambda w: "".join(sorted(w))),
}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
@given(data=st.data())
def test_a_program_computes_what_its_description_says(name, data):
    words, reference = REFERENCE[name]
    word = data.draw(words)
    assert set(word) <= set(PROGRAMS[name].alphabet)
    assert PROGRAMS[name].algorithm.run(word).output == reference(word)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_the_example_of_a_program_is_true_and_its_text_reads_back(name):
    program = PROGRAMS[name]
    word, output = program.example
    assert program.algorithm.run(word).output == output == REFERENCE[name][1](word)
    assert set(word) <= set(program.alphabet)
    assert MarkovAlgorithm.parse(program.algorithm.text()) == program.algorithm


def test_append_reverse_goes_through_the_worked_run_of_its_schemas():
    trace = PROGRAMS["append_reverse"].algorithm.run("abb")
    assert [step.after for step in trace.steps] == [
        "αabb", "aαβabb", "aαbβab", "abαβbβab", "abαβbbβa", "abαbβbβa", "abbαβbβbβa", "abbbαβbβa", "abbbbαβa",
        "abbbbaα", "abbbba",
    ]
    assert trace.halted == "stopped"
