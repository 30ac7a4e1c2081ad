"""Whether it was trained long enough, without memorising, nor on what judges it."""

import numpy as np
from jaxtyping import Float

from mabe.experiments.checklist.facts import Facts, MemberFacts, TrainingFacts
from mabe.experiments.checklist.findings import Finding, Verdict, name_some
from mabe.experiments.checklist.limits import (
    FEWEST_EPOCHS_TO_JUDGE,
    LEAST_EPOCHS,
    LEAST_LOSS,
    RISE_TO_KNOW,
    RISE_TO_MEND,
)
from mabe.runtime.console import count, percent
from mabe.training.best_epoch import ranked_f1

_NO_HISTORY = "no history of epochs belongs to this model"


_CHECK_RUNS = "check the run directories that it was made of, each by itself"


def check_epochs(facts: Facts) -> Finding:
    """At least 50 epochs, or stopped early because nothing got better.

    A run whose learning rate was planned to fall to its end over fewer epochs, and did,
    has settled too: that is a warning. Of several runs the worst is reported.
    """
    name = "epochs"
    if not facts.trainings:
        return Finding(name, Verdict.SKIPPED, _NO_HISTORY, _CHECK_RUNS)
    judged = [_judge_length(run) for run in facts.trainings]
    details = tuple(f"{f.verdict}: {f.found}" for f in judged)
    for verdict in (Verdict.FAILED, Verdict.WARNING):
        if of_kind := [each for each in judged if each.verdict is verdict]:
            more = f" ({len(of_kind)} of {len(judged)} runs)" * (len(judged) > 1)
            found = of_kind[0].found + more
            return Finding(name, verdict, found, of_kind[0].advice, details)
    shortest = min(len(run.epochs) for run in facts.trainings)
    found = judged[0].found
    if len(judged) > 1:
        found = f"{len(judged)} runs, the shortest of {count(shortest, 'epoch')}"
    return Finding(name, Verdict.OK, found, details=details)


def _judge_length(run: TrainingFacts) -> Finding:
    done = len(run.epochs)
    progress = f"{run.name}: {done} of {count(run.planned_epochs, 'epoch')}"
    if is_stopped_early(run):
        found = (
            f"{progress}, stopped early after {run.patience} without a better macro F1"
        )
        return Finding("", Verdict.OK, found)
    if done < run.planned_epochs:
        return Finding(
            "",
            Verdict.FAILED,
            f"{progress}, not finished",
            f"`mabe train --checkpoint-dir {run.name} --resume` continues it",
        )
    if done >= LEAST_EPOCHS:
        return Finding("", Verdict.OK, progress)
    found = f"{progress}, fewer than {LEAST_EPOCHS}"
    if run.is_annealed:
        return Finding(
            "",
            Verdict.WARNING,
            f"{found}, though the learning rate has come to its end",
            f"try a longer run (--set epochs={LEAST_EPOCHS}), unless it is "
            "known to have no effect",
        )
    advice = (
        f"train longer: --resume --set epochs={LEAST_EPOCHS}, or set "
        "early_stopping_patience, so that it ends when nothing gets better"
    )
    return Finding("", Verdict.FAILED, found, advice)


def is_stopped_early(run: TrainingFacts) -> bool:
    """Tell whether the last better epoch is as long ago as the run has patience."""
    scores = [ranked_f1(epoch) for epoch in run.epochs]
    since_best = len(scores) - 1 - scores.index(max(scores))
    return bool(run.patience) and since_best >= run.patience


def check_validation_loss(facts: Facts) -> Finding:
    """Compare the held-out loss of what is used with the lowest it has been.

    Losses are averaged with the epochs beside them, as single ones jump. Judged is the
    rise above the lowest so far: in the epoch that is used hard, at the end of training
    as a warning, since what came after the epoch in use does no harm.
    """
    name = "validation loss"
    if not facts.trainings:
        return Finding(name, Verdict.SKIPPED, _NO_HISTORY, _CHECK_RUNS)
    long = [r for r in facts.trainings if len(r.epochs) >= FEWEST_EPOCHS_TO_JUDGE]
    if not long:
        found = f"fewer than {FEWEST_EPOCHS_TO_JUDGE} epochs, too few to see a trend"
        return Finding(name, Verdict.SKIPPED, found, "train longer")
    rises = {run.name: (rises_of(run)[run.used_epoch - 1], run) for run in long}
    used, worst_run = max(rises.values(), key=lambda each: each[0])
    ends = {run.name: rises_of(run)[-1] for run in long}
    end = max(ends.values())
    details = tuple(
        f"{run.name}: {100 * rise:+.0f} % in epoch {run.used_epoch}, which is used; "
        f"{100 * ends[run.name]:+.0f} % at the end"
        for rise, run in rises.values()
    )
    if max(used, end) <= RISE_TO_KNOW:
        found = f"within {percent(max(used, end))} of its lowest, up to the end"
        return Finding(name, Verdict.OK, found, details=details)
    if used > RISE_TO_KNOW:
        verdict = Verdict.FAILED if used > RISE_TO_MEND else Verdict.WARNING
        found = (
            f"{worst_run.name}: {percent(used)} above its lowest in epoch "
            f"{worst_run.used_epoch}, which is used; {_training_trend(worst_run)}"
        )
    else:
        verdict = Verdict.WARNING
        run_name = max(ends, key=lambda each: ends[each])
        found = (
            f"{run_name}: {percent(end)} above its lowest at the end, not where it is "
            "used"
        )
    advice = (
        "it memorises: more recordings or augmentation, higher dropout or "
        "weight_decay, a smaller network, or fewer epochs"
    )
    return Finding(name, verdict, found, advice, details)


