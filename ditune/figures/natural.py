"""Chapter 15: the task map of real tasks, words dropped beside natural paraphrases, and selection among real tasks, beside the paper's.

A table of runs is one of `records.frame`, with the runs of the map, of the first rounds and of the later ones; `claims.natural.learning`
gives the curves. A map has a row per task: seed, task, kind, group, and what was measured. NAME of a table: "profile laptop".
"""

import textwrap

import numpy as np
import pandas
import torch

from ..active.selection import Candidates, groups
from ..claims.ledger import sentence
from ..claims.natural import learning
from ..claims.selection import GROUPS, difference
from ..figures import plotting
from ..figures.intervals import Interval, interval
from ..figures.plotting import made_by, sign, table
from ..language.natural import KINDS, described, is_here, usable
from ..language.specs import FirstSpec, MapSpec, RoundsSpec
from ..specs import Spec
from ..store import records
from .select_tables import found
from .selection import PAPER_ROUGE, PAPER_TASKS, clear, hundredfold, named, style
from .task_map import PAPER_RISE, group_of, group_panels, paper_map

OF_GROUP = 68 / 620
"""Share of a map's tasks in each group, as in the paper."""
PAPER_START, PAPER_SPREAD = 44.15, (0.5, 0.8)
"""ROUGE-L of the paper's first model; the standard deviation between its five splits, which is twice that of the published bars."""
SELECTIONS = ("random", "uncertainty", "high_perplexity", "low_perplexity", "inverse_confidence")
TRAINED = ("random", "uncertainty", "easy", "difficult")
UNIT = "0.01 nats a token"
LINE, FENCE = 76, "``````"


# ---- maps ------------------------------------------------------------------------------------------------------------


def grouped(columns: dict, n: int, share: float, seed: int) -> pandas.DataFrame:
    """A map from a record's columns, with n tasks in each group; a task in two of them is named by the first of `GROUPS`."""
    rows = pandas.DataFrame(columns).assign(seed=seed)
    measures = {name: torch.tensor(rows[name].to_numpy()) for name in ("uncertainty", "probability", "perplexity")}
    tasks = Candidates(torch.arange(len(rows)), torch.tensor((rows["kind"] == KINDS[1]).to_numpy()), **measures)
    chosen = groups(tasks, n, share, seed, "selection/1")
    return rows.assign(group=rows.index.map({i: group for group in reversed(chosen) for i in chosen[group].tolist()}).fillna(""))


def pretrained_map(specs: list[Spec]) -> pandas.DataFrame:
    """The map of the pretrained model; empty where there is none."""
    for spec, result in found(s for s in specs if type(s) is MapSpec):
        kinds = result["map"]["kind"]
        return grouped(result["map"], max(1, round(OF_GROUP * len(kinds))), kinds.count(KINDS[1]) / len(kinds), spec.seed)
    return pandas.DataFrame()


def first_maps(specs: list[Spec]) -> pandas.DataFrame:
    """The maps of the first models, a seed after the other; a group has as many tasks as a selection."""
    n = {spec.first: spec.n_select for spec in specs if isinstance(spec, RoundsSpec)}
    tables = [grouped(result["map"], n[spec], spec.share, spec.seed) for spec, result in found(n)]
    return pandas.concat(tables, ignore_index=True) if tables else pandas.DataFrame()


def maps(runs: dict[str, list[Spec]]) -> dict[str, pandas.DataFrame]:
    """The maps to be drawn: of each set of runs that of the pretrained model, and of the last one that of the first tuned model."""
    out = {f"{name}: pretrained model": rows for name, specs in runs.items() if len(rows := pretrained_map(specs))}
    name, specs = list(runs.items())[-1]
    rows = first_maps(specs)
    return out | ({f"{name}: first tuned model, seed {rows['seed'].iloc[0]}": rows[rows["seed"] == rows["seed"].iloc[0]]} if len(rows) else {})


def map_figure(found_maps: dict[str, pandas.DataFrame], origins: list[str]):
    """The paper's map and ours, groups in the paper's colours, uncertainty on a cube-root axis."""
    return group_panels({f"{title}\n{len(rows)} tasks": rows for title, rows in found_maps.items()}, origins)


