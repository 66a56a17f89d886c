"""What the notebooks print with profile smoke: the text of their outputs, with every number masked, is that of tests/golden.

After `ditune run --profile smoke`: `pytest -m book tests/test_book.py`. Where a page is meant to say something else now,
`RENEW=1 pytest -m book tests/test_book.py` writes the files anew; read what `git diff tests/golden` shows.
"""

import json
import os
import re
from pathlib import Path

import pytest

from ditune import notebooks

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests/golden"
NUMBER = re.compile(r"(?<![A-Za-z_\d])[-−+]?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?|\binf\b|∞")
NAMES = [stem for stem in notebooks.stems() if notebooks.of_study(stem)]


def texts(cell: dict):
    """The Markdown and the plain text of a cell's outputs; nothing of figures, of HTML, and of how far this machine agrees."""
    for output in cell.get("outputs", ()):
        data = output.get("data", {"text/plain": output.get("text", "")})
        if not any(kind.startswith("image/") for kind in data):
            text = "".join(data.get("text/markdown", data.get("text/plain", "")))
            yield "" if "omputed again here" in text else text.strip()


def printed(path: Path) -> str:
    """What an executed notebook prints, numbers as #; commits, machines and times of day are those of this run."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n\n".join(text for cell in cells for text in texts(cell) if text)
    return NUMBER.sub("#", re.sub(r"\b[0-9a-f]{9,40}\b(\+changes)?", "COMMIT", text)) + "\n"


@pytest.mark.book
@pytest.mark.parametrize("name", NAMES)
def test_a_page_prints_its_golden_text(name):
    copy = notebooks.executed(name)
    assert copy.exists(), "run `ditune run --profile smoke` first"
    golden = GOLDEN / f"{name}.md"
    if os.environ.get("RENEW"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(printed(copy), encoding="utf-8")
    assert printed(copy) == golden.read_text(encoding="utf-8"), "if this is meant: RENEW=1 pytest -m book tests/test_book.py"
