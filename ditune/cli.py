"""The command line: `ditune run`, `compute`, `params`, `book`, `status`, `bench`.

Nothing heavy is imported until something runs, so a mistake is reported at once: one line, exit code 2. A run or a
notebook that fails gives exit code 1, a time limit that was reached 3.
"""

import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import click

from . import __version__
from .specs import SpecError

FAILED, MISTAKE, TIME_UP, INTERRUPTED = 1, 2, 3, 130

PROFILE = "A file in notebooks/profiles, without .yaml."
PARAMETER = "A parameter of the notebooks; the value in YAML, of a mapping the keys to change. May be repeated."
JOBS = "Processes at the same time."
LIMIT = "Stop then; the same command goes on from there."
FORCE = "Compute and execute again what is there."
CHECK = "Which recorded runs are computed again here and compared: none, a sample, a part that the date names, all."

profile_option = click.option("--profile", default="study", show_default=True, help=PROFILE)
parameter_option = click.option("-p", "--parameter", nargs=2, multiple=True, metavar="NAME VALUE", help=PARAMETER)
jobs_option = click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help=JOBS)
force_option = click.option("--force", is_flag=True, help=FORCE)


def main():
    """The entry point: errors as one line, no traceback for what is not a fault of the program."""
    warnings.formatwarning = lambda message, *where: f"ditune: {message}\n"
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores the latter
            signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(app(prog_name="ditune", standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(MISTAKE)
    except click.ClickException as error:
        quit_with(error.format_message(), error.exit_code)
    except SpecError as error:
        quit_with(error, MISTAKE)
    except OSError as error:
        quit_with(f"{error.filename}: {error.strerror}" if error.filename else error, FAILED)
    except (click.Abort, KeyboardInterrupt):
        quit_with("interrupted; what was computed is kept, and the same command goes on from there", INTERRUPTED)


def quit_with(message, code: int):
    """End with a message on the standard error."""
    click.echo(f"ditune: {message}", err=True)
    sys.exit(code)


def not_nan(context, option, value: float) -> float:
    """The value of an option, which may be infinite; nan, which a FloatRange lets pass, is refused."""
    if value != value:
        raise click.BadParameter("nan is not a number of minutes.")
    return value


@click.group()
@click.version_option(__version__)
def app():
    """Re-execute the study: its runs, its notebooks, its book."""


@app.command()
@click.argument("notebook", nargs=-1)
@profile_option
@parameter_option
@jobs_option
@force_option
@click.option(
    "--check", default="sample", show_default=True, type=click.Choice(["none", "sample", "night", "all"]), help=CHECK
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def run(notebook, profile, parameter, jobs, force, check, dry_run) -> int:
    """Execute the notebooks (all, if none is named) into book/notebooks/; what is not recorded is computed first.

    A notebook is named by its file name or the beginning of it, such as 02. Of what is recorded a sample is computed
    again, and the pages say how far it agrees. Notebooks of which nothing changed are not executed again.
    """
    from . import notebooks

    plans = notebooks.plan(list(notebook), profile, parameter)
    from . import study

    if dry_run:
        costs(plans)
        copies = ["current" if notebooks.is_current(planned) and not force else "to execute" for planned in plans]
        times = [duration(study.expected(planned, force, check, jobs)) for planned in plans]
        rows = zip(plans, copies, times)
        print_table([state_row(planned, profile) | {"copy": copy, "time": time} for planned, copy, time in rows])
        return 0
    from .store import checks

    costs([planned for planned in plans if force or study.missing(planned.specs)])
    failed = False
    for stem, outcome, error in study.run_notebooks(plans, profile, jobs, force, check):
        failed |= outcome == "failed"
        click.echo(f"{stem}: {outcome}{': ' * bool(error)}{plain(error)}", err=outcome == "failed")
    if done := study.checks_of(plans):
        click.echo(checks.in_words(done, sum(len(planned.specs) for planned in plans)).replace("**", ""))
    return FAILED if failed else 0


@app.command()
@click.argument("notebook")
@profile_option
@parameter_option
@jobs_option
@force_option
@click.option("--limit-minutes", default=float("inf"), type=click.FloatRange(0), callback=not_nan, help=LIMIT)
@click.option("--promote", is_flag=True, help="Copy the records to results/, to be committed.")
@click.option("--client", metavar="ADDRESS", help="Compute on the workers of this Dask scheduler.")
@click.pass_context
def compute(context, notebook, profile, parameter, jobs, force, limit_minutes, promote, client) -> int:
    """Compute and record the runs of a notebook, without Jupyter.

    In place of a notebook it takes the key of a record, to compute that run again.
    """
    from . import active, language, notebooks, study  # noqa: F401  all kinds of runs are known then
    from .store import records

    if re.fullmatch("[0-9a-f]{16}", notebook):
        if parameter or context.get_parameter_source("profile") is not click.core.ParameterSource.DEFAULT:
            raise click.UsageError("the key of a record takes no --profile and no -p: the record says what to compute")
        specs = [records.spec_of_key(notebook)]
    else:
        (planned,) = notebooks.plan([notebook], profile, parameter)
        specs = planned.specs
        costs([planned] if force or study.stale(specs) else [])
    code = 0
    try:
        study.compute(specs if force else study.stale(specs), jobs, notebook, force, client, limit_minutes)
    except study.RunsFailed as error:
        click.echo(f"ditune: {error}", err=True)
        code = FAILED
    fresh = sum(records.find_fresh(spec) is not None for spec in specs)
    click.echo(f"{fresh} of {len(specs)} runs recorded")
    if promote:
        click.echo(f"{len(records.promote(specs))} records copied to {records.results()}")
    return code or (TIME_UP if fresh < len(specs) else 0)


@app.command()
@click.argument("notebook")
def params(notebook) -> int:
    """The parameters of a notebook: name, type, default, meaning; of a mapping the fields that it may hold."""
    from . import parameters

    for title, rows in parameters.of_notebook(notebook).items():
        click.echo(f"\n{title}" if title else "", nl=bool(title))
        print_table([row._asdict() for row in rows])
    return 0


@app.command()
@force_option
def book(force) -> int:
    """Build the book from the executed notebooks, unless nothing has changed since; a warning is an error."""
    from . import notebooks
    from .store import records

    index, built = records.root() / "_build" / "html" / "index.html", records.root() / "_build" / "built"
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    if not jupyter_book.exists():
        quit_with("jupyter-book is not installed in the environment of this Python", FAILED)
    now = notebooks.book_fingerprint()
    if force or not index.exists() or not built.exists() or built.read_text() != now:
        built.unlink(missing_ok=True)
        command = [str(jupyter_book), "build", "book", "--all", "-W", "-n", "--keep-going"]
        environment = os.environ | {"SOURCE_DATE_EPOCH": "0"}
        if subprocess.run(command, cwd=records.root(), env=environment).returncode:
            return FAILED
        records.write(built, now)
    click.echo(index)
    return 0


@app.command()
def status() -> int:
    """How many runs of each notebook and profile are computed, stale, failed or missing, and where."""
    from . import notebooks

    profiles = notebooks.profiles()
    rows = [
        state_row(planned, profile) for profile in profiles for planned in notebooks.plan([], profile) if planned.specs
    ]
    print_table(sorted(rows, key=lambda row: row["notebook"]))
    return 0


@app.command()
@click.argument("name", nargs=-1)
@click.option("--quick", is_flag=True, help="Tiny sizes, to see that it works; the figures mean nothing.")
def bench(name, quick) -> int:
    """Measure speed side by side with other programs, on one core, and write results/benchmarks/.

    Without a NAME all benchmarks run, in about 13 minutes: generator, training, evaluation, uncertainty, packs,
    generalise, gpu.
    """
    from .report import bench

    names = bench.choose(list(name))
    from tqdm import tqdm

    with tqdm(names, unit="benchmark", bar_format="{desc} {n_fmt}/{total_fmt} [{elapsed}]") as bar:

        def show(now):
            bar.set_description(now)
            bar.n = names.index(now)
            bar.refresh()

        path, content = bench.run(names, quick, show)
    print_table(bench.printed(content, names))
    of_now = {n: content["benchmarks"][n] for n in names}
    for n, made in of_now.items():
        if made["skipped"] or made["error"]:
            click.echo(f"{n}: {made['skipped'] or 'failed: ' + made['error'].strip().splitlines()[-1]}", err=True)
    click.echo(path)
    return FAILED if any(made["error"] for made in of_now.values()) else 0


def costs(plans) -> None:
    """What runs will cost, where a notebook can say it before they start."""
    from . import notebooks

    for planned in plans:
        if estimated := getattr(notebooks.module_of(planned.stem), "estimated", None):
            click.echo(f"{planned.stem}: {estimated(planned.specs)}")


def duration(seconds: float) -> str:
    """A time in short.

    >>> duration(0), duration(8), duration(500), duration(9000)
    ('-', '8 s', '8 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds else "-"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def state_row(planned, profile: str) -> dict:
    """The states of the runs of a notebook, counted."""
    from .store import records

    found = [records.find(spec) for spec in planned.specs]
    states = ["missing" if record is None else record.state for record in found]
    for i, spec in enumerate(planned.specs):
        if states[i] == "stale" and records.failure(spec):
            states[i] = "failed"
    names = {"computed": "fresh", "stale": "stale", "failed": "failed", "missing": "missing"}
    counts = {name: states.count(state) for name, state in names.items()}
    places = [record.path.parent for record in found if record]
    where = {"local": places.count(records.local()), "in results": places.count(records.results())}
    return {"notebook": planned.stem, "profile": profile, "runs": len(states)} | counts | where


def print_table(rows: list[dict]):
    """Rows with the same keys as aligned text."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)] if rows else []
    widths = [max(len(str(cell)) for cell in column) for column in zip(*lines)]
    for line in lines:
        click.echo("  ".join(str(cell).ljust(width) for cell, width in zip(line, widths)).rstrip())


def plain(text: str) -> str:
    """Text without the colour codes of a traceback."""
    return click.unstyle(text)
