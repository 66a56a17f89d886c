"""The sandbox: runs a Python program that nobody has read, and throws everything away afterwards.

    with started({"main.py": text}) as program: program.wait()
    run("print(1)").output == "1\\n"

A program sees the standard library, read-only, and one empty folder in memory, where it starts. It has no network,
no home folder, no /proc, no other process, no environment, no input and no rights; Limits bound the rest. When it ends,
or its time does, the kernel kills whatever it has started. How: `sandbox.jail`.

Where the kernel does not grant all of this, nothing runs: `SandboxError` names what is missing. The least that is asked
for, and tried out before the first program, is PROTECTIONS.

What a determined program could still do: use a hole in the kernel, which it shares with everything else here; read what
any user can read in the folders of system libraries; take up to `processes` cores for the wall time and up to
`processes` times `memory_mb` of memory; find out that it is in a sandbox, the version of the kernel, and how busy the
machine is.
"""

import contextlib
import functools
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..specs import Spec
from .jail import OVERTIME

LAUNCHER = Path(__file__).with_name("jail.py")
MB = 1 << 20
PROTECTIONS = {
    "network": "no socket can be made",
    "files": "nothing outside its folder can be written",
    "home": "the home folder and the files of this project cannot be read",
    "rights": "neither root nor able to become it",
    "processes": "no process of the machine can be seen",
}


class SandboxError(RuntimeError):
    """The kernel grants too little for the sandbox, or it could not start; the message is one line."""


@dataclass(frozen=True)
class Limits(Spec):
    """What one program may take. Beyond it the program gets an error, or is killed (processor and wall time)."""

    wall_seconds: float = 10.0
    """From the start of the sandbox, which itself takes a tenth of a second of a free core, to the end of all that it
    started."""
    cpu_seconds: int = 10
    """Processor time of a process."""
    memory_mb: int = 512
    """Address space of a process."""
    processes: int = 8
    """Processes and threads at a time; for an ordinary user the sandbox's own two count."""
    file_mb: int = 1
    """Longest file; the output is one."""
    folder_mb: int = 8
    """All files of the folder."""
    folder_files: int = 64
    """Files and folders in the folder."""
    open_files: int = 32
    """Open files of a process."""

    def check(self):
        for name in self.to_dict():
            self.require(getattr(self, name) > 0, name, "more than 0")

    def resources(self) -> dict[str, int]:
        """The limits that the kernel keeps a process to, by their names in the module `resource`."""
        kept = {"AS": self.memory_mb * MB, "CPU": self.cpu_seconds, "NPROC": self.processes, "NOFILE": self.open_files}
        kept |= {"FSIZE": self.file_mb * MB, "MEMLOCK": 0, "MSGQUEUE": 0}
        kept |= {"CORE": 1}  # none at all; with 0 a program of the machine may still be handed one, core(5)
        return {f"RLIMIT_{name}": value for name, value in kept.items()}


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    status: int
    """Its exit status; 128 + n where signal n ended it; OVERTIME where the wall time did."""
    output: str
    """What it wrote to its standard output and error."""
    seconds: float

    @property
    def overtime(self) -> bool:
        return self.status == OVERTIME


DEFAULT = Limits()


class Program:
    """A program in its sandbox, from its start on."""

    def __init__(self, files: Mapping[str, str], arguments: Sequence[str], limits: Limits, channel: int | None):
        self.begin, self.output, self.errors = time.monotonic(), memory_file(), memory_file()
        job = {"files": dict(files), "arguments": list(arguments), "channel": channel, "resources": limits.resources()}
        job |= {"folder_bytes": limits.folder_mb * MB, "folder_files": limits.folder_files}
        job |= {"wall_seconds": limits.wall_seconds}
        job |= {"python": interpreter(), "library": libraries(), "parent": os.getpid()}
        with memory_file(json.dumps(job)) as given:
            self.launcher = subprocess.Popen(
                [interpreter(), "-I", "-S", str(LAUNCHER)],
                stdin=given,
                stdout=self.output,
                stderr=self.errors,
                pass_fds=() if channel is None else (channel,),
                env={},
                start_new_session=True,  # Ctrl-C is for this process, which then ends the launcher itself
            )

    def wait(self) -> Outcome:
        """The end of the program, which comes with its wall time at the latest."""
        status = self.launcher.wait()
        seconds = time.monotonic() - self.begin
        if errors := contents(self.errors).strip():
            raise SandboxError(f"the sandbox did not start: {errors.splitlines()[-1]}")
        return Outcome(status, contents(self.output), seconds)

    def kill(self) -> None:
        """End it and all that it started, and wait for that."""
        with self.output, self.errors:
            self.launcher.terminate()
            self.wait()


