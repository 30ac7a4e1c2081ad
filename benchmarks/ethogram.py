"""Draw an ethogram of held-out recordings: labels above, predicted below.

    python benchmarks/ethogram.py RUN DATA --out ethogram.png [--recordings 5]

The first recordings (by name) that the recogniser did not learn from are drawn.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from mabe.bouts import label_runs
from mabe.checkpoint import load_checkpoint
from mabe.prediction import Marker
from mabe.subjects import find_subjects
from mabe.tasks import SceneTask

NOT_COUNTED_COLOR = "#eeeeee"
USUAL_COLORS = {"social": "#56b4e9", "mating": "#009e73", "aggressive": "#e69f00"}
OTHER_COLORS = ["#cc79a7", "#0072b2", "#d55e00", "#f0e442"]
BACKGROUND_COLOR = "#d9d9d9"
"""After Okabe & Ito, for colour-blind readers too."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recordings", type=int, default=5)
    given = parser.parse_args()

    checkpoint = load_checkpoint(given.run)
    marker = Marker(checkpoint)
    task = checkpoint.recogniser.task
    if not isinstance(task, SceneTask):
        parser.error(f"{given.run}: tells who does what to whom; draw a scene's run")
    rows = []
    for subject in find_subjects(given.data, rate_fps=marker.rate_fps):
        store, index = subject.open()
        about = store.recordings[index]
        labels = task.frame_labels(about.bouts, about.looked_for, about.native_length)
        if about.tracking_hash in checkpoint.trained_on:
            continue
        if not (labels >= 0).any():
            continue
        marking = marker.mark(store, index)
        rows.append((about.name, about.fps, labels, marking.chosen))
        if len(rows) == given.recordings:
            break
    draw(rows, task.classes, given.out)
    print(f"✓ {given.out}: {len(rows)} recordings the recogniser did not learn from")


def draw(
    rows: list[tuple[str, float, np.ndarray, np.ndarray]],
    classes: tuple[str, ...],
    out: Path,
) -> None:
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(11, 0.95 * len(rows) + 0.9), squeeze=False, sharex=True
    )
    for axis, (name, fps, labels, chosen) in zip(axes[:, 0], rows, strict=True):
        draw_strip(axis, labels, fps, colors_of(classes), bottom=0.52)
        counted = np.where(labels < 0, -1, chosen)
        draw_strip(axis, counted, fps, colors_of(classes), bottom=0.0)
        axis.set_yticks([0.74, 0.22], ["labels", "mabe"], fontsize=8)
        axis.set_ylim(0, 0.96)
        axis.set_title(name, loc="left", fontsize=8, pad=2)
        axis.spines[["top", "right", "left", "bottom"]].set_visible(False)
        axis.tick_params(length=0, labelsize=8)
    axes[-1, 0].set_xlabel("minutes", fontsize=8)
    legend = [
        Patch(color=color, label=name)
        for color, name in zip(colors_of(classes), classes, strict=True)
    ]
    if any((labels < 0).any() for _, _, labels, _ in rows):
        legend.append(Patch(color=NOT_COUNTED_COLOR, label="not counted"))
    figure.legend(
        handles=legend, loc="upper right", ncols=len(legend), fontsize=8, frameon=False
    )
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def colors_of(classes: tuple[str, ...]) -> list[str]:
    """Return the same color for the same class in every picture."""
    others = iter(OTHER_COLORS * len(classes))
    named = [USUAL_COLORS.get(name) or next(others) for name in classes[1:]]
    return [BACKGROUND_COLOR, *named]


def draw_strip(
    axis: plt.Axes, labels: np.ndarray, fps: float, colors: list[str], bottom: float
) -> None:
    runs = label_runs(labels)
    colors = [
        colors[label] if label >= 0 else NOT_COUNTED_COLOR for label in runs[:, 2]
    ]
    spans = [(start / fps / 60, (stop - start) / fps / 60) for start, stop, _ in runs]
    axis.broken_barh(spans, (bottom, 0.44), facecolors=colors, linewidth=0)


if __name__ == "__main__":
    main()
