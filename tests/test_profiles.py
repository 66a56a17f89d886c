"""The chapters: a module, a notebook and a block in each profile for each; what a notebook holds, and what the front page says."""

import ast
import importlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from ditune import notebooks, study
from ditune.chapters import index, number_of_rules
from ditune.rewriting.specs import ModelSpec, TaskSpec
from ditune.store import checks, records
from ditune.store.kinds import kind_of

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb") if notebooks.of_study(path.stem))
CHAPTERS = [stem for stem in NOTEBOOKS if stem[0].isdigit()]
BOOK = FOLDER.parent / "book"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in BOOK.glob("*.md")}
MOST_WORDS, MOST_OF_A_CAPTION = 700, 60


def cells(stem: str) -> list[dict]:
    return json.loads((FOLDER / f"{stem}.ipynb").read_text(encoding="utf-8"))["cells"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def words(text: str) -> int:
    return len(re.findall(r"[^\W_]+(?:[’'-][^\W_]+)*", text))


@pytest.mark.parametrize("stem", CHAPTERS)
def test_a_notebook_has_a_module_and_starts_with_its_question_its_parameters_and_its_chapter(stem):
    title, parameters, chapter, *_ = cells(stem)
    assert importlib.import_module(f"ditune.chapters.{stem[3:]}").runs
    assert title["cell_type"] == "markdown" and source(title).startswith("# ")
    assert "parameters" in parameters["metadata"]["tags"]
    opened = "study.chapters(profile)" if stem == "17_cost" else f'study.chapter("{stem}", globals())'
    assert opened in source(chapter) and len(chapter["source"]) <= 8


@pytest.mark.parametrize("profile", ["smoke", "paper"])
def test_a_profile_sets_every_parameter_of_every_notebook_and_is_valid(profile):
    assert notebooks.profile_parameters(profile).keys() == set(NOTEBOOKS)
    for planned in notebooks.plan([], profile):
        assert planned.parameters == notebooks.profile_parameters(profile)[planned.stem]


def test_the_study_is_the_notebooks_own_parameters_and_is_recorded():
    assert all(planned.changed == {} for planned in notebooks.plan([], "study"))
    assert {planned.stem: study.missing(planned.specs) for planned in notebooks.plan([], "study")} == dict.fromkeys(NOTEBOOKS, [])


def test_results_hold_the_study_and_what_a_gpu_recorded_and_nothing_else():
    specs = [spec for profile in ("study", "paper") for planned in notebooks.plan([], profile) for spec in planned.specs]
    needed = [needed for spec in specs for needed in kind_of(spec).needs(spec)]
    assert {path.stem for path in records.results().glob("*.json")} <= {spec.key for spec in specs + needed}


def test_every_recorded_run_has_a_cell_of_runs_that_differ_in_seeds_alone():
    for planned in notebooks.plan([], "study"):
        cells = Counter(map(checks.cell_of, planned.specs))
        assert sum(cells.values()) == len(planned.specs) and (max(cells.values(), default=1) > 1 or len(planned.specs) <= 1)


def test_the_profile_paper_has_the_papers_sizes_and_grid():
    (planned,) = notebooks.plan(["02_number_of_rules"], "paper")
    grid = planned.parameters["n_rules"]
    assert grid == list(number_of_rules.PAPER_CURVE) and len(planned.specs) == len(grid) * planned.parameters["n_seeds"]
    for run in planned.specs:
        assert run.task == TaskSpec(n_rules=run.task.n_rules) and run.model == ModelSpec() and run.train.optimizer == "adamw"


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_notebooks_are_stripped_short_and_have_stable_ids(stem):
    found = cells(stem)
    assert len({cell["id"] for cell in found}) == len(found) < 20
    assert not any(re.fullmatch("[0-9a-f]{8}", cell["id"]) for cell in found), "ids have names"
    code = [cell for cell in found if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert sum("parameters" in cell["metadata"].get("tags", []) for cell in code) == 1
    trees = [ast.parse(source(cell)) for cell in code]
    assert not any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for tree in trees for node in ast.walk(tree))
    prose = " ".join(source(cell) for cell in found if cell["cell_type"] == "markdown")
    unfolded = re.sub(r":::+ *\{dropdown\}.*?\n:::+", "", prose, flags=re.DOTALL)
    assert words(unfolded) <= MOST_WORDS


@pytest.mark.parametrize("stem", CHAPTERS)
def test_every_figure_has_a_name_a_short_caption_and_a_text_for_those_who_do_not_see_it(stem):
    for cell in cells(stem):
        if cell["cell_type"] == "code" and "figure = " in source(cell):
            options = cell["metadata"]["mystnb"]
            assert options["figure"]["name"].startswith("fig-") and len(options["image"]["alt"]) > 40
            assert 8 <= words(options["figure"]["caption"]) <= MOST_OF_A_CAPTION


def test_the_board_of_the_front_page_has_every_statement_once():
    chapters = study.chapters("study")
    board = index.board(chapters)
    claims = [claim.id for chapter in chapters for claim in getattr(chapter.module, "CLAIMS", ())]
    assert sorted(re.findall(r"^\| \*\*(\w+)\*\* \|", board, flags=re.MULTILINE)) == sorted(claims) and len(set(claims)) == len(claims)


def test_the_time_of_a_notebook_is_that_of_its_records():
    (planned,) = notebooks.plan(["02_number_of_rules"], "study", [("n_rules", "[10, 50]")])
    seconds = study.expected(planned, False, "none", 1)
    assert len(study.missing(planned.specs)) == planned.parameters["n_seeds"] and 10 < seconds < 1000
    assert study.expected(planned, False, "none", 100) < seconds
