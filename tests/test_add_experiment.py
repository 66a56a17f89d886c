"""The page "Add an experiment" does, word for word, what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)```", re.DOTALL)


@pytest.mark.slow
def test_the_page_adds_an_experiment_that_runs(tmp_path):
    for name in ("ditune", "notebooks", "book", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    blocks = dict(BLOCK.findall((ROOT / "book/add_experiment.md").read_text(encoding="utf-8")))
    commands = blocks.pop("commands").splitlines()
    for name, text in blocks.items():
        with open(tmp_path / name, "a", encoding="utf-8") as file:
            file.write(f"\n{text}" if file.tell() else text)
    ditune = [sys.executable, "-c", "from ditune.cli import main; main()"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "DITUNE_ROOT": str(tmp_path), "DITUNE_HOME": str(tmp_path / "home")}
    printed = ""
    for command in commands:
        program, *words = command.split()
        full = [*ditune, *words, "--profile", "smoke"] if program == "ditune" else [sys.executable, *words]
        done = subprocess.run(full, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        printed += done.stdout
    assert "20_alphabet: executed" in printed and "4 of 4 runs recorded" in printed
    assert len(list((tmp_path / "results").glob("*.json"))) == 4
    pytests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_profiles.py"]
    chosen = ["-k", "20_alphabet or sets_every_parameter", f"--rootdir={tmp_path}", "-c", str(ROOT / "pyproject.toml")]
    done = subprocess.run([*pytests, *chosen], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "image/svg+xml" in (tmp_path / "book/notebooks/20_alphabet.ipynb").read_text(encoding="utf-8")
