"""From a process to an empty world: a script that `programs` starts, once a program. It imports no other module.

    launcher   leaves the network, the mounts, the processes and the semaphores of the machine, and keeps the time
      init     makes the new file tree, and is process 1 in it: when it dies, the kernel kills all that is left
        program    gives up its rights, takes its limits and becomes `python -I -S main.py ARGUMENT ...`

Each step raises OSError where the kernel refuses it, before the program has started; none is left out silently. What is
written to the standard error of the launcher and of init is that error; the program cannot write there.

The user is root, or an ordinary user whom the kernel lets make a user namespace. Linux on x86_64 or aarch64.
"""

import contextlib
import ctypes
import errno
import fcntl
import glob
import json
import os
import resource
import signal
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_MOUNTS, NEW_HOST, NEW_IPC = 0x20000, 0x4000000, 0x8000000  # of unshare(2)
NEW_USERS, NEW_PROCESSES, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
ALL_NAMESPACES = 0x7E020000  # the flags of clone(2) that make a namespace
READ_ONLY, NO_SETUID, NO_DEVICES, NO_EXECUTION = 1, 2, 4, 8  # of mount(2)
REMOUNT, BIND, RECURSIVE, PRIVATE = 1 << 5, 1 << 12, 1 << 14, 1 << 18
DETACH = 2  # of umount2(2)
DEATH_SIGNAL, SECCOMP, NO_NEW_PRIVILEGES = 1, 22, 38  # of prctl(2)

NOBODY = 65534
USERS = range(61184, 65520)  # what systemd keeps for users that exist for as long as a service runs
FOLDER = "/box"
OVERTIME = 124  # exit status, as of timeout(1)
CHANNEL = 3  # the number of the program's only other open file

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # as a seccomp filter sees them
CLONE, CLONE3 = (56, 220), (435, 435)  # numbers of system calls, in the order of MACHINES
DENIED = {
    # sockets: a network namespace does not hold all kinds (vsock)
    "socket": (41, 198),
    "io_uring_setup": (425, 425),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "perf_event_open": (298, 241),
    # mounts and namespaces
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    # memory that no limit counts
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    # what is shared with the machine, or has often had holes
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
}
"""System calls that fail with EPERM."""


def kernel(name: str, *arguments) -> None:
    """Call a function of the C library; OSError with its name where it fails."""
    wide = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    if getattr(LIBC, name)(*wide) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


# ---- launcher --------------------------------------------------------------------------------------------------------


