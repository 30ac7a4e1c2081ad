"""Plans of data sets of invented laboratories, with peculiarities of real ones."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from mabe.bouts import Bout
from mabe.data.simulate.actions import is_self_action
from mabe.data.simulate.bout_script import write_script
from mabe.data.simulate.labs import LABS, Lab
from mabe.data.simulate.plan import (
    ANNOTATION_COLUMNS,
    DataSetPlan,
    VideoPlan,
    metadata_columns,
)
from mabe.data.simulate.random_signals import random_stream
from mabe.data.simulate.tracker_errors import Camera
from mabe.skeleton import ANIMALS

_PAST_END_FRAMES = 6


_QUIET_END_S = 1.5


_BORDER_CM = 2.0
"""Width of the border around the arena in the image."""


def plan_invented(
    *,
    videos: int,
    minutes: float,
    seed: int,
    actions: Sequence[str] = (),
    animals: int | None = None,
) -> DataSetPlan:
    """Return the plan of so many videos, from all laboratories in turns.

    With `actions` every laboratory watches for these instead of its own, and with
    `animals` it has so many, in an arena of as much room for each.
    """
    labs = [_watching_for(lab, actions) for lab in LABS] if actions else list(LABS)
    labs = [_with_animals(lab, animals) for lab in labs] if animals else labs
    rows, plans = [], []
    for number in range(videos):
        lab = labs[number % len(labs)]
        number_in_lab = number // len(LABS)
        plan = _plan_video(lab, number_in_lab, seconds=60 * minutes, seed=seed)
        plans.append(plan)
        rows.append(_describe(lab, number_in_lab, plan, animals, seconds=60 * minutes))
    columns = metadata_columns(animals or ANIMALS)
    return DataSetPlan(columns=columns, rows=tuple(rows), videos=tuple(plans))


def _with_animals(lab: Lab, animals: int) -> Lab:
    """Return a lab with groups of so many animals.

    The arena's sides grow so that each animal has as much room as before.
    """
    larger = (animals / lab.animals) ** 0.5
    arena = replace(
        lab.arena,
        width_cm=round(lab.arena.width_cm * larger, 1),
        height_cm=round(lab.arena.height_cm * larger, 1),
    )
    return replace(lab, animals=animals, arena=arena)


def _watching_for(lab: Lab, actions: Sequence[str]) -> Lab:
    return replace(
        lab,
        pair_actions=tuple(name for name in actions if not is_self_action(name)),
        self_actions=tuple(name for name in actions if is_self_action(name)),
        unwatched_self_actions=(),
    )


def _plan_video(
    lab: Lab, number_in_lab: int, *, seconds: float, seed: int
) -> VideoPlan:
    rng = random_stream("script", seed, lab.name, number_in_lab)
    frames = round(lab.fps * seconds)
    watched_nothing_happened = number_in_lab in lab.without_actions
    script_s = seconds - _QUIET_END_S if lab.labels_past_end else seconds
    bouts = write_script(
        seconds=script_s,
        fps=lab.fps,
        animals=lab.animals,
        pair_actions=() if watched_nothing_happened else lab.pair_actions,
        self_actions=(*lab.self_actions, *lab.unwatched_self_actions),
        rng=rng,
    )
    if lab.labels_past_end:
        bouts.append(_last_bout(lab, frames))
        frames += _PAST_END_FRAMES
    labelled = number_in_lab not in lab.unlabelled and not watched_nothing_happened
    return VideoPlan(
        lab=lab.name,
        video=str(100_000_000 + int(rng.integers(900_000_000))),
        seed=seed,
        frames=frames,
        animals=tuple(range(1, lab.animals + 1)),
        body_parts=lab.body_parts,
        arena=lab.arena,
        camera=Camera(
            fps=lab.fps,
            pixels_per_cm=lab.pixels_per_cm,
            width_px=_image_px(lab.arena.width_cm, lab),
            height_px=_image_px(lab.arena.height_cm, lab),
            missing_share=lab.missing_share,
            jitter_cm=lab.jitter_cm,
        ),
        bouts=tuple(bouts),
        annotation=_annotate(lab, number_in_lab, bouts, frames) if labelled else None,
        widths=lab.widths.holding(frames),
    )


def _last_bout(lab: Lab, frames: int) -> Bout:
    """Return a bout that ends after the stated duration of its video."""
    start = max(frames - round(lab.fps), 0)
    return Bout(
        start=start,
        stop=frames + _PAST_END_FRAMES - 2,
        action=lab.pair_actions[0],
        agent=1,
        target=2,
    )


def _annotate(
    lab: Lab, number_in_lab: int, bouts: Sequence[Bout], frames: int
) -> pa.Table:
    """Return the labels as this lab saves them."""
    labels = [
        (bout.agent, bout.target, bout.action, bout.start, bout.stop)
        for bout in bouts
        if bout.action not in lab.unwatched_self_actions
    ]
    if lab.has_empty_label and number_in_lab == 0:
        labels.append((1, 2, lab.pair_actions[0], frames // 2, frames // 2))
    widths = lab.widths.holding(frames)
    mouse, frame = pa.type_for_alias(widths.mouse), pa.type_for_alias(widths.frame)
    types = (mouse, mouse, pa.large_string(), frame, frame)
    values = zip(*labels, strict=True) if labels else [()] * len(types)
    columns = [
        pa.array(column, kind) for column, kind in zip(values, types, strict=True)
    ]
    return pa.table(columns, names=list(ANNOTATION_COLUMNS))


def _describe(
    lab: Lab,
    number_in_lab: int,
    plan: VideoPlan,
    animals: int | None,
    *,
    seconds: float,
) -> tuple[str, ...]:
    """Return the video's row of train.csv."""
    facts = {
        "lab_id": plan.lab,
        "video_id": plan.video,
        "frames_per_second": str(lab.fps),
        "video_duration_sec": str(round(seconds, 3)),
        "pix_per_cm_approx": str(lab.pixels_per_cm),
        "video_width_pix": str(plan.camera.width_px),
        "video_height_pix": str(plan.camera.height_px),
        "arena_width_cm": str(float(lab.arena.width_cm)),
        "arena_height_cm": str(float(lab.arena.height_cm)),
        "arena_shape": lab.arena_shape,
        "arena_type": lab.arena_type,
        "body_parts_tracked": json.dumps(lab.body_parts),
        "behaviors_labeled": _watched_cell(lab)
        if number_in_lab not in lab.unlabelled
        else "",
        "tracking_method": lab.tracking_method,
    }
    for mouse in plan.animals:
        facts[f"mouse{mouse}_strain"] = "simulated"
        facts[f"mouse{mouse}_color"] = "black" if mouse % 2 else "white"
        facts[f"mouse{mouse}_sex"] = "male" if mouse != 2 else "female"
        facts[f"mouse{mouse}_id"] = str(float(10 * number_in_lab + mouse))
        facts[f"mouse{mouse}_age"] = "8-12 weeks"
    columns = metadata_columns(animals or ANIMALS)
    return tuple(facts.get(column, "") for column in columns)


def _watched_cell(lab: Lab) -> str:
    """Return what the lab watched for, in its notation."""
    mice = [f"mouse{i + 1}" for i in range(lab.animals)]
    watched = [
        f"{agent},{target},{action}"
        for agent in mice
        for target in mice
        for action in lab.pair_actions
        if agent != target
    ]
    watched += [
        f"{mouse},self,{action}" for mouse in mice for action in lab.self_actions
    ]
    if lab.quotes_behaviours:
        # As in two real labs: repeated in quotes, mostly without the first of them.
        quoted = [one.replace(",", "','") + "'" for one in watched]
        watched += [f"'{quoted[0]}", *quoted[1 : len(quoted) // 2]]
    return json.dumps(sorted(watched))


def _image_px(side_cm: float, lab: Lab) -> int:
    return int(np.ceil((side_cm + 2 * _BORDER_CM) * lab.pixels_per_cm))
