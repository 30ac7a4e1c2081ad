"""`mabe calibrate`: new decision rules for an existing model, without training.

The model's weights stay as they are. Its file is never changed: the model with the
rules to use is another file, with ``calibration.json`` beside it, which holds the
scores, the old rules and the file that they are of.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mabe.decoding.recalibration import FoldGain, Recalibrated, recalibrate
from mabe.errors import RunError
from mabe.inference.evaluate import Unseen, predict_annotated
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import SUFFIX, save_rules
from mabe.runtime.console import count, finite_or_none, format_score
from mabe.runtime.files import hash_file, write_json
from mabe.runtime.object_storage import full_path
from mabe.runtime.unfinished import finished_names

REPORT_NAME = "calibration.json"
_MODEL = f"best{SUFFIX}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """What `mabe calibrate` found, and the file that it wrote."""

    model: Path
    """The model with the rules to use."""
    of: Path
    """The model as it was, which is unchanged."""
    data: Path
    result: Recalibrated
    notes: tuple[str, ...]
    """Which recordings were left out, and why."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `calibration.json` holds them."""
        found = self.result
        low, high = found.gain_interval
        return {
            "model": str(self.model),
            "of": str(self.of),
            "of_hash": hash_file(self.of),
            "data": full_path(self.data),
            "rules": "new" if found.is_better else "kept",
            "way": found.way,
            "score": {
                "before": finite_or_none(found.score_before),
                "nested": finite_or_none(found.score_after),
                "gain_interval_95": [finite_or_none(low), finite_or_none(high)],
                "is_shown": found.is_shown,
            },
            "folds": [
                {
                    "recordings": list(each.recordings),
                    "before": finite_or_none(each.before),
                    "nested": finite_or_none(each.after),
                }
                for each in found.folds
            ],
            "calibration_error": {
                name: {
                    "before": finite_or_none(before.expected_error),
                    "nested": finite_or_none(after.expected_error),
                }
                for name, (before, after) in found.reliability.items()
            },
            "classes_without_labels": list(found.kept_classes),
            "notes": list(self.notes),
            "old_rules": json.loads(found.before.to_json()),
        }

    def to_text(self) -> str:
        """Return scores and what was decided, for the terminal."""
        found = self.result
        lines = [
            *self.notes,
            "",
            f"{'left out in turn':<40}{'before':>8}{'nested':>8}",
            *map(_fold_line, found.folds),
            f"{'all':<40}{format_score(found.score_before):>8}"
            f"{format_score(found.score_after):>8}",
            "",
            f"{'calibration error':<40}{'before':>8}{'nested':>8}",
            *(
                f"{name:<40}{format_score(before.expected_error):>8}"
                f"{format_score(after.expected_error):>8}"
                for name, (before, after) in found.reliability.items()
            ),
            "",
            *_conclusion(found),
        ]
        if found.kept_classes:
            names = ", ".join(found.kept_classes)
            lines.append(f"• Without labels here, so with the old rule: {names}")
        what = "New rules" if found.is_better else "The model's own rules"
        return "\n".join([*lines, f"✓ {what}: {self.model}", f"✓ Unchanged: {self.of}"])


def calibrate(
    predictor: Predictor, data: Path, out: Path | None = None, *, skip_bad: bool = False
) -> Calibrated:
    """Write a model with rules for recordings like those of `data`; return its scores.

    Of `data` those recordings are used that the model did not learn from. Without
    `out`, a folder, the new file is beside that of the model. Raises `RunError` where
    `out` holds something else, and `DataError` for fewer than three recordings.
    """
    checkpoint = predictor.checkpoint
    place = _place(checkpoint.path, out)
    unseen = Unseen(predictor, data, skip_bad=skip_bad)
    views = predict_annotated(unseen)
    found = recalibrate(views, checkpoint.rules)
    tuned_on = sorted({view.track for view in views}) if found.is_better else ()
    done = Calibrated(
        model=place, of=checkpoint.path, data=data, result=found, notes=unseen.notes()
    )
    report = done.to_json()
    save_rules(checkpoint, found.rules, tuned_on=tuned_on, path=place)
    write_json(place.with_name(_report_name(place)), report)
    return done


def _place(model: Path, out: Path | None) -> Path:
    """Return the file to write; raise `RunError` where something else is there."""
    if out is None:
        return model.with_name(f"{model.stem}-calibrated{SUFFIX}")
    own = {_MODEL, f"{Path(_MODEL).stem}.json", REPORT_NAME, "MODEL_CARD.md"}
    if out.exists() and (not out.is_dir() or not finished_names(out) <= own):
        raise RunError(f"{out}: holds something already; choose another --out")
    if (out / _MODEL).resolve() == model.resolve():
        raise RunError(
            f"{out}: is the folder of the model itself, which stays as it is; choose "
            "another --out, or leave it out"
        )
    return out / _MODEL


def _report_name(place: Path) -> str:
    return REPORT_NAME if place.name == _MODEL else f"{place.stem}.{REPORT_NAME}"


def _fold_line(fold: FoldGain) -> str:
    first, *others = fold.recordings
    name = f"{first} and {len(others)} more" if others else first
    name = name if len(name) <= 38 else f"…{name[-37:]}"
    return f"{name:<40}{format_score(fold.before):>8}{format_score(fold.after):>8}"


def _conclusion(found: Recalibrated) -> list[str]:
    """Return what was decided about the rules, and how sure that is."""
    if not found.is_better:
        why = (
            "no others scored better on recordings that did not choose them"
            if found.found == found.before
            else f"{found.way} did not score better on recordings that did not choose "
            "them, or only by a single one of them"
        )
        return [f"• Rules kept: {why}"]
    low, high = found.gain_interval
    number = count(
        len({name for f in found.folds for name in f.recordings}), "recording"
    )
    lines = [f"• Rules changed: {found.way}, {found.gain:+.3f} nested"]
    if found.is_shown:
        lines.append(f"• Gain shown: 95 % interval {low:+.3f} to {high:+.3f}, {number}")
    elif math.isfinite(low):
        lines.append(
            f"• Gain not shown: 95 % interval {low:+.3f} to {high:+.3f}, {number}; "
            "score more to be sure"
        )
    else:
        lines.append(
            "• Gain not shown: an interval needs "
            f"{count(found.fewest_to_show, 'recording')}, found {number}; score more "
            "to be sure"
        )
    return lines