def launch(job: dict) -> int:
    """Run the job; its exit status (128 + n for signal n). SIGTERM ends it; so does the wall time, with OVERTIME."""
    signals = {signal.SIGTERM, signal.SIGALRM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    user = USERS[os.getpid() % len(USERS)]  # one of its own, as the kernel counts processes by user
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory runs out, this goes before the process that started it
    leave_the_machine()
    if os.getppid() != job["parent"]:
        raise OSError(errno.ESRCH, "the process that started the sandbox has gone")
    init = os.fork()
    if init == 0:
        os._exit(be_init(job, user))
    stopped = set()

    def stop(number, frame):
        stopped.add(number)
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(init, signal.SIGKILL)  # and with it every process of its namespace

    for number in signals:
        signal.signal(number, stop)
    signal.setitimer(signal.ITIMER_REAL, job["wall_seconds"])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    status = exit_status(os.waitpid(init, 0)[1])
    return OVERTIME if signal.SIGALRM in stopped else status


def leave_the_machine() -> None:
    """New namespaces for this process (network, mounts, host name, IPC) and for its children (process numbers)."""
    user, group, new = os.geteuid(), os.getegid(), NEW_MOUNTS | NEW_HOST | NEW_IPC | NEW_PROCESSES | NEW_NETWORK
    kernel("unshare", new if user == 0 else new | NEW_USERS)
    if user != 0:
        maps = {"uid_map": f"{NOBODY} {user} 1", "gid_map": f"{NOBODY} {group} 1"}
        for name, text in ({"setgroups": "deny"} | maps).items():
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    kernel("prctl", DEATH_SIGNAL, signal.SIGKILL)  # after unshare, which clears it


def exit_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


# ---- init ------------------------------------------------------------------------------------------------------------


def be_init(job: dict, user: int) -> int:
    """Process 1: make the file tree, start the program, wait for it (and for orphans); its exit status."""
    kernel("prctl", DEATH_SIGNAL, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the only signal that a program of the same user could send here
    kernel("sethostname", b"sandbox", len(b"sandbox"))
    make_tree(job)
    program = os.fork()
    if program == 0:
        become_program(job, user)
    while True:
        ended, status = os.wait()
        if ended == program:
            return exit_status(status)


def make_tree(job: dict) -> None:
    """A new root: the interpreter, its libraries and three devices, read-only, and FOLDER in memory. No /proc, no
    home."""
    kernel("mount", None, b"/", None, RECURSIVE | PRIVATE, None)
    kernel("mount", b"none", b"/tmp", b"tmpfs", NO_SETUID | NO_DEVICES, b"mode=755,size=1m")
    os.mkdir("/tmp/old")
    kernel("pivot_root", b"/tmp", b"/tmp/old")
    os.chdir("/")
    for path in job["library"]:
        show(path)
        for installed in glob.glob(f"{path}/python*/*-packages"):  # of which one might hold the solutions
            kernel("mount", b"none", installed.encode(), b"tmpfs", READ_ONLY, b"size=4k")
    for path in ("/dev/null", "/dev/zero", "/dev/urandom"):
        show(path, READ_ONLY | NO_SETUID)
    kernel("umount2", b"/old", DETACH)
    os.rmdir("/old")
    os.mkdir(FOLDER)
    inside = f"mode=1777,size={job['folder_bytes']},nr_inodes={job['folder_files']}"
    kernel("mount", b"none", FOLDER.encode(), b"tmpfs", NO_SETUID | NO_DEVICES | NO_EXECUTION, inside.encode())
    for name, text in job["files"].items():
        with open(f"{FOLDER}/{name}", "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(text)
    kernel("mount", None, b"/", None, REMOUNT | BIND | READ_ONLY | NO_SETUID | NO_DEVICES, None)


def show(path: str, flags: int = READ_ONLY | NO_SETUID | NO_DEVICES) -> None:
    """The file or folder of the old tree at the same place in the new one; a link stays a link."""
    old = f"/old{path}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(old):
        os.symlink(os.readlink(old), path)
        return
    if os.path.isdir(old):
        os.makedirs(path, exist_ok=True)
    else:
        open(path, "x").close()
    kernel("mount", old.encode(), path.encode(), None, BIND | RECURSIVE, None)
    kernel("mount", None, path.encode(), None, REMOUNT | BIND | flags, None)


# ---- program ---------------------------------------------------------------------------------------------------------


def become_program(job: dict, user: int) -> None:
    """Rights and limits, then the interpreter; never returns."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.chdir(FOLDER)
    keep_files(job["channel"])
    for name, value in job["resources"].items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))  # soft = hard: the end of the CPU time is a SIGKILL
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    kernel("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    deny_system_calls()
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    os.execve(job["python"], [job["python"], "-I", "-S", "main.py", *job["arguments"]], {})


def keep_files(channel: int | None) -> None:
    """Standard input is empty, standard error goes where the output does, `channel` becomes CHANNEL. All other files,
    that for errors up to here among them, are closed as the interpreter starts, since Python never hands them on."""
    sys.stderr = open(fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, CHANNEL + 1), "w")
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(1, 2)
    if channel is not None and channel != CHANNEL:
        os.dup2(channel, CHANNEL)
        os.close(channel)


def deny_system_calls() -> None:
    """A seccomp filter: a call in DENIED fails with EPERM, one of another machine ends the process.

    clone(2) fails only where it would make a namespace. clone3(2), whose flags a filter cannot read, is said not to
    exist, and the C library then takes clone.
    """
    machine = os.uname().machine
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no filter of system calls for {machine}; there is one for {', '.join(MACHINES)}")
    column = list(MACHINES).index(machine)
    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions of the Berkeley packet filter
    allow, kill, fail = 0x7FFF0000, 0x80000000, 0x00050000  # fail + number: the call gives that error
    number, machine_of_call, first_argument = 0, 4, 16  # offsets in struct seccomp_data

    program = [(load, 0, 0, machine_of_call), (equal, 1, 0, MACHINES[machine]), (answer, 0, 0, kill)]
    program += [(load, 0, 0, number)]
    program += [(at_least, 0, 1, 0x40000000), (answer, 0, 0, fail + errno.EPERM)]  # the x32 calls of x86_64
    for numbers in DENIED.values():
        program += [(equal, 0, 1, numbers[column]), (answer, 0, 0, fail + errno.EPERM)]
    program += [(equal, 0, 1, CLONE3[column]), (answer, 0, 0, fail + errno.ENOSYS)]
    program += [(equal, 0, 3, CLONE[column]), (load, 0, 0, first_argument)]
    program += [(any_bit, 0, 1, ALL_NAMESPACES), (answer, 0, 0, fail + errno.EPERM), (answer, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    kernel("prctl", SECCOMP, 2, struct.pack("@HP", len(program), ctypes.addressof(code)), 0, 0)


if __name__ == "__main__":
    sys.exit(launch(json.load(sys.stdin)))
