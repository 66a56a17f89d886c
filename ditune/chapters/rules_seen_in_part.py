"""07, its second half: what models do with rules of which training has shown both sides, one, or neither (T6, T7)."""

import numpy as np

from ..report import plots, stats
from ..report.ledger import Claim, Finding
from ..report.stats import OPEN, interval

PROBED = "probed"
"""The kind of these runs in the table of the chapter."""
WHICH = ("trained rule", "y of another", "new y", "new x", "new rule")
"""What a probe asks for: rules put together from the sides of training rules and of unseen ones."""
ANSWERS = {
    "right": plots.BLUE,
    "y learnt with this x": plots.PURPLE,
    "copy of the input": plots.VERMILION,
    "other": plots.GREEN,
}


def recombined(frame, which=min):
    """The fewest rules probed, or the most, and there the loss by seed."""
    rows = frame[(frame["kind"] == PROBED) & (frame["position"] == "learned")]
    rows = rows[rows["n_rules"] == which(rows["n_rules"])]
    return int(rows["n_rules"].iloc[0]), stats.by_seed(rows, WHICH[0]) - stats.by_seed(rows, WHICH[1])


def by_heart(frame) -> Finding:
    """T6."""
    n, loss = recombined(frame)
    found = interval(loss)
    return Finding(stats.decide(found, 0.5), f"With {n:,} rules the loss is {found}.", found, stats.smallest(loss))


def carried_out(frame) -> Finding:
    """T7."""
    (few, below), (many, above) = recombined(frame), recombined(frame, max)
    rest = below / 4 - above
    text = f"With {many:,} rules the loss is {interval(above)}, with {few:,} it is {interval(below)}."
    outcome = stats.decide(interval(rest)) if few < many else OPEN
    return Finding(outcome, text, interval(above), stats.smallest(rest))


SOURCE = "this study"
LOSS = "the loss: exact match on trained rules less that on trained x with another trained y, learned positions"
CLAIMS = (
    Claim(
        "T6", "Below the threshold models know rules by heart: a known x with another known y fails.", SOURCE, LOSS,
        "At the fewest rules probed the loss is above 0.5.", "More is lost than is left.", by_heart,
    ),
    Claim(
        "T7", "Above the threshold a known x with another known y is rewritten like a trained rule.", SOURCE, LOSS,
        "At the most rules probed the loss is below a quarter of that at the fewest.",
        "Three quarters of the loss are gone.", carried_out,
    ),
)  # fmt: skip


def figure_answers(chapter):
    """What probed models answer, by what they have seen of a rule: mean shares as bars, right ones by seed as marks."""
    rows = chapter.frame[chapter.frame["kind"] == PROBED]
    cells = list(rows.groupby(["n_rules", "position"]))
    figure, axes = plots.panels(-(-len(cells) // 2), 2, height=1.6, sharex=True, sharey=True)
    for ax, ((n, position), cell) in zip(axes, cells):
        for y, which in enumerate(WHICH):
            one, left = cell[cell["eval"] == which], 0.0
            shares = [one["exact_match"], one["memorised"].fillna(0.0), one["copies"]]
            for share, color in zip([*shares, 1 - sum(shares)], ANSWERS.values()):
                ax.barh(y, share.mean(), left=left, height=0.72, color=color)
                left += share.mean()
            plots.points(
                ax,
                one["exact_match"],
                y + 0.3 * np.linspace(-1, 1, len(one)),
                one["key"].isin(list(chapter.again)),
                color=plots.BLACK,
            )
        ax.set(yticks=range(len(WHICH)), yticklabels=WHICH, ylim=(len(WHICH) - 0.5, -0.5), xlim=(-0.03, 1.03))
        ax.set(title=f"{position}, {n:,} rules", xlabel="share of the answers")
        ax.label_outer()
    for name, color in ANSWERS.items():
        axes[0].plot([], [], "s", color=color, label=name)
    plots.legend(figure, axes)
    return plots.finished(figure, rows)
