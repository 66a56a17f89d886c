"""Programs that mean harm, for the tests of the sandbox and of verdicts: {name: text}."""

import os
import re
import signal

import pytest

from ditune.sandbox.jail import OVERTIME


def programs(text: str) -> dict[str, str]:
    """Programs by the title line, `## name`, that stands before each."""
    return dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", text, flags=re.MULTILINE))


# ---- for the sandbox: each attempt prints whether it was refused ---------------------------------------------------------

PRELUDE = f"""
import ctypes, os, resource, signal, socket, sys, threading, time
TESTS, PACKAGE, PROFILE = {os.path.dirname(__file__)!r}, {os.path.dirname(pytest.__file__)!r}, {os.path.expanduser("~/.profile")!r}
libc = ctypes.CDLL(None, use_errno=True)

def tries(action, *arguments):
    try:
        result = action(*arguments)
    except (OSError, MemoryError, RuntimeError, ValueError):
        return print("refused")
    print("refused" if isinstance(result, int) and result == -1 else "done")
"""

ALLOWED_OUTSIDE = programs("""
## reading the tests
tries(os.listdir, TESTS)
tries(open, f"{TESTS}/hostile.py")
## reading installed packages
tries(os.listdir, PACKAGE)
## reading the users
tries(open, "/etc/passwd")
## seeing processes
tries(os.listdir, "/proc")
## following a link out
os.symlink("/etc/passwd", "link")
tries(open, "link")
## sockets
for family in (socket.AF_INET, socket.AF_UNIX, socket.AF_NETLINK): tries(socket.socket, family, socket.SOCK_DGRAM)
tries(socket.socket, socket.AF_INET, socket.SOCK_STREAM)
## memory that no limit counts
tries(os.memfd_create, "x")
""")
"""What an ordinary process of the same user may do."""

REFUSED = ALLOWED_OUTSIDE | programs("""
## reading the home folder
tries(open, PROFILE)
tries(os.listdir, "/home")
## reading passwords
tries(open, "/etc/shadow")
## reading the memory of others
for n in ("self", 1, os.getppid()): tries(open, f"/proc/{n}/mem", "rb")
tries(libc.process_vm_readv, 1, 0, 0, 0, 0, 0)
## tracing others
for request in (0, 16, 0x4206): tries(libc.ptrace, request, os.getppid(), 0, 0)
## writing outside
for name in ("/x", "/tmp/x", "/etc/x", "/usr/lib/x", os.__file__): tries(open, name, "w")
tries(os.unlink, os.__file__)
## a link through which to write
os.symlink("/usr/lib/x", "link")
tries(open, "link", "w")
## sockets of other kinds
for family in (10, 16, 17, 38, 40):
    for kind in (1, 2, 3): tries(socket.socket, family, kind)
## becoming root
for action, argument in ((os.setuid, 0), (os.setgid, 0), (os.setgroups, [0]), (os.chroot, ".")): tries(action, argument)
## namespaces of its own
clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
for flag in (0x10000000, 0x20000, 0x40000000):
    tries(libc.unshare, flag)
    tries(libc.syscall, clone, flag | signal.SIGCHLD, 0, 0, 0, 0)
tries(libc.mount, b"x", b"/box", b"tmpfs", 0, None)
## raising a limit
for name in ("AS", "CPU", "NPROC", "FSIZE"): tries(resource.setrlimit, getattr(resource, f"RLIMIT_{name}"), (1 << 40, 1 << 40))
## a memory bomb
tries(bytearray, 1 << 28)
## a huge file
tries(os.truncate, os.open("x", os.O_CREAT | os.O_RDWR), 1 << 30)
## too much in all files
def fill():
    for i in range(60):
        with open(f"{i}", "wb") as file: file.write(bytes(1 << 19))
tries(fill)
## many files
tries(lambda: [os.mkdir(f"{i}") for i in range(1000)])
## many open files
tries(lambda: [os.dup(0) for _ in range(1000)])
## many threads
tries(lambda: [threading.Thread(target=time.sleep, args=(1,), daemon=True).start() for _ in range(50)])
## a fork bomb
def bomb():
    while True: os.fork() or time.sleep(99)
tries(bomb)
## deep recursion
def deep(): return deep()
tries(deep)
""")

# ---- for the sandbox: programs that must be ended ------------------------------------------------------------------------