def prompts_in_words(mapped: pandas.DataFrame, candidates: pandas.DataFrame, name: str) -> str:
    """What the prompts of a map, and those of the loop, hold, and how many answers were cut, in sentences."""
    of_map, of_loop = (f"of the {len(rows)} {what} {holding(rows)}" if len(rows) else "" for what, rows in (("tasks of the map", mapped), ("candidates of the loop (of all seeds; many are of several), whose prompts are shorter,", candidates)))
    cut = " and ".join(f"{rows['cut'].mean():.0%} in {what}" for what, rows in (("the map", mapped), ("the loop", candidates)) if len(rows))
    cut = f" Of the model's own answers {cut} reached the longest length and were cut; of these no end of the answer is scored." if cut else ""
    return f"In {name}, {'; '.join(text for text in (of_map, of_loop) if text) or 'nothing is recorded'}.{cut}"


def holding(rows: pandas.DataFrame) -> str:
    """What prompts hold: a definition that stands apart, worked examples, both as in the paper."""
    defined, examples = rows["defined"] > 0, rows["n_examples"].value_counts()
    having = ", ".join(f"{examples.get(n, 0)} {word}" for n, word in ((2, "have two worked examples"), (1, "one"), (0, "none")))
    return f"{defined.sum()} have a definition that stands apart; {having}; {(defined & (rows['n_examples'] == 2)).sum()} have both a definition and two"


def ranges_table(found_maps: dict[str, pandas.DataFrame], caption: str, name: str) -> str:
    """Where the groups lie in the paper's map and in ours: smallest, median and largest value of both axes; mean ROUGE-L of own answers."""
    rows = []
    for title, one in {"Kung et al. 2023 (read off)": paper_map(), **found_maps}.items():
        for group in ("", *GROUPS):
            of_group = one if group == "" else one[one["group"] == group]
            cells = ["{:.3f} / {:.3f} / {:.3f}".format(*of_group[axis].quantile([0, 0.5, 1])) if len(of_group) else "none" for axis in ("uncertainty", "probability")]
            right = f"{of_group['rouge_l'].mean():.2f}" if "rouge_l" in one and len(of_group) else "–"
            rows.append([title if group == "" else "", group or "all", len(of_group), *cells, right])
    return table(caption, name, ["map", "group", "tasks", "uncertainty: least / median / most", "probability", "ROUGE-L"], rows)


