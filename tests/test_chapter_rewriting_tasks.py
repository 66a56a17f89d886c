"""01: parameters are checked, the examples are those that models are trained on, figures draw every token and share."""

import pytest
from made_up import svg

from ditune.chapters import rewriting_tasks as here
from ditune.study import Chapter

TASK = {"x_len": 2, "y_len": 3, "z_len": 6, "n_rules": 10, "n_examples": 200}
PARAMETERS = {"seed": 0, "task": TASK, "n_examples": 300}


def made(**changes) -> Chapter:
    return Chapter("01_rewriting_tasks", here, PARAMETERS | changes, [])


def rows_of(text: str) -> dict[str, list[str]]:
    """The cells of a table by the first."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[5:-1]]
    return {first: others for first, *others in lines}


def test_it_runs_nothing():
    assert here.runs(**PARAMETERS) == []


def test_seen_and_unseen_rules_share_no_side_and_all_answers_are_right():
    found = rows_of(here.table_split(made()))
    assert found["different rules"][0] == "10" and found["x that the other set has too"] == ["0", "0"]
    assert found["y that the other set has too"] == ["0", "0"]
    assert found["answers that differ from the reference program's"] == ["0", "0"]
    assert "0 share a side with a rule of the other kind, and 0 answers differ" in here.answer(made())


@pytest.mark.parametrize("task", [{}, {"z_len": 40}, {"alphabet_size": 30}])
def test_the_figure_has_a_square_for_each_token(task):
    own = made(task=TASK | task)
    letters = here.shown(own)
    (ax,) = here.figure_examples(own).axes
    assert len(ax.patches) == sum(map(len, letters)) and "".join(t.get_text() for t in ax.texts) == "".join(letters)
    assert letters[0][:6] == letters[1][:6] != letters[2][:6]  # the same rule twice, then another
    assert svg(here.figure_examples(own)) == svg(here.figure_examples(own))