KILLED = {128 + signal.SIGKILL, OVERTIME}  # by its processor time, or on a busy machine by its wall time
STATUSES = {  # of the programs below, in their order
    "an infinite loop": KILLED,
    "swallowed signals": KILLED,
    "sleeping": {OVERTIME},
    "threads that never end": {OVERTIME},
    "a hang at the exit": {OVERTIME},
    "a crash": {128 + signal.SIGSEGV},
    "recursion in C": {1, 128 + signal.SIGSEGV} | KILLED,
    "signals to process 1": {128 + signal.SIGABRT},
    "killing its group": {128 + signal.SIGKILL},
    "a huge output": {1, 120},
    "no output": {1, 120},
}
ENDED = programs("""
## an infinite loop
while True: pass
## swallowed signals
for n in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(n, signal.SIG_IGN)
while True: pass
## sleeping
time.sleep(99)
## threads that never end
threading.Thread(target=time.sleep, args=(99,)).start()
## a hang at the exit
import atexit
atexit.register(time.sleep, 99)
## a crash
ctypes.string_at(0)
## recursion in C
sys.setrecursionlimit(1 << 30)
class A: __repr__ = lambda self: repr([self])
repr(A())
## signals to process 1
for n in set(signal.Signals):
    try: os.kill(1, n)
    except PermissionError: pass
time.sleep(0.1)
os.abort()
## killing its group
os.killpg(0, signal.SIGKILL)
## a huge output
while True: os.write(1, b"x" * 65536)
## no output
os.close(1)
os.close(2)
print("x")
""")

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(99)
    os._exit(0)
os.wait()
time.sleep(float(sys.argv[2]))
"""

# ---- for verdicts: what stands in a program before or after a function `double` that is wrong ----------------------------

FORGERIES = programs("""
## leaves before the tests
import sys
sys.exit(0)
## leaves at once
import os
os._exit(0)
## leaves at the first call
def double(x): raise SystemExit(0)
## equals everything
class Any:
    __eq__ = lambda *_: True
double = lambda x: Any()
## is a list that equals everything
class Any(list):
    __eq__ = lambda *_: True
double = lambda x: Any()
## leaves when it has failed
import os, sys
sys.excepthook = lambda *_: os._exit(0)
## leaves at the exit
import atexit, os
atexit.register(os._exit, 0)
## reads the tests in its folder
import os
seen = any("candidate([" + "])" in open(name).read() for name in os.listdir())
def double(x): return [2, 4][: 2 * len(x)] if seen else None
## reads the tests in the frames
import sys
def double(x):
    seen = [2, 4] in [c for c in sys._getframe(1).f_code.co_consts] or "candidate" in sys._getframe(1).f_code.co_varnames
    return [2, 4][: 2 * len(x)] if seen else None
## leaves in another thread
import os, threading
double = lambda x: threading.Thread(target=os._exit, args=(0,)).start() or threading.Event().wait()
""")
"""These pass where the tests run in the program's own interpreter and its exit status counts."""

CHEATS = programs("""
## prints a success
print('{"passed": true, "reason": ""}', flush=True)
## prints a success and leaves
import os
print('{"passed": true, "reason": ""}', flush=True)
os._exit(0)
## answers before it is asked
import os
for _ in range(9): os.write(3, b'{"value": true}\\n')
## answers with a verdict
import os
os.write(3, b'{"passed": true, "reason": ""}\\n' * 9)
os._exit(0)
## answers nonsense
import os
os.write(3, b"\\xff[[[\\n" * 9)
## answers with depth
import os
os.write(3, b'{"value":' + b'{"list":[' * 9999 + b"\\n")
## answers with an object
import os
for _ in range(9): os.write(3, b'{"value": {"object": 0}}\\n')
## asks instead of answering
import os
os.write(3, b'["exit", {"tuple": []}, {"dict": []}]\\n' * 9)
## patches the script that answers
import sys
main = sys.modules["__main__"]
main.pack, main.check = lambda *_: True, lambda *_: {"passed": True, "reason": ""}
## patches modules
import json, sys
sys.modules["unittest"] = sys.modules["json"] = None
json.dumps = json.loads = lambda *_: '{"value": true}'
## patches built-in functions
import builtins
for name in ("all", "any", "len", "isinstance", "exec", "compile", "getattr"): setattr(builtins, name, lambda *_: True)
builtins.AssertionError = SystemExit
## closes its files
import os
os.closerange(0, 99)
## lets a daemon answer
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(0.2)
        for _ in range(9): os.write(3, b'{"value": true}\\n')
os._exit(0)
## is no program
def
""")

GREEDY = programs("""
## a loop without end
while True: pass
## a call that does not return
import time
double = lambda x: time.sleep(99)
## an iterator without end
import itertools
double = lambda x: itertools.count()
## an answer without end
import os
while True: os.write(3, b"x" * 65536)
## threads without end
import threading, time
threading.Thread(target=time.sleep, args=(99,)).start()
raise SystemExit
## recursion without end
import sys
sys.setrecursionlimit(1 << 30)
def double(x): return double(x)
## the parent
import os, signal
for who in (os.getppid(), -1, 0): os.kill(who, signal.SIGKILL)
## a crash
import ctypes
ctypes.string_at(0)
""")
"""These only take, or break; none of them tries to pass."""
