"""A folder of predictions, read back: what `mabe predict` has written.

Bouts are ``[start, stop)`` in the recording's own frames. Animals have the lab's names
where these are known, else ``mouse1`` …; a scene's bouts have no agent and no target.
An action on oneself has ``target == agent``.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mabe.bouts import name_animal
from mabe.errors import DataError
from mabe.provenance import PredictionProvenance, Source, read_provenance


@dataclass(frozen=True, slots=True, order=True)
class PredictedBout:
    """One stretch of one action, by name."""

    start: int
    stop: int
    action: str
    agent: str = ""
    target: str = ""
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class Predicted:
    """What was predicted of one recording."""

    source: Source
    bouts: tuple[PredictedBout, ...]

    @property
    def fps(self) -> float:
        """The recording's own rate."""
        return self.source.fps

    @property
    def animals(self) -> tuple[str, ...]:
        """The names that agents and targets may have."""
        named = {name for bout in self.bouts for name in (bout.agent, bout.target)}
        extra = sorted(named - set(self.source.animals) - {""})
        return (*self.source.animals, *extra)


@dataclass(frozen=True, slots=True)
class Predictions:
    """All recordings of a folder of predictions."""

    provenance: PredictionProvenance
    recordings: tuple[Predicted, ...]


def read_predictions(folder: Path) -> Predictions:
    """Return the bouts of a folder that `mabe predict` wrote.

    Raises `DataError` where its files are absent, broken or do not fit together.
    """
    provenance = read_provenance(folder)
    path = folder / "bouts.csv"
    try:
        table = pl.read_csv(
            path, schema_overrides={"lab": pl.String, "video": pl.String}
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read: {reason}; predict again.") from None
    names = {(each.lab, each.video): _names(each) for each in provenance.sources}
    bouts: dict[tuple[str, str], list[PredictedBout]] = defaultdict(list)
    for row in table.iter_rows(named=True):
        of = row["lab"], row["video"]
        if of not in names:
            raise DataError(
                f"{path}: has bouts of {of[0]}/{of[1]}, of which provenance.json does "
                "not know; predict again."
            )
        agent = names[of].get(row.get("agent") or "", row.get("agent") or "")
        target = row.get("target") or ""
        bouts[of].append(
            PredictedBout(
                row["start_frame"],
                row["stop_frame"],
                str(row.get("action") or row.get("class")),
                agent,
                agent if target == "self" else names[of].get(target, target),
                row["probability"],
            )
        )
    return Predictions(
        provenance,
        tuple(
            Predicted(each, tuple(sorted(bouts[each.lab, each.video])))
            for each in provenance.sources
        ),
    )


def _names(source: Source) -> dict[str, str]:
    """Return the lab's names of ``mouse1`` …, where they tell the animals apart."""
    if len(set(source.animals)) < len(source.animals):
        return {}
    return {
        name_animal(number): name for number, name in enumerate(source.animals, start=1)
    }