@contextlib.contextmanager
def _started(files, arguments, limits: Limits, channel: int | None) -> Iterator[Program]:
    program = Program(files, arguments, limits, channel)
    try:
        yield program
    finally:
        program.kill()


@contextlib.contextmanager
def started(
    files: Mapping[str, str], arguments: Sequence[str] = (), limits: Limits = DEFAULT, channel: int | None = None
) -> Iterator[Program]:
    """Start `main.py` of files {name: text} with arguments; at the end of the block it is killed.

    channel is an open file that the program gets as number `jail.CHANNEL`. Raises SandboxError where the program would
    be unprotected.
    """
    if missing := missing_protections():
        raise SandboxError(f"generated code is not run here, for it would be unprotected: {'; '.join(missing)}")
    with _started(files, arguments, limits, channel) as program:
        yield program


def run(program: str, limits: Limits = DEFAULT) -> Outcome:
    """Run the text of a program to its end, or to that of its time. Raises SandboxError as `started` does."""
    with started({"main.py": program}, limits=limits) as running:
        return running.wait()


# ---- what the sandbox is made of -------------------------------------------------------------------------------------


def memory_file(text: str = "") -> io.BufferedRandom:
    """An open file that has no name and lies in memory, at its beginning."""
    file = open(os.memfd_create("sandbox"), "w+b")
    file.write(text.encode())
    file.seek(0)
    return file


def contents(file: io.BufferedRandom) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")


def interpreter() -> str:
    """The Python that this one is, not as a virtual environment names it: its own packages stay out."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def libraries() -> list[str]:
    """What the interpreter needs to start: files, folders and links."""
    prefix = os.path.realpath(sys.base_prefix)
    of_python = [interpreter(), f"{prefix}/lib", f"{prefix}/{sys.platlibdir}"]
    of_system = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"]
    return [path for path in dict.fromkeys(of_system + of_python) if os.path.lexists(path)]


# ---- whether it holds ------------------------------------------------------------------------------------------------


PROBE = """
import json, os, socket, sys
hidden, outside = map(json.loads, sys.argv[1:])

def fails(action, *arguments):
    try:
        action(*arguments)
    except OSError:
        return True
    return False

names = "AF_INET AF_INET6 AF_UNIX AF_NETLINK AF_VSOCK".split()
families = [getattr(socket, name) for name in names if hasattr(socket, name)]
print(json.dumps({
    "network": all(fails(socket.socket, family) for family in families),
    "files": all(fails(open, os.path.join(folder, "probe"), "w") for folder in outside),
    "home": not any(map(os.path.lexists, hidden)),
    "rights": 0 not in os.getresuid() and fails(os.setuid, 0) and fails(os.chroot, "."),
    "processes": os.getpid() == 2 and os.getppid() == 1,
}))
"""


@functools.cache
def missing_protections() -> tuple[str, ...]:
    """What the sandbox lacks here: a line each; found by a program of ours that tries to get out of it."""
    if sys.platform != "linux":
        return (f"the sandbox is made of what Linux offers; this is {sys.platform}",)
    shown, home = [*libraries(), "/dev/null"], os.path.expanduser("~")
    in_home = [os.path.join(home, name) for name in (os.listdir(home) if os.access(home, os.R_OK) else [])]
    paths = [*in_home, str(LAUNCHER)]
    hidden = [path for path in paths if not any(f"{name}/".startswith(f"{path}/") for name in shown)]
    outside = ["/", "/tmp", "/usr/lib", home, *shown]
    try:
        with _started({"main.py": PROBE}, [json.dumps(hidden), json.dumps(outside)], DEFAULT, None) as program:
            outcome = program.wait()
        kept = json.loads(outcome.output)
    except SandboxError as error:
        return (str(error),)
    except json.JSONDecodeError:
        return (f"a first program did not run in the sandbox: {outcome.output.strip() or f'status {outcome.status}'}",)
    return tuple(f"{name}: not certain that {text}" for name, text in PROTECTIONS.items() if kept.get(name) is not True)