def examples(specs: list[Spec], rows: pandas.DataFrame) -> str:
    """One task of each group of a pretrained model's map, that of median uncertainty: its first instance where its pool is here, and the
    model's answer; lines of at most LINE letters."""
    spec = next(spec for spec in specs if type(spec) is MapSpec)
    here = {task.name: task for pool in spec.pool if is_here(pool) for task in usable((pool,), spec.most_letters)}
    parts = []
    for group in GROUPS:
        of_group = rows[rows["group"] == group].sort_values(["uncertainty", "task"])
        if len(of_group):
            one = of_group.iloc[len(of_group) // 2]
            known = f"`{one['task']}`, {one['kind']}; uncertainty {one['uncertainty']:.3f}, probability {one['probability']:.3f}, ROUGE-L {one['rouge_l']:.2f}"
            lines = [f"Model: {one['written'] or '(nothing)'}"]
            if task := here.get(one["task"]):
                lines = [f"Definition: {task.definition or '(in the input)'}", f"Input: {task.instances[0][0]}", *lines, f"Right: {task.instances[0][1][0]}"]
            else:
                known += "; its text is not on the machine that made these pages"
            printable = "".join(letter if letter.isprintable() or letter == "\n" else "·" for letter in "\n".join(lines).replace(FENCE, ""))
            shown = "\n".join(textwrap.fill(line, LINE) for line in printable.split("\n"))
            parts.append(f"**{group}** ({known})\n\n{FENCE}text\n{shown}\n{FENCE}")
    return "\n\n".join(parts)


def rightness(specs: list[Spec]) -> pandas.DataFrame:
    """What claim A4n looks at: a row per seed and group of the first models' maps ("all": every task), with rouge_l, the mean ROUGE-L of the
    model's own answers; n tasks; key and state of the run."""
    rows, all_maps = [], first_maps(specs)
    runs = {spec.seed: spec for spec in specs if type(spec) is FirstSpec}
    for seed, tasks in all_maps.groupby("seed") if len(all_maps) else ():
        for group in (*GROUPS, "all"):
            one = tasks if group == "all" else tasks[tasks["group"] == group]
            means = {name: one[name].mean() for name in ("rouge_l", "uncertainty", "probability")}
            rows.append({"seed": seed, "group": group, "n": len(one), "key": runs[seed].key, "state": records.find(runs[seed]).state} | means)
    return pandas.DataFrame(rows)


# ---- curves ----------------------------------------------------------------------------------------------------------


def rises(frame: pandas.DataFrame, tasks: str = "test") -> pandas.DataFrame:
    """How far each run has risen above the first model of its seed: strategy, seed, round, n_trained, likelihood (hundredths of a nat a
    token) and rouge_l (points of 100)."""
    rows = learning(frame, tasks)
    index = ["strategy", "seed"]
    start = rows[rows["round"] == 0].set_index(index)[["likelihood", "rouge_l"]]
    values = 100 * (rows.set_index(index)[["likelihood", "rouge_l"]] - start.reindex(rows.set_index(index).index))
    return rows[[*index, "round", "n_trained"]].assign(**{name: values[name].to_numpy() for name in values})


def draw(ax, rows: pandas.DataFrame, strategies, value: str, words=named):
    """Rises against the number of tasks: open marks are seeds, lines join means, bars are intervals of the means."""
    there = [name for name in strategies if name in set(rows["strategy"])]
    apart = 0.06 * np.diff(np.unique(rows["n_trained"])).min()
    for i, strategy in enumerate(there):
        one, aside = rows[rows["strategy"] == strategy], apart * (i - (len(there) - 1) / 2)
        means = {n: interval(group[value]) for n, group in one.groupby("n_trained")}
        ax.plot(one["n_trained"] + aside, one[value], linestyle="", markersize=3, fillstyle="none", alpha=0.6, **style(strategy))
        error = np.nan_to_num([[m.mean - m.low for m in means.values()], [m.high - m.mean for m in means.values()]]).clip(min=0)
        ax.errorbar([n + aside for n in means], [m.mean for m in means.values()], yerr=error, capsize=2.5, linewidth=1.4, markersize=4, label=words(strategy), **style(strategy))
    ax.axhline(0, color=plotting.QUIET, linewidth=0.8)
    ax.set_xticks(sorted(set(rows["n_trained"])))


def papers_curves(ax):
    """The paper's rises in ROUGE-L, with the standard deviation between its splits."""
    for strategy, values in PAPER_ROUGE.items():
        rise = np.array((PAPER_START, *values)) - PAPER_START
        ax.errorbar((68, *PAPER_TASKS), rise, yerr=np.mean(PAPER_SPREAD), elinewidth=0.7, capsize=2, linewidth=1.2, markersize=4, label=named(strategy), **style(strategy))
    ax.set_title("Kung et al. 2023: test tasks, five splits;\nbars: about one standard deviation")


def papers_groups(ax):
    """The paper's rises in ROUGE-L by training on a group."""
    for group, values in PAPER_RISE.items():
        ax.plot((68, 136, 204), (0, *values), linewidth=1.2, markersize=4, label=group, **style(GROUPS.get(group, group)))
    ax.set_title("Kung et al. 2023: test tasks, three runs (read off)")


def curves_figure(tables: dict, strategies=SELECTIONS, papers=papers_curves, words=named):
    """A panel for each table of runs, and the paper's below."""
    tables = {name: rows for name, rows in tables.items() if len(rises(rows))}
    figure, axes = plotting.plt.subplots(len(tables) + 1, 1, figsize=(plotting.WIDTH, plotting.PANEL * (len(tables) + 1) + 0.6), squeeze=False)
    for ax, (name, frame) in zip(axes[:, 0], tables.items()):
        draw(ax, rises(frame), strategies, "likelihood", words)
        ax.set_title(f"{sentence([name])}: test tasks")
        ax.set_ylabel(f"likelihood above the first\nmodel ({UNIT})")
    papers(axes[-1, 0])
    axes[-1, 0].set(ylabel="ROUGE-L above the first\nmodel (points of 100)", xlabel="tasks trained on")
    axes[-1, 0].set_xticks(sorted({int(x) for line in axes[-1, 0].lines for x in line.get_xdata()}))
    entries = {label: handle for ax in axes[:, 0] for handle, label in zip(*ax.get_legend_handles_labels())}
    figure.legend(entries.values(), entries.keys(), loc="outside upper left", ncols=3, columnspacing=1.2)
    sign(figure, [made_by(frame, name) for name, frame in tables.items()])
    return figure


def groups_figure(tables: dict):
    """Training on each group of the map."""
    return curves_figure(tables, TRAINED, papers_groups, group_of)


# ---- tables ----------------------------------------------------------------------------------------------------------


def gain(frame: pandas.DataFrame, strategy: str, tasks: str, value: str, first: int = 1) -> tuple[Interval, list[float]]:
    """The gain over random selection, averaged over the rounds from `first` on, and by seed: of the likelihood or of ROUGE-L."""
    rows = learning(frame, tasks).query("round >= @first")
    means = [rows[rows["strategy"] == name].groupby("seed")[value].mean() for name in ("random", strategy)]
    return difference(*means), (means[1] - means[0]).dropna().tolist()


def gains_table(tables: dict, caption: str, name: str) -> str:
    """The gain of each strategy over random selection: likelihood and ROUGE-L on test tasks, and likelihood on validation tasks where
    there are any."""
    rows, others_of = [], [("test", "rouge_l"), ("validation", "likelihood")]
    others_of = others_of[: 1 + any(len(learning(frame, "validation")) for frame in tables.values())]
    for runs, frame in tables.items():
        there = [s for s in dict.fromkeys((*SELECTIONS, *TRAINED)) if s != "random" and s in set(learning(frame)["strategy"])] if len(frame) else []
        for strategy in there:
            likelihood, each = gain(frame, strategy, "test", "likelihood")
            others = [gain(frame, strategy, *which)[0] for which in others_of]
            by_seed = ", ".join(f"{100 * value:+.1f}" for value in each)
            rows.append([runs if strategy == there[0] else "", named(strategy), hundredfold(likelihood), by_seed, *map(hundredfold, others)])
    columns = [f"test: likelihood ({UNIT})", "by seed", "test: ROUGE-L (points)", "validation: likelihood"][: 2 + len(others_of)]
    return table(caption, name, ["runs", "selection", *columns], rows)


def costs_table(runs: dict[str, list[Spec]], caption: str, name: str) -> str:
    """What a measurement costs: prompts with an answer, forward passes, tokens read, seconds of a task; and trainings."""
    rows = []
    for title, specs in runs.items():
        for spec, result in found(s for s in specs if type(s) in (MapSpec, FirstSpec)):
            n, cost = len(result["map"]["task"]), result["metrics"].get("map") or result["costs"][0]
            what = "pretrained model, all tasks" if type(spec) is MapSpec else f"first model, seed {spec.seed}"
            trained = f"{result['train_s']:.0f}" if "train_s" in result and not result["resumed"] else "–"
            rows.append([title, what, n, f"{n * spec.n * (spec.k + 1):,}", f"{cost['n_passes']:,}", f"{cost['n_read']:,}", f"{result['score_s'] / n:.2f}", trained])
    return table(caption, name, ["runs", "measured", "tasks", "answers scored, at most", "forward passes", "tokens read", "seconds a task", "seconds of training"], rows)


SETTINGS = {
    "model": ("T5-large, adapted to language modelling (770M)", lambda s: s.model),
    "weights, passes": ("all, 8 passes", lambda s: f"LoRA of rank {s.tune.rank}, {s.passes:g} passes"),
    "peak rate, schedule, batch": ("5e-5, constant after 50 steps, 128", lambda s: f"{s.tune.lr:g}, linear to 0 after a rise over {s.tune.warmup_share:.0%}, {s.tune.batch_size}"),
    "pool": ("Super-NaturalInstructions, 756 English tasks", lambda s: ", ".join(s.pool)),
    "test": ("119 tasks of other categories", lambda s: f"{s.n_test} tasks of {', '.join(s.test)}"),
    "initial tasks, tasks of a selection, candidates": ("68, 68, 620", lambda s: f"{s.n_initial}, {s.n_select}, {s.n_candidates}"),
    "validation tasks": ("68", lambda s: s.n_validation),
    "rounds": ("4", lambda s: s.n_rounds),
    "share of classification tasks": ("24 of 68", lambda s: f"{s.share:.2f}"),
    "instances of a task trained on": ("200", lambda s: s.n_instances),
    "instances of a test task": ("100, greedy answers", lambda s: f"{s.n_test_instances} (likelihood), {s.n_written} (greedy answers)"),
    "instances n, perturbed prompts k, drop rate": ("10, 10, 0.2", lambda s: f"{s.n}, {s.k}, {s.drop_rate:g}"),
    "longest input with answer": ("1,024 and 128 tokens", lambda s: f"{s.most_letters} letters, {s.max_tokens} tokens written"),
    "longest prompt before the input": ("within the 1,024", lambda s: f"{s.most_head} tokens"),
}
OF_MAP = {f"map: {what}": SETTINGS[what] for what in ("instances n, perturbed prompts k, drop rate", "longest input with answer", "longest prompt before the input")}
"""Of the pretrained model's map; the paper's is of the first tuned model."""


def settings_table(runs: dict[str, list[Spec]], caption: str, name: str) -> str:
    """The paper's settings and those of sets of runs."""
    rows = []
    for settings, kind in ((SETTINGS, RoundsSpec), (OF_MAP, MapSpec)):
        firsts = [next(spec for spec in specs if type(spec) is kind) for specs in runs.values()]
        rows += [[what, paper, *map(value, firsts)] for what, (paper, value) in settings.items()]
    rows.append(["seeds (paper: splits)", "5", *(len({spec.seed for spec in specs if type(spec) is RoundsSpec}) for specs in runs.values())])
    return table(caption, name, ["setting", "paper", *runs], rows)


def pools_table(runs: dict[str, list[Spec]], caption: str, name: str) -> str:
    """The pools of the runs: what each is used for, its licence, where it is from."""
    rows = []
    for title, specs in runs.items():
        used: dict[str, list[str]] = {}
        for spec in specs:
            for pool, what in [*((p, "mapped" if type(spec) is MapSpec else "trained on") for p in spec.pool), *((p, "tested") for p in getattr(spec, "test", ()))]:
                used.setdefault(pool, []).append(what)
        rows += [[title, pool, ", ".join(dict.fromkeys(what)), described(pool).licence, described(pool).origin] for pool, what in used.items()]
    return table(caption, name, ["runs", "pool", "use", "licence", "origin"], rows)


def summary(frame: pandas.DataFrame, name: str) -> str:
    """What each selection gains over random selection, in sentences."""
    if not len(learning(frame)) or "uncertainty" not in set(frame["strategy"]):
        return f"No rounds of {name} are recorded."
    found, rouge = (gain(frame, "uncertainty", "test", value)[0] for value in ("likelihood", "rouge_l"))
    if not found.n:
        return f"Of {name} no seed is recorded with both random selection and prompt uncertainty."
    level = -frame[frame["tasks"] == "test"].groupby("n_trained")["nll"].mean()
    levels = ", ".join(f"{value:.2f} {'before any tuning' if n == 0 else f'after {n:.0f} tasks'}" for n, value in level.items())
    return (
        f"In {name}, the log-likelihood of the right answers to test tasks is {levels}, in nats a token, where there are several strategies on average. Over random selection prompt uncertainty gains {hundredfold(found)} hundredths of a nat "
        f"a token, averaged over the rounds: {clear(found)}; in ROUGE-L, the paper's measure, here of few answers, {hundredfold(rouge)} points: {clear(rouge)}.{others_in_words(frame)}"
    )


def others_in_words(frame: pandas.DataFrame) -> str:
    """For which other selections all seeds agree in sign, in a sentence; none for a single seed."""
    others = [name for name in dict.fromkeys((*SELECTIONS, *TRAINED)) if name not in ("random", "uncertainty") and name in set(frame["strategy"])]
    found, last = {name: gain(frame, name, "test", "likelihood") for name in others}, int(frame["round"].max())
    said = []
    for name, (mean, each) in found.items():
        if len(each) > 1 and abs(np.sign(each).sum()) == len(each):
            which = f"{group_of(name)} tasks" if name in TRAINED else named(name)
            said.append(f"{which} ({hundredfold(mean)}; after the last round alone {hundredfold(gain(frame, name, 'test', 'likelihood', last)[0])})")
    n = max((len(each) for _, each in found.values()), default=0)
    return f" Of the {len(others)} other selections, the likelihoods of all {n} seeds are on one side of random selection for {len(said)}{': ' * bool(said)}{', '.join(said)}; by chance one in {2 ** (n - 1)} would be." if n > 1 else ""
