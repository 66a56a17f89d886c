"""15: which tasks in natural language to train on next (A1n, A3n to A6n), after two controls.

Source: Kung et al. 2023 (arXiv 2311.00288), tasks of Super-NaturalInstructions. The statements are those of chapters
10 and 11; here the measure is the likelihood of the first reference answer, in hundredths of a nat a token (about
percent of perplexity).
"""

from ..language.catalogue import described
from ..language.pretrained import TuneSpec
from ..language.specs import FirstSpec, MapSpec, RoundsSpec
from ..report import tables
from ..report.ledger import Claim, Finding
from ..report.stats import HOLDS, OPEN, correlation, decide, interval, smallest
from ..specs import Spec
from ..store import records
from . import selecting
from .common import listed, seeds_of, without
from .selecting import GROUPS, gain, grouped, rise

RIGHT = 0.05
"""A smaller difference in ROUGE-L tells no groups apart."""
UNIT = "hundredths of a nat a token"


def runs(
    model, dtype, map_pools, pools, test_pools, mapping, strategies, loop, tune, first_seed, n_seeds
) -> list[Spec]:
    """The pretrained model's map of tasks; the first round of each seed; its later rounds, by strategy.

    map_pools, pools, test_pools: names of pools (`natural.POOLS`) that are mapped, trained on, tested on; mapping: the
    other fields of `MapSpec`; loop: those of `RoundsSpec`; tune: fields of `TuneSpec` but for the steps.
    """
    shared, seeds = {"model": model, "dtype": dtype}, seeds_of(first_seed, n_seeds)
    mapped = without("mapping", mapping, "model", "dtype", "pool", "seed")
    loop = without("loop", loop, "model", "dtype", "pool", "test", "tune", "seed", "strategy")
    loop = loop | {"pool": listed("pools", pools, str), "test": listed("test_pools", test_pools, str)}
    how = TuneSpec.of(**without("tune", tune, "n_steps"))
    rounds = [
        RoundsSpec.of(**shared, **loop, tune=how, strategy=name, seed=seed)
        for name in dict.fromkeys(listed("strategies", strategies, str))
        for seed in seeds
    ]
    first = list(dict.fromkeys(run.first for run in rounds))
    return [MapSpec.of(**shared, **mapped, pool=listed("map_pools", map_pools, str), seed=seeds[0]), *first, *rounds]


def sample(specs: list[Spec]) -> list[Spec]:
    """None: the quickest run takes four minutes. The sample of 16 takes the same code; each night takes a part."""
    return []


# ---- tables of runs and of tasks ------------------------------------------------------------------------------------


def frame(chapter):
    """A row per strategy, seed, round and kind of tasks tested (`tasks`), with `value`, the likelihood, and
    `rouge`, both times 100. All strategies of a seed have its untuned model as round -1 and its first one as round
    0."""
    import pandas

    rows = records.frame(chapter.specs)
    if not {"tasks", "strategy"} <= set(rows):
        return pandas.DataFrame()
    rows = rows[rows["eval"] != "map"].assign(round=lambda table: table["round"].fillna(-1).astype(int))
    later, shared = rows[rows["round"] > 0], rows[rows["round"] <= 0].drop(columns="strategy")
    first = later[["seed", "n_instances", "strategy"]].drop_duplicates().merge(shared, on=["seed", "n_instances"])
    out = pandas.concat([first[rows.columns], later], ignore_index=True)
    return out.assign(value=-100 * out["nll"], rouge=100 * out["rouge_l"], n_trained=out["n_trained"].astype(int))


def tested(frame):
    """The rows on test tasks, of the runs with the most instances of a task; another table as it is."""
    if "tasks" not in frame:
        return frame
    return frame[(frame["tasks"] == "test") & (frame["n_instances"] == frame["n_instances"].max())]


def maps(chapter):
    """The maps of the first models, a row a task: seed, key, state, task, uncertainty, probability, rouge_l, group."""
    import pandas

    later = [r for r in chapter.records if type(r.spec) is RoundsSpec]
    chosen = {(r.spec.strategy, r.spec.seed): r.result["selected"][0] for r in later}
    found = []
    for r in (r for r in chapter.records if type(r.spec) is FirstSpec):
        selected = {name: chosen.get((name, r.spec.seed), ()) for name in GROUPS.values()}
        tasks = pandas.DataFrame(r.result["map"]).assign(seed=r.spec.seed, key=r.spec.key, state=r.state)
        found.append(grouped(tasks, selected))
    return pandas.concat(found, ignore_index=True) if found else pandas.DataFrame()


def groups(chapter):
    """The groups of the first models' maps, a row a seed and group ("all": every task): value, mean ROUGE-L of the
    model's own answers; its margin."""
    import pandas

    tasks = maps(chapter)
    both = pandas.concat([tasks[tasks["group"] != ""], tasks.assign(group="all")])
    rows = both.groupby(["seed", "group", "key", "state"])["rouge_l"].mean().rename("value").reset_index()
    return rows.assign(margin=RIGHT)


# ---- claims ----------------------------------------------------------------------------------------------------------


def more_instances(frame) -> Finding:
    """A0i."""
    rows = frame[(frame["tasks"] == "trained") & (frame["round"] == 0) & (frame["strategy"] == "random")]
    found = {n: group.groupby("seed")["value"].mean() for n, group in rows.groupby("n_instances")}
    if len(found) < 2:
        n = int(frame["n_instances"].max())
        text = f"All runs train on {n} instance{'s' * (n > 1)} of a task; none is tested on tasks that it trained on."
        return Finding(OPEN, text, n_seeds=0)
    values = (found[max(found)] - found[min(found)]).dropna()
    text = f"Of {max(found):.0f} instances of a task rather than {min(found):.0f} its model gains {interval(values)}."
    return Finding(decide(interval(values)), text, interval(values), smallest(values))


