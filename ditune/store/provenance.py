"""What made a result: the git commit, library versions, the machine."""

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from .guard import PACKAGE

LIBRARIES = ("torch", "numpy", "transformers")


@functools.lru_cache
def git_state() -> dict:
    """The commit of the checkout, and whether the package's files differ from it; without git, DITUNE_COMMIT."""

    def git(*words):
        return subprocess.run(["git", *words], cwd=PACKAGE, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", "."))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": os.environ.get("DITUNE_COMMIT"), "dirty": None}


@functools.lru_cache
def libraries() -> dict:
    """Versions of Python and of the libraries that compute."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


@functools.lru_cache
def machine() -> dict:
    """The processor, with its widest vectors: the bits of a result depend on them. A GPU is named by the result
    itself, in its `device`."""
    try:
        info = [line.partition(":") for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()]
        known = {name.strip(): value.strip() for name, _, value in reversed(info)}
        vectors = next((v for v in ("avx512f", "avx2", "avx") if v in known.get("flags", "").split()), "")
        cpu = f"{known['model name']} {vectors}".strip()
    except (OSError, KeyError):
        cpu = platform.processor() or platform.machine()
    return {"cpu": cpu, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"}


def device() -> str:
    """Where runs are computed: "cuda", or "cpu" where torch sees no GPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """What a record says of a device: the GPU's name, or "cpu"."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else device
