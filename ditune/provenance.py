"""What made a result: a hash of the sources that determine it, the git commit, library versions, the machine."""

import ast
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
LIBRARIES = ("torch", "numpy", "transformers")


def sources_hash(sources: tuple[str, ...]) -> str:
    """16 hexadecimal digits that change with the code of the sources, not with their comments and docstrings.

    A source is a module of this package; "module.Class" means the methods of that class, but for `check`.
    """
    texts = (_code(name, (PACKAGE / f"{name.partition('.')[0]}.py").stat().st_mtime_ns) for name in sources)
    return short_hash("\n".join(texts))


def short_hash(text: str) -> str:
    """16 hexadecimal digits that identify a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.lru_cache
def loaded_sources(sources: tuple[str, ...]) -> str:
    """The hash when this process first asked for it: a later edit does not change the code that it runs."""
    return sources_hash(sources)


@functools.lru_cache
def _code(name: str, modified: int) -> str:
    """The syntax tree of a source as text; `modified`, the file's time, is there for the cache."""
    module, _, of_class = name.partition(".")
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    if of_class:
        found = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == of_class)
        tree = [n for n in found.body if isinstance(n, ast.FunctionDef) and n.name != "check"]
    return json.dumps([name, _tree(tree)])


def _tree(node):
    """A syntax tree as nested lists without docstrings and empty fields; `ast.dump` differs between Python versions."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
        return [type(node).__name__, *([name, _tree(value)] for name, value in fields)]
    if isinstance(node, list):
        return [_tree(item) for item in node if not _is_docstring(item)]
    return repr(node)


def _is_docstring(node) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@functools.lru_cache
def git_state() -> dict:
    """The commit of the checkout, and whether the package's files differ from it."""

    def git(*words):
        return subprocess.run(["git", *words], cwd=PACKAGE, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", "."))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


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
    """The processor; a GPU is named by the result itself, in its `device`."""
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.partition(":")[2].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    return {"cpu": cpu, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"}