def from_first_to_last(frame):
    """What random tasks add after the first ones, by seed; how many these are, and how many there are in the end."""
    rows = tested(frame)
    sizes = rows.groupby("round")["n_trained"].max()
    return rise(rows, rounds=[rows["round"].max()]), sizes[0], sizes.iloc[-1]


def more_tasks(frame) -> Finding:
    """A0n."""
    values, first, last = from_first_to_last(frame)
    form = interval(rise(tested(frame), rounds=[0], before=-1))
    text = f"{last - first} random tasks after the first {first} add {interval(values)}; the first {first} add {form}."
    return Finding(decide(interval(values)), text, interval(values), smallest(values))


def uncontrolled(table) -> str:
    """Why runs decide nothing, in a sentence; nothing where both controls hold, and for a table of groups."""
    held = "tasks" not in table or {more_instances(table).outcome, more_tasks(table).outcome} == {HOLDS}
    return "" if held else "The controls do not both hold."


MEASURE = f"likelihood of the first reference of each test task, of other collections than those trained on, {UNIT}"
WORLD = selecting.World(
    "On tasks in natural language", "n", MEASURE,
    f"ROUGE-L of the first model's own answers, mean of each group of its map; margin: {RIGHT}",
    "It takes both controls, A0i and A0n, to hold; of the map, neither.",
    uncontrolled, groups, tested, "+.2f",
)  # fmt: skip
CLAIMS = (
    Claim(
        "A0i", "Control: more instances of a task help that task.", "this study",
        f"likelihood of answers to new instances of the tasks trained on, {UNIT}",
        "Holds where the most instances of a task give a higher likelihood than the fewest; does not hold where lower.",
        "0: a control asks for a direction.", more_instances,
    ),
    Claim(
        "A0n", "Control: more random tasks help on other tasks.", "this study", MEASURE,
        "Holds where the likelihood rises from the first model to the last under random selection; does not hold where "
        "it falls.", "0: a control asks for a direction.", more_tasks,
    ),
    *selecting.claims(WORLD, "A1", "A3", "A4", "A5", "A6"),
)  # fmt: skip


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    found, added = interval(gain(tested(chapter.frame))), interval(from_first_to_last(chapter.frame)[0])
    end = "; where more training is not shown to help, no selection can be told from another"
    return (
        f"**Tasks of high prompt uncertainty gain {found} {UNIT} over as many random tasks, which themselves add "
        f"{added} to the first ones{end if uncontrolled(chapter.frame) else ''}.**"
    )


def agreement(chapter) -> str:
    """How well two ways to perturb prompts agree, in a sentence."""
    import pandas

    (mapped,) = (pandas.DataFrame(r.result["map"]) for r in chapter.records if type(r.spec) is MapSpec)
    mapped = mapped.dropna(subset=["paraphrased"])
    words = correlation(mapped["definition"], mapped["paraphrased"])
    return f"Over {words.n} tasks, uncertainty by paraphrases and by dropped words have a rank correlation of {words}."


def figure_gains(chapter):
    """What each selection gains over a random one; the paper's gains in proportion."""
    return selecting.figure_gains(chapter, tested(chapter.frame), "0.01 nats a token")


def figure_map(chapter):
    """The first model's map of one seed, in groups, and the paper's."""
    return selecting.figure_map(chapter, maps(chapter))


def table_gains(chapter) -> str:
    """What each selection gains over a random one."""
    measures = {"value": f"likelihood, {UNIT}", "rouge": "ROUGE-L, points"}
    return selecting.table_gains(chapter, tested(chapter.frame), measures, "+.1f")


SETTINGS = {
    "model": ("T5-large LM-adapted, 770M, all weights", lambda s: f"{s.model}, LoRA of rank {s.tune.rank}"),
    "trained on": ("Super-NaturalInstructions", lambda s: licensed(s.pool)),
    "tested on": ("119 tasks of it, other categories", lambda s: f"{s.n_test} tasks of {licensed(s.test)}"),
    "first tasks, a selection, candidates": ("68, 68, 620", lambda s: f"{s.n_initial}, {s.n_select}, {s.n_candidates}"),
    "rounds": ("4", lambda s: s.n_rounds),
    "instances of a task, passes": ("200, 8", lambda s: f"{s.n_instances}, {s.passes:g}"),
    "rate, batch": ("5e-5, 128", lambda s: f"{s.tune.lr:g}, {s.tune.batch_size}"),
    "instances tested": ("100 (ROUGE-L)", lambda s: f"{s.n_test_instances} (likelihood), {s.n_written} (ROUGE-L)"),
    "instances n, prompts k, drop rate": ("10, 10, 0.2", lambda s: f"{s.n}, {s.k}, {s.drop_rate:g}"),
    "longest input": ("1,024 tokens", lambda s: f"{s.most_letters} letters"),
}


def licensed(pools) -> str:
    """Pools with their licences."""
    return ", ".join(f"{pool} ({described(pool).licence})" for pool in pools)


def table_settings(chapter) -> str:
    """The paper's settings beside ours, folded."""
    spec = next(spec for spec in chapter.specs if isinstance(spec, RoundsSpec))
    return tables.settings(chapter, spec, SETTINGS, "5 splits")
