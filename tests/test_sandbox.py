"""What a program in the sandbox cannot do and what it may take; and that nothing runs where the sandbox does not hold."""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hostile import ALLOWED_OUTSIDE, DAEMON, ENDED, PRELUDE, REFUSED, STATUSES

from ditune.sandbox import programs
from ditune.sandbox.jail import OVERTIME
from ditune.sandbox.programs import LAUNCHER, PROTECTIONS, Limits, SandboxError, missing_protections, run, started

MISSING = missing_protections()
needs_kernel = pytest.mark.skipif(bool(MISSING), reason="; ".join(MISSING))
SMALL = Limits(wall_seconds=4, cpu_seconds=1, memory_mb=128, processes=6)

@pytest.fixture(scope="module")
def outcomes():
    """All programs above, several at a time."""
    programs = REFUSED | ENDED
    with ThreadPoolExecutor(6) as pool:
        done = pool.map(lambda program: run(PRELUDE + program, SMALL), programs.values())
        return dict(zip(programs, done))


@needs_kernel
@pytest.mark.parametrize("name", REFUSED)
def test_every_attempt_is_refused(name, outcomes):
    assert set(outcomes[name].output.split()) == {"refused"}, outcomes[name]


def test_the_same_attempts_succeed_in_an_ordinary_process(tmp_path):
    program = PRELUDE + "\n".join(ALLOWED_OUTSIDE.values())
    plain = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert set(plain.stdout.split()) == {"done"}, plain


@needs_kernel
@pytest.mark.parametrize("name", ENDED)
def test_a_program_that_misbehaves_ends_in_time(name, outcomes):
    outcome = outcomes[name]
    assert outcome.status in STATUSES[name], outcome
    assert outcome.overtime == (outcome.status == OVERTIME)
    assert outcome.seconds < SMALL.wall_seconds + 3
    assert len(outcome.output) <= SMALL.file_mb << 20


@needs_kernel
def test_an_innocent_program_has_a_folder_the_standard_library_and_nothing_else():
    program = """
    import concurrent.futures, decimal, hashlib, json, os, re, sqlite3, subprocess, sys, tempfile, threading
    def is_open(n):
        try: return os.fstat(n) is not None
        except OSError: return False
    files = [n for n in range(1000) if is_open(n)]
    pool = concurrent.futures.ThreadPoolExecutor(2)
    with tempfile.TemporaryFile("w+") as file:
        file.write("written")
        file.seek(0)
        print(json.dumps([sys.stdin.read(), files, sorted(os.listdir()), set(os.environ) <= {"LC_CTYPE"}, sys.argv, file.read(), *pool.map(abs, [-1, 2])]), flush=True)
    print("error", file=sys.stderr)
    sys.exit(3)
    """
    outcome = run("if True:" + program, SMALL)
    assert (outcome.status, outcome.overtime) == (3, False)
    assert outcome.output == '["", [0, 1, 2], ["main.py"], true, ["main.py"], "written", 1, 2]\nerror\n'


def processes(mark: str) -> list[int]:
    """Numbers of the processes of this machine that were started with an argument."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [int(path.parent.name)] * (mark.encode() in path.read_bytes().split(b"\0"))
        except OSError:
            continue  # it has just ended
    return found


def until(condition, seconds=60.0):
    """Wait for a condition, on a busy machine too, and say whether it came."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


@needs_kernel
def test_no_process_outlives_its_program():
    with started({"main.py": DAEMON}, ["mark-of-exit", "0"]) as program:
        assert program.wait().status == 0
        assert processes("mark-of-exit") == []


@needs_kernel
def test_no_process_outlives_the_block_that_started_it():
    with started({"main.py": DAEMON}, ["mark-of-block", "99"]):
        assert until(lambda: len(processes("mark-of-block")) == 2)
    assert processes("mark-of-block") == []


@needs_kernel
def test_no_process_outlives_who_started_it(tmp_path):
    mark = f"mark-of-{tmp_path.name}"
    caller = f"from ditune.sandbox.programs import started\nwith started({{'main.py': {DAEMON!r}}}, [{mark!r}, '99']) as p: p.wait()"
    caller = subprocess.Popen([sys.executable, "-c", caller])
    assert until(lambda: len(processes(mark)) == 2)
    caller.kill()
    caller.wait()
    assert until(lambda: processes(mark) == [])


def missing_after(old, new, monkeypatch, tmp_path):
    """What is missing with a launcher of which a piece of source is replaced."""
    text = LAUNCHER.read_text()
    assert old in text
    tmp_path.chmod(0o755)
    (tmp_path / "jail.py").write_text(text.replace(old, new))
    monkeypatch.setattr(programs, "LAUNCHER", tmp_path / "jail.py")
    return missing_protections.__wrapped__()


@pytest.mark.parametrize("name", PROTECTIONS)
def test_nothing_is_started_where_a_protection_is_missing(name, monkeypatch):
    monkeypatch.setattr(programs, "missing_protections", lambda: (f"{name}: not certain",))
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(SandboxError, match=f"not run here, for it would be unprotected: {name}: not certain"):
        run("print(1)")


@needs_kernel
@pytest.mark.parametrize("name, old, new", [
    ("network", '"socket": (', '"socket": (9999 + '),
    ("files", 'kernel("mount", None, b"/", None, REMOUNT', 'os.chmod("/", 0o777)  # '),
    ("home", 'in job["library"]:', 'in [*job["library"], os.path.dirname(__file__)]:'),
    ("rights", "if os.geteuid() == 0:", "if False:"),
    ("processes", " | NEW_PROCESSES |", " |"),
])
def test_the_probe_sees_what_is_missing(name, old, new, monkeypatch, tmp_path):
    if name == "rights" and os.geteuid() != 0:
        pytest.skip("only root has rights to give up")
    assert f"{name}: not certain that {PROTECTIONS[name]}" in missing_after(old, new, monkeypatch, tmp_path)


@needs_kernel
@pytest.mark.parametrize("old, new, error", [
    ('kernel("unshare", new', 'kernel("unshare", 1 << 20 | new', "OSError: .* unshare: Invalid argument"),
    ('kernel("pivot_root", b"/tmp"', 'kernel("pivot_root", b"/usr"', "OSError: .* pivot_root: .*"),
    ("if machine not in MACHINES", "if machine in MACHINES", "OSError: .* no filter of system calls for"),
    ("os.execve(", "os.execve(FOLDER + ", "FileNotFoundError: .*"),
])
def test_a_step_that_the_kernel_refuses_is_named(old, new, error, monkeypatch, tmp_path):
    (missing,) = missing_after(old, new, monkeypatch, tmp_path)
    assert re.match(f"the sandbox did not start: {error}", missing)
