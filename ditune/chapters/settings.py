"""The paper's settings beside those of a set of runs, with how sure the paper's are and why ours are what they are.

The labels are those of the methods chapter: "text" (read in the paper or a sister version), "inferred" (not stated for
this experiment, in agreement with all that is), "read off" (from a figure), "not stated".
"""

from typing import NamedTuple

from ..report import tables
from ..report.tables import shown
from ..rewriting.specs import RunSpec

PAPER = RunSpec()
"""The defaults of the specs are the paper's main experiment."""


class Setting(NamedTuple):
    """One setting of the paper's experiment with the number of rules, and why ours is what it is: where it is the
    default (`why`), and where not (`otherwise`); `always` shown, although it is the default."""

    part: str
    field: str
    name: str
    paper: str
    label: str
    why: str
    otherwise: str = ""
    always: bool = True


SHORT = "shorter rows, for a CPU: each step takes less time"
SMALL = "a smaller model, for a CPU"
ONLY = "other values are other experiments"
OTHER_TASK = "another task than the paper's"
VARIED = "what the chapter varies"
COMMON = "a common value"

SETTINGS = (
    Setting("task", "n_rules", "rules I", "10 to 1,000,000, 16 values", "read off", "what is varied",
            "what is varied; the values that show the change"),
    Setting("task", "n_examples", "training examples N = I × S", "1,000,000", "text", "as in the paper",
            "fewer, as a CPU has time for few steps"),
    Setting("task", "alphabet_size", "letters", "26", "inferred",
            "the paper's appendix names lower-case Latin letters", OTHER_TASK),
    Setting("task", "x_len", "length of x", "20", "text", "as in the paper", SHORT),
    Setting("task", "y_len", "length of y", "20", "inferred",
            "as long as x, so that the answer has the length of the input", SHORT),
    Setting("task", "z_len", "length of z", "50", "text", "as in the paper", SHORT),
    Setting("task", "occurrences", "occurrences of x in z", "at least 1", "text",
            "exactly one, so that each example shows one place", VARIED),
    Setting("task", "no_op_share", "inputs without x", "none", "text", "as in the paper", VARIED),
    Setting("task", "replace_which", "occurrence replaced", "the first", "text", "as in the paper", OTHER_TASK,
            always=False),
    Setting("task", "families", "families of words", "random words", "inferred", ONLY, VARIED, always=False),
    Setting("task", "k", "constrainedness k", "none", "inferred", ONLY, VARIED, always=False),
    Setting("task", "tail_alpha", "long tail", "none: S of each rule", "text", ONLY, VARIED, always=False),
    Setting("task", "rules_in_prompt", "rules in the prompt", "1", "text", ONLY, OTHER_TASK, always=False),
    Setting("task", "n_steps", "rewriting steps", "1", "text", ONLY, OTHER_TASK, always=False),
    Setting("model", "n_layer", "layers", "6", "text", "as in the paper", SMALL),
    Setting("model", "n_head", "heads", "4", "text", "as in the paper",
            "fewer heads, so that each stays wide in a narrow model"),
    Setting("model", "n_embd", "width", "256", "text", "as in the paper", SMALL),
    Setting("model", "position", "positions", "learned", "inferred", "GPT-2's", "an option of this study, not GPT-2's"),
    Setting("train", "n_steps", "steps (passes over the data)", "50 passes", "text",
            "as many as 50 passes need at this batch", "as many as the time allows"),
    Setting("train", "batch_size", "batch", "", "not stated", COMMON, "chosen by trial"),
    Setting("train", "optimizer", "optimiser", "AdamW", "text", "as in the paper",
            "Muon for the matrices, which its authors found to need fewer steps; AdamW for the rest"),
    Setting("train", "lr", "peak rate of AdamW", "0.001", "text", "as in the paper", "chosen by trial, for few steps"),
    Setting("train", "muon_lr", "peak rate of Muon", "", "not stated", "chosen by trial", "chosen by trial",
            always=False),
    Setting("train", "muon_momentum", "momentum of Muon", "", "not stated", COMMON, "chosen by trial", always=False),
    Setting("train", "warmup_share", "share of rising rate", "", "not stated",
            "linear to 0 afterwards, which the paper states", "chosen by trial"),
    Setting("train", "weight_decay", "weight decay", "", "not stated", COMMON, "chosen by trial"),
    Setting("train", "clip", "largest norm of the gradient", "", "not stated", COMMON, "chosen by trial"),
    Setting("train", "bf16", "multiplication in bfloat16", "", "not stated", "full precision",
            "faster on a GPU; weights and optimiser stay in full precision"),
    Setting("train", "n_evals", "points of the learning curve", "", "not stated", "only looks at the run",
            "only looks at the run", always=False),
)  # fmt: skip
"""Every field of the specs of task, model and training, in the order in which they are shown."""

TEST = Setting("evals", "n_examples", "examples of each test", "100,000", "text", "as in the paper", "fewer, for time")


def table(chapter, specs: list[RunSpec] | None = None) -> str:
    """The paper's settings and those of a chapter's trainings, or of some runs: bold where they differ."""
    specs = [spec for spec in (specs or chapter.specs) if isinstance(spec, RunSpec)]
    rows = []
    for setting in (*SETTINGS, TEST):
        values = list(dict.fromkeys(value_of(spec, setting) for spec in specs))
        same = values == [value_of(PAPER, setting)]
        if same and not setting.always:
            continue
        text = in_words(values)
        if setting.name.startswith("steps"):
            text += f" ({', '.join(dict.fromkeys(f'{epochs(spec):.1f}' for spec in specs))} passes)"
        why = setting.why if same else setting.otherwise
        rows.append([setting.name, setting.paper or "–", setting.label, text if same else f"**{text}**", why])
    spread = "differences must exceed the spread between seeds"
    rows.append(["seeds", "–", "not stated", str(len({spec.seed for spec in specs})), spread])
    caption = "The paper's settings and those of these runs; bold where they differ"
    return tables.table(caption, f"tab-settings-{chapter.name[:2]}", ["setting", "paper", "label", "here", "why"], rows)


def value_of(spec: RunSpec, setting: Setting):
    """The value of a setting in a run."""
    return getattr(spec.evals[0] if setting.part == "evals" else getattr(spec, setting.part), setting.field)


def in_words(values: list) -> str:
    """The values of a setting in a set of runs."""
    if len(values) > 1 and all(isinstance(value, (int, float)) for value in values):
        return f"{shown(min(values))} to {shown(max(values))}, {len(values)} values"
    return "; ".join(map(shown, values))


def epochs(spec: RunSpec) -> float:
    """How often a run passes over its training examples."""
    return spec.train.n_steps * spec.train.batch_size / spec.task.n_examples