def rises_of(run: TrainingFacts) -> Float[np.ndarray, " epochs"]:
    """Return, for each epoch, how far the loss is above its lowest up to then."""
    losses = np.array([epoch.val_loss for epoch in run.epochs])
    beside = np.ones(3)
    smooth = np.convolve(losses, beside, "same") / np.convolve(
        np.ones_like(losses), beside, "same"
    )
    lowest = np.minimum.accumulate(smooth)
    return (smooth - lowest) / np.maximum(lowest, LEAST_LOSS)


def _training_trend(run: TrainingFacts) -> str:
    """Say whether the training loss went the other way, which is to memorise."""
    first, used = run.epochs[0].train_loss, run.epochs[run.used_epoch - 1].train_loss
    way = "fell" if used < first else "rose too"
    return f"the training loss {way}, {first:.3f} to {used:.3f}"


def check_leaks(facts: Facts) -> Finding:
    """Nobody learned from a recording that judges it, by the content of the tracks.

    Held against each other are: what each member learned from and what chose its epoch;
    what it learned from and what its out-of-fold answers are of; and the answers of all
    members together, each of which some member must be able to have given unseen.
    """
    name = "leaks"
    known = facts.data.names_of if facts.data else {}
    named = {track: " = ".join(names) for track, names in known.items()}
    leaks = [
        f"{member.name} learned from {named.get(track, f'track {track}')}, on which "
        "it is judged"
        for member in facts.members
        for track in sorted(leaked_tracks(member))
    ]
    leaks += [
        f"{named.get(track, f'track {track}')} is predicted out of fold, but no "
        "member can have predicted it without learning from it"
        for track in sorted(unexplained_tracks(facts))
    ]
    if leaks:
        advice = (
            "its scores are too good: train again with a fresh --checkpoint-dir, which "
            "deals copies of a track to one side"
        )
        found = f"{count(len(leaks), 'leak')}: {name_some(leaks, 1)}"
        return Finding(name, Verdict.FAILED, found, advice, tuple(leaks))
    if not any(member.validated_on or member.answered for member in facts.members):
        found = "nothing was held out, so there is nothing to compare"
        return Finding(name, Verdict.SKIPPED, found)
    return Finding(
        name, Verdict.OK, _describe_separation(facts), details=_copies(facts)
    )


def leaked_tracks(member: MemberFacts) -> frozenset[str]:
    """Return the tracks that a member learned from and is judged on."""
    return member.trained_on & (member.validated_on | member.answered)


def unexplained_tracks(facts: Facts) -> frozenset[str]:
    """Return the tracks answered together that no member can have answered unseen.

    Where members keep answers of their own, those have to hold it; else it is enough
    that some member did not learn from it.
    """
    able: set[str] = set()
    keep_own = any(member.answered for member in facts.members)
    for member in facts.members:
        able |= (member.answered if keep_own else facts.answered) - member.trained_on
    return facts.answered - able


def _describe_separation(facts: Facts) -> str:
    judged = frozenset[str]().union(
        facts.answered, *(m.validated_on | m.answered for m in facts.members)
    )
    found = (
        f"none of {count(len(judged), 'held-out track')} was learned from by the "
        f"model that predicted it ({count(len(facts.members), 'model')})"
    )
    if facts.data and (copies := _copies(facts)):
        found += f"; {count(len(copies), 'track')} under several names"
    return found


def _copies(facts: Facts) -> tuple[str, ...]:
    """Return the names of each track that has several."""
    if facts.data is None:
        return ()
    several = (names for names in facts.data.names_of.values() if len(names) > 1)
    return tuple(" = ".join(names) for names in several)
