"""Files that are whole or absent, whatever stops the process, and checkpoints: the state of a run in such a file."""

import contextlib
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write under; at the end of the block the file takes the place of `path`, unless the block failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, text: str) -> None:
    """Write a text so that it is never seen half-written."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def save_checkpoint(path: Path, state: dict, tensors: dict | None = None) -> None:
    """Write plain data, and tensors by name, as safetensors with a checksum."""
    from safetensors.torch import save_file

    tensors, text = {name: value.detach().contiguous() for name, value in (tensors or {}).items()}, json.dumps(state)
    with replacing(path) as temporary:
        save_file(tensors, temporary, {"state": text, "sum": checksum(text, tensors)})


def load_checkpoint(path: Path) -> tuple[dict, dict] | None:
    """What was saved: plain data and tensors; None where there is no file. One that is damaged is deleted."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, "pt") as file:
            known, tensors = file.metadata() or {}, load_file(path)
        if known.get("sum") == checksum(known.get("state", ""), tensors):
            return json.loads(known["state"]), tensors
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError):
        pass
    warnings.warn(f"deleted the damaged checkpoint {path}", stacklevel=2)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return None


def checksum(text: str, tensors: dict) -> str:
    """The SHA-256 of a text and of tensors with their names."""
    import torch

    found = hashlib.sha256(text.encode())
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()
