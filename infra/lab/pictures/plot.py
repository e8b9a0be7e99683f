"""The picture of the results page: recall by what was shown, everyone side by side."""

from pathlib import Path

from infra.lab.experiment.statistics import measured
from infra.lab.pictures.figures import VIEWS, CatalogFigures
from infra.lab.pictures.tables import CALLED, NAMES
from trainer.plot_style import COLORS, INK, new_figure, save

GREY = "#999999"  # one more than there are colours
WIDTH = 0.11  # of a bar; seven side by side leave room between the groups


def plot_recall(data: CatalogFigures, path: Path) -> Path:
    """A group of bars for each view, with 95 % intervals."""
    figure, axes = new_figure(f"{data.name}, sealed test: recall by what is shown", 9.0, 4.4)
    for number, name in enumerate(NAMES):
        views = [view for view in VIEWS if name in data.answers[view]]
        found = [measured(data.test, data.answers[view][name])["recall"] for view in views]
        middle = (len(NAMES) - 1) / 2
        axes.bar(
            [VIEWS.index(view) + (number - middle) * WIDTH for view in views],
            [share.value for share in found],
            WIDTH,
            yerr=[
                [max(share.value - share.low, 0.0) for share in found],
                [max(share.high - share.value, 0.0) for share in found],
            ],
            label=name,
            color=COLORS[number] if number < len(COLORS) else GREY,
            error_kw={"elinewidth": 0.8, "ecolor": INK},
        )
    axes.set_xticks(range(len(VIEWS)), [CALLED[view] for view in VIEWS])
    axes.set_ylabel("recall")
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return save(figure, path)
