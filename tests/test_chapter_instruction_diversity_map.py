"""Chapter 14: the map, its measures, its figures and tables."""

import numpy as np
import pandas as pd
import pytest
from made_up import MADE, chapter, svg, texts

from ditune.chapters import instruction_diversity_map as here
from ditune.language import instruction_map
from ditune.language.specs import InstructionMapSpec
from ditune.specs import SpecError
from ditune.store import records


@pytest.fixture
def made(monkeypatch, tmp_path):
    """The chapter of a small map of sets that need no data."""
    monkeypatch.delenv("DITUNE_DATA", raising=False)
    monkeypatch.setenv("DITUNE_HOME", str(tmp_path))
    spec = InstructionMapSpec(sets=("made_general", "made_reasoning", "humaneval"), n_texts=20, n_draws=5, embedding="tiny")
    record = records.make(spec, instruction_map.map_run(spec, tmp_path / "none"))
    found = records.Record(spec, "fresh", tmp_path / "none", record)
    return chapter(pd.DataFrame([{"key": spec.key, "seed": 0} | MADE]), records=[found], specs=[spec])


def test_the_map_shows_all_texts_and_sets(made):
    result = here.result(made)
    assert result["n_drawn"] == 10 and all(1 <= low <= mean <= high <= 10 for mean, low, high in (known["vendi"] for known in result["metrics"].values()))
    assert {name: len(places) for name, places in result["places"].items()} == dict.fromkeys(made.specs[0].sets, 20)
    figures = here.figure_map(made), here.figure_sets(made)
    assert sum(len(points.get_offsets()) for points in figures[0].axes[0].collections) == 60
    assert all(name in texts(figure) for figure in figures for name in made.specs[0].sets)
    assert svg(figures[0]) == svg(here.figure_map(made)) and svg(figures[1]) == svg(here.figure_sets(made))


def test_where_no_two_sets_share_a_domain_the_page_says_so(made):
    assert here.answer(made) == "**No two sets share a domain here.**" and here.table_mixtures(made) == ""
    assert here.table_sets(made).count("| – |") == 3


def test_the_answer_counts_the_sets_and_names_the_mixture(made):
    result = here.result(made)
    for known, near in zip(result["metrics"].values(), (0.9, 0.2, 0.6)):
        known |= {"near": near, "chance": 0.4}
    result["mixtures"] = {"code": "a", "general": "b", "n": 5, "scores": [[0.0, 5.0, 4.0, 6.0], [0.1, 7.0, 6.5, 7.5]]}
    text = here.answer(made)
    assert text.startswith("**In 2 of 3 sets") and "(20 to 90 % of the texts)" in text and "from 5.0 [4.0, 6.0] to 7.0 [6.5, 7.5]" in text
    assert "| 10 % | 7.0 [6.5, 7.5] |" in here.table_mixtures(made)


def test_neighbours_are_sought_in_other_sets_and_chance_is_their_share():
    x, y = np.eye(4, dtype=np.float32)[[0, 0]], np.eye(4, dtype=np.float32)[[1, 1]]
    found = instruction_map.neighbours({"stdlib": x, "humaneval": x, "made_general": y})
    assert found == {"stdlib": (1.0, 0.5), "humaneval": (1.0, 0.5), "made_general": (None, None)}


def test_a_mixture_of_two_unlike_sets_is_more_diverse_than_either():
    code, general = (np.repeat(np.eye(8, dtype=np.float32)[rows], 5, axis=0) for rows in ([0, 1], [2, 3]))
    mixed = instruction_map.of_mixtures({"stdlib": code, "made_general": general}, 20, 0)
    scores = {share: mean for share, mean, _, _ in mixed["scores"]}
    assert mixed["n"] == 5 and scores[0.5] > scores[0.0] and scores[0.0] <= 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sets": ["stdlib"]}, "InstructionMapSpec.sets = ('stdlib',); allowed: two different sets or more"),
        ({"sets": ["stdlib", "alpca"]}, "unknown set 'alpca'; did you mean 'alpaca'"),
        ({"embedding": "minilm2"}, "unknown embedding 'minilm2'; did you mean 'minilm'"),
        ({"n_texts": 3}, "InstructionMapSpec.n_texts = 3; allowed: 4 to 1000000"),
    ],
)
def test_an_impossible_map_is_refused(changes, message):
    own = {"sets": [], "n_texts": 10, "n_draws": 5, "embedding": "tiny", "seed": 0}
    with pytest.raises(SpecError) as caught:
        here.runs(**own | changes)
    assert str(caught.value).startswith(message)


def test_without_names_all_sets_that_are_here_are_shown(monkeypatch):
    monkeypatch.delenv("DITUNE_DATA", raising=False)
    (spec,) = here.runs([], 10, 5, "tiny", 0)
    assert spec.sets == ("stdlib", "made_general", "made_reasoning", "humaneval")
