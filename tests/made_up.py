"""Made-up tables of runs for the tests of chapters, and what their figures show."""

import io
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot
import pandas as pd

from ditune.report import plots
from ditune.rewriting.specs import RunSpec
from ditune.store.records import columns

matplotlib.use("svg")
plots.use_style()

SIZE = {n: v for n, v in columns(RunSpec()).items() if n not in ("n_rules", "seed")} | {"n_examples": 50_000}
MADE = {"device": "a CPU", "commit": "1a2b3c4d5", "state": "fresh"}
NOISE = (0.0, -0.01, 0.01, 0.02, -0.02, 0.0, 0.01, -0.01)


def table(unseen: dict, seen=0.97, seeds: int = 6, **more) -> pd.DataFrame:
    """Runs as `records.frame` has them: accuracy on unseen rules by number of rules, that on seen ones for all or by
    number of rules. Seeds differ by up to 0.02 where the accuracy is neither 0 nor 1. more: further columns."""
    rows = []
    for n_rules, value in unseen.items():
        for seed in range(seeds):
            own = seen[n_rules] if isinstance(seen, dict) else seen
            key = "-".join(map(str, (n_rules, seed, *more.values())))
            for name, mean in (("unseen", value), ("seen", own)):
                found = min(max(mean + NOISE[seed] * (0 < mean < 1), 0.0), 1.0)
                rows.append({"key": key, "n_rules": n_rules, "seed": seed, "eval": name, "exact_match": found})
    return pd.DataFrame(rows).assign(**SIZE | MADE | {n: [v] * len(rows) for n, v in more.items()})


def chapter(frame: pd.DataFrame, again=(), **more) -> SimpleNamespace:
    """What figures and answers need of a chapter."""
    return SimpleNamespace(frame=frame, again=list(again), name="00_made_up", **more)


def svg(figure) -> bytes:
    """A figure as it is written; it is closed."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    matplotlib.pyplot.close(figure)
    return file.getvalue()


def texts(figure) -> str:
    """All that is written in a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def marks(ax, axis: str = "y") -> list[float]:
    """The values of the open marks of seeds, sorted; without the rings."""
    lines = [line for line in ax.lines if line.get_linestyle() == "None" and line.get_markerfacecolor() == "white"]
    return sorted(float(v) for line in lines for v in (line.get_ydata() if axis == "y" else line.get_xdata()))
