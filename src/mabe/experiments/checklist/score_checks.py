"""Checks of scores for every class, and of the calibration of probabilities."""

from mabe.experiments.checklist.facts import ClassScore, Facts
from mabe.experiments.checklist.findings import Finding, Verdict, name_some
from mabe.experiments.checklist.limits import (
    ERROR_TO_KNOW,
    ERROR_TO_MEND,
    LEAST_BACKGROUND_RECALL,
    LEAST_CLASS_F1,
    LEAST_MACRO_F1,
)
from mabe.runtime.console import count, format_score, percent

_NO_SCORES = "no score on recordings it never saw"


def _how_to_ask(facts: Facts) -> str:
    """Say how a model comes to answers on recordings it never saw."""
    if len(facts.members) > 1:
        return "join runs that held out the same recordings, such as cross-validations"
    return "`mabe tune RUN` predicts what it held out; `mabe crossval` all recordings"


def check_macro_f1(facts: Facts) -> Finding:
    """Above 0.40 on recordings held out."""
    name = "macro F1"
    if facts.scores is None:
        return Finding(name, Verdict.SKIPPED, _NO_SCORES, _how_to_ask(facts))
    macro = facts.scores.macro_f1
    if macro is None:
        found = "no frame of the recordings held out can be scored"
        return Finding(name, Verdict.FAILED, found, "hold out labelled recordings")
    found = f"{macro:.3f} ({facts.scores.macro_from})"
    if macro > LEAST_MACRO_F1:
        return Finding(name, Verdict.OK, found)
    advice = (
        "train longer, label more, or group rare actions; the classes below "
        "have the lowest scores"
    )
    found = f"{found}; expected above {LEAST_MACRO_F1:.2f}"
    return Finding(name, Verdict.FAILED, found, advice)


def check_class_f1(facts: Facts) -> Finding:
    """Each class above 0.30; one without a held-out label is a warning."""
    name = "class F1"
    if facts.scores is None:
        return Finding(name, Verdict.SKIPPED, _NO_SCORES, _how_to_ask(facts))
    scored = {
        each.name: each.f1 for each in facts.scores.classes if each.f1 is not None
    }
    ranked = sorted(scored, key=lambda each: scored[each])
    details = tuple(f"{each} {scored[each]:.3f}" for each in ranked)
    low = [
        f"{each} {scored[each]:.2f}"
        for each in ranked
        if scored[each] <= LEAST_CLASS_F1
    ]
    if low:
        found = (
            f"{len(low)} of {len(scored)} not above {LEAST_CLASS_F1:.2f}: "
            f"{name_some(low)} ({facts.scores.classes_from})"
        )
        weights = "action_weights" if facts.kind == "pair" else "class_weights"
        advice = (
            f"label more of these, raise their weight in the loss ({weights}), or "
            "`mabe tune` to give each a threshold of its own"
        )
        return Finding(name, Verdict.FAILED, found, advice, details)
    if unscored := [each.name for each in facts.scores.classes if each.f1 is None]:
        found = f"no held-out label, so no score: {name_some(unscored)}"
        advice = (
            "`mabe crossval` holds out every recording once; or label some of these"
        )
        return Finding(name, Verdict.WARNING, found, advice, details)
    lowest = f"the lowest is {ranked[0]} {scored[ranked[0]]:.3f}"
    found = f"{lowest} ({facts.scores.classes_from})"
    return Finding(name, Verdict.OK, found, details=details)


def check_background(facts: Facts) -> Finding:
    """Of the frames in which nothing of interest happens, above 40 % are left alone."""
    name = "background recall"
    if facts.kind == "pair":
        found = "not applicable: a pair's actions have no background class among them"
        return Finding(name, Verdict.SKIPPED, found)
    if facts.scores is None:
        return Finding(name, Verdict.SKIPPED, _NO_SCORES, _how_to_ask(facts))
    first = facts.scores.classes[0]
    if first.recall is None:
        found = f"no held-out frame is labelled {first.name}"
        return Finding(name, Verdict.SKIPPED, found)
    frames = count(first.labelled, "frame")
    found = f"{percent(first.recall, digits=1)} of {frames} of {first.name}"
    if first.recall > LEAST_BACKGROUND_RECALL:
        return Finding(name, Verdict.OK, found)
    found += f"; expected above {percent(LEAST_BACKGROUND_RECALL)}"
    advice = "lower the class_weights of the other classes, or `mabe tune` thresholds"
    return Finding(name, Verdict.FAILED, found, advice)


def check_never_predicted(facts: Facts) -> Finding:
    """Every class that people saw is predicted somewhere."""
    name = "never predicted"
    if facts.scores is None:
        return Finding(name, Verdict.SKIPPED, _NO_SCORES, _how_to_ask(facts))
    labelled = [each for each in facts.scores.classes if each.labelled]
    never = [_with_frames(each) for each in labelled if not each.is_predicted]
    of_all = count(len(labelled), "class")
    if never:
        found = f"{len(never)} of {of_all} with labels: {name_some(never)}"
        advice = (
            "label more of these or weigh them more; `mabe tune` may find a threshold "
            "at which they appear; or leave them out of the config"
        )
        return Finding(name, Verdict.FAILED, found, advice, tuple(never))
    return Finding(name, Verdict.OK, f"none of {of_all} with labels")


def _with_frames(score: ClassScore) -> str:
    return f"{score.name} ({count(score.labelled, 'frame')})"


def check_calibration(facts: Facts) -> Finding:
    """Probabilities and frequencies agree, with the model's own rules if any."""
    name = "calibration"
    if facts.calibration is None:
        found = "no out-of-fold answers of this model"
        return Finding(name, Verdict.SKIPPED, found, _how_to_ask(facts))
    is_tuned = facts.calibration.is_tuned
    errors = {
        each.name: error
        for each in facts.calibration.classes
        if (error := each.refined if is_tuned else each.given) is not None
    }
    if not errors:
        found = "no labelled frame to compare with"
        return Finding(name, Verdict.SKIPPED, found)
    details = tuple(
        f"{each.name}: {format_score(each.given)} as given, "
        f"{format_score(each.refined)} by its rules"
        for each in facts.calibration.classes
    )
    given = {each.name: each.given for each in facts.calibration.classes}
    worst = max(errors, key=lambda each: errors[each])
    before = f" ({format_score(given[worst])} without them)"
    found = f"expected error up to {errors[worst]:.3f} ({worst}), " + (
        f"with its rules{before}" if is_tuned else "as given, there are no rules"
    )
    if errors[worst] <= ERROR_TO_KNOW:
        return Finding(name, Verdict.OK, found, details=details)
    verdict = Verdict.FAILED if errors[worst] > ERROR_TO_MEND else Verdict.WARNING
    advice = (
        "cross-validate and tune on more recordings; until then don't read its "
        "probabilities as probabilities"
        if is_tuned
        else "`mabe tune RUN` calibrates it"
    )
    return Finding(name, verdict, found, advice, details)
