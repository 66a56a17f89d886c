"""The promises of the files around the code: environments agree, notebooks are clean, the README tells the truth."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"torch": "pytorch", "jupyter-client": "jupyter_client"}  # where conda-forge has another name
README = (ROOT / "README.md").read_text()


def git(*arguments: str, allowed=(0,)) -> list[str]:
    """Lines that git prints; the test is skipped outside a checkout."""
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if result.returncode not in allowed:
        pytest.skip(f"not a git checkout: {result.stderr.strip()}")
    return result.stdout.splitlines()


def installed(program: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run a program of the environment that the tests run in."""
    command = [Path(sys.executable).parent / program, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def ranges(requirements) -> dict[str, str]:
    """Range by name, extras left out."""
    parsed = [Requirement(text) for text in requirements]
    return {CONDA_NAMES.get(r.name, r.name): str(r.specifier) for r in parsed}


def test_the_conda_environment_has_the_ranges_of_pyproject():
    extras = [text for group in PROJECT["optional-dependencies"].values() for text in group]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    by_pip = next(entry["pip"] for entry in environment if isinstance(entry, dict))
    conda = ranges([entry for entry in environment if isinstance(entry, str)] + by_pip)
    assert conda.pop("python") == PROJECT["requires-python"]
    assert conda.pop("pip") == ""
    assert conda == ranges(PROJECT["dependencies"] + extras)


def test_what_the_package_imports_is_declared():
    declared = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["cluster"]
    names = {Requirement(text).name.lower().replace("_", "-") for text in declared}
    imported = set()
    for path in (ROOT / "ditune").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.split(".")[0])
    installed_as = importlib.metadata.packages_distributions()
    others = {module for module in imported - set(sys.stdlib_module_names) if module in installed_as}
    assert {m for m in others if not names & {d.lower().replace("_", "-") for d in installed_as[m]}} <= {"ditune"}


def test_no_tracked_file_names_a_package_index_or_a_path_of_a_machine():
    hosts = r"pypi\.(org|python)|pythonhosted\.|download\.pytorch\.|anaconda\.(org|com)|index[-_]url|registry\.npm"
    paths = r"(?<![\w.~$}])/(work|root|Users|home)/\w"
    found = []
    for name in git("ls-files"):
        path = ROOT / name
        text = path.read_bytes().decode("utf-8", errors="ignore") if path.is_file() else ""
        for pattern in [paths] if name.startswith(".github/workflows/") else [hosts, paths]:
            found += [f"{name}: {hit.group()}" for hit in re.finditer(pattern, text, flags=re.IGNORECASE)]
    assert found == []


def test_the_pages_listed_are_the_pages_there_are():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    entries = [entry for part in toc["parts"] for entry in part["chapters"]]
    listed = {entry["file"] for entry in entries if "file" in entry} | {toc["root"]}
    assert listed == {path.stem for path in (ROOT / "book").glob("*.md")} | {toc["root"]}
    assert {"glob": "notebooks/*"} in entries and {"glob": "your_runs/*"} in entries


ROOMS = ("specs", "store", "sandbox", "rewriting", "active", "language", "report", "chapters", "notebooks", "parameters", "study", "cli")
"""The rooms of the house, from the ground up: each uses those below it alone."""


def room(parts: list[str]) -> str:
    return parts[0] if parts else "__init__"


def arrows() -> set[tuple[str, str, str]]:
    """(room, room that it imports from, file), those inside functions too."""
    found = set()
    for path in sorted((ROOT / "ditune").rglob("*.py")):
        parts = list(path.relative_to(ROOT / "ditune").with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                package = parts[: len(parts) - node.level]
                names = [node.module.split(".")] if node.module else [[alias.name] for alias in node.names]
                found |= {(room(parts), room(package + name), "/".join(parts)) for name in names}
    return {(a, b, file) for a, b, file in found if a != b and b != "__version__"}


def test_no_arrow_goes_upwards_so_that_there_is_no_circle():
    assert {(a, b, file) for a, b, file in arrows() if ROOMS.index(a) < ROOMS.index(b)} == set()


def test_no_line_is_longer_than_120_characters():
    lines = ((path, n, line) for path in (ROOT / "ditune").rglob("*.py") for n, line in enumerate(path.open(), 1))
    assert [(path.name, n) for path, n, line in lines if len(line.rstrip()) > 120 and "http" not in line] == []


def test_every_file_that_the_readme_names_exists():
    words = set(re.findall(r"[\w.-]+(?:/[\w.-]+)*/?", README))
    names = {word for word in words if re.search(r"/$|\.(py|md|ipynb|ya?ml|toml|cff|bib)$", word)}
    ignored = set(git("check-ignore", "--", *names, allowed=(0, 1)))  # what the commands make, such as _build/
    files = git("ls-files", "--cached", "--others", "--exclude-standard")  # an empty folder is not in a clone
    there = {*files, *(f"{parent}/" for file in files for parent in Path(file).parents)}
    missing = {name for name in names - ignored - there if f"ditune/{name}" not in there}
    assert missing == set()


def test_every_make_command_of_the_readme_is_a_target():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)\b", "\n".join(re.findall(r"`+[^`]+`+", README))))
    assert {"book", "test"} <= named <= targets


def test_every_ditune_command_of_the_readme_and_the_book_exists():
    text = README + "".join(path.read_text() for path in (ROOT / "book").glob("*.md"))
    named = set(re.findall(r"(?:^|`)ditune ([a-z]+)\b", text, flags=re.MULTILINE))
    assert {"run", "book", "compute", "status"} <= named
    for command in named:
        result = installed("ditune", command, "--help")
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", [
    "check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff",
    "check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/check.yml",
    "check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/nightly.yml",
    "zizmor --offline --quiet .github/workflows",
])
def test_a_linter_finds_nothing(command):
    result = installed(*command.split())
    assert result.returncode == 0, result.stdout + result.stderr
