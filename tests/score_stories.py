"""Solutions and submissions for tests, and the challenge's score made plain."""

import json
from collections import defaultdict

import polars as pl

PAIR = ["mouse1,mouse2,chase", "mouse1,mouse2,attack", "mouse1,self,rear"]
BOUT = ("video_id", "agent_id", "target_id", "action", "start_frame", "stop_frame")


def seen(*bouts, lab="Lab", listed=PAIR, **columns) -> list[dict]:
    """Return rows of a solution: people saw these bouts."""
    listed = listed if isinstance(listed, str) else json.dumps(listed)
    about = {"lab_id": lab, "behaviors_labeled": listed}
    return [row | about for row in said(*bouts, **columns)]


def said(*bouts, video=1, agent="mouse1", target="mouse2", action="chase"):
    """Return rows of a submission; a bout is (start, stop) or (start, stop, action)."""
    rows = []
    for start, stop, *name in bouts:
        what = name[0] if name else action
        rows.append(
            dict(zip(BOUT, (video, agent, target, what, start, stop), strict=True))
        )
    return rows


def tables(solution, submission) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return rows as the two frames."""
    return pl.DataFrame(solution), pl.DataFrame(submission)


def obvious_score(solution, submission, beta=1.0) -> float | None:
    """Score with sets of frames; None where two actions of a pair meet."""
    labs = defaultdict(list)
    for row in solution:
        labs[row["lab_id"]].append(row)
    scores = [obvious_lab_score(rows, submission, beta) for rows in labs.values()]
    return None if None in scores else sum(scores) / len(scores)


def obvious_lab_score(solution, submission, beta) -> float | None:
    """Score one lab by the rules of the challenge, word by word."""
    lists = {}
    for row in solution:
        lists.setdefault(row["video_id"], json.loads(row["behaviors_labeled"]))
    counted = [
        row for row in submission if entry(row) in lists.get(row["video_id"], [])
    ]
    true, found = frames_of(solution), frames_of(counted)
    if any(
        frame in found[other]
        for one in found
        for other in found
        if one[:3] == other[:3] and one[3] != other[3]
        for frame in found[one]
    ):
        return None
    scores = []
    for action in {key[3] for key in (*true, *found)}:
        labels = {(*key, f) for key in true if key[3] == action for f in true[key]}
        chosen = {(*key, f) for key in found if key[3] == action for f in found[key]}
        hits, wrong = len(labels & chosen), len(chosen - labels)
        weighed = (1 + beta**2) * hits + beta**2 * len(labels - chosen) + wrong
        scores.append((1 + beta**2) * hits / weighed if weighed else 0)
    return sum(scores) / len(scores)


def frames_of(rows) -> dict[tuple, set[int]]:
    """Return the frames that rows give each (video, agent, target, action)."""
    frames = defaultdict(set)
    for row in rows:
        key = (row["video_id"], row["agent_id"], row["target_id"], row["action"])
        frames[key].update(range(row["start_frame"], row["stop_frame"]))
    return frames


def entry(row) -> str:
    """Return how `behaviors_labeled` names what a row is of."""
    return f"{row['agent_id']},{row['target_id']},{row['action']}"
