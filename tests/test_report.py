import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from epochs import epoch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from view_stories import CLASSES, RULES, fight, scene

from mabe.bouts import View
from mabe.decoding.rules import DecisionRules
from mabe.decoding.view_predictions import ViewPredictions
from mabe.metrics.summary import Evaluation, score_video, summarise
from mabe.scene_task import TaskKind
from mabe.viz.colours import colours_of
from mabe.viz.downsampling import NEAR, average_columns, keep_corners
from mabe.viz.error_types import count_errors, find_wrong_bouts
from mabe.viz.report.contents import Check, Contents, Setting, TrainingCurve
from mabe.viz.report.page import render
from mabe.viz.report.wording import class_words, clock, error_words
from mabe.viz.result_summary import ResultSummary


def study_of(*views):
    study = ResultSummary.of_rules(RULES)
    for view in views:
        study.add(view)
    return study


def contents_of(study, **changes):
    facts = {
        "run": "checkpoints/fights",
        "data": "rats",
        "recordings": "2 recordings of data that it did not learn from",
        "notes": ("a note",),
        "study": study,
        "curves": (story(),),
        "class_frames": (),
        "settings": (Setting("epochs", "3", False), Setting("seed", "42", True)),
        "circumstances": (("mabe", "0.1.0"),),
        "checks": (Check(name="epochs", verdict="ok", found="3 of 3", advice=""),),
    }
    return Contents(**facts | changes)


def story(epochs=3):
    return TrainingCurve(
        name="run",
        epochs=tuple(
            epoch(
                n,
                n / 10,
                f1={"background": 0.5, "social": None, "aggressive": 0.1},
                train_loss=1 / n,
                val_loss=1.2 / n,
                learning_rate=1e-3 / n,
            )
            for n in range(1, epochs + 1)
        ),
        used_epoch=epochs,
    )


def test_a_late_start_is_an_edge_and_a_bout_nobody_found_is_missed():
    errors = count_errors(fight(), 2)

    assert errors.hit_s == 3
    assert errors.missed_edge_s == 1
    assert errors.missed_bout_s == 1
    assert errors.false_bout_s == 2
    assert errors.false_edge_s == 0
    assert (errors.annotated_bouts, errors.predicted_bouts) == (2, 2)
    assert (errors.missed_bouts, errors.false_bouts) == (1, 1)
    assert errors.matched_bouts == 1
    assert errors.start_delays_s == (1.0,)
    assert errors.stop_delays_s == (0.0,)
    assert errors.bout_f1 == 0.5


def test_what_nobody_watched_is_neither_missed_nor_false():
    view = scene(
        annotated=[(10, 50, 2)], predicted=[(0, 100, 2)], ignored=[(0, 10), (50, 100)]
    )
    errors = count_errors(view, 2)

    assert errors.hit_s == 4
    assert errors.false_bout_s == errors.false_edge_s == 0
    assert not find_wrong_bouts(view, 2)


@given(
    arrays(np.int64, 60, elements=st.integers(0, 2)),
    arrays(np.int64, 60, elements=st.integers(0, 2)),
)
def test_every_second_has_one_type(annotated, predicted):
    view = scene(
        [(f, f + 1, c) for f, c in enumerate(annotated)],
        [(f, f + 1, c) for f, c in enumerate(predicted)],
        frames=60,
    )
    for index in range(3):
        errors = count_errors(view, index)
        assert errors.annotated_s == pytest.approx((annotated == index).sum() / 10)
        assert errors.predicted_s == pytest.approx((predicted == index).sum() / 10)


def test_the_worst_bouts_are_the_longest_and_say_where_they_are():
    worst = study_of(fight()).longest_wrong_bouts(10)

    assert [(bout.is_missed, bout.start_s, bout.seconds) for bout in worst] == [
        (False, 6.0, 2.0),
        (True, 8.0, 1.0),
    ]
    assert worst[0].probability == pytest.approx(0.8)


@settings(max_examples=30)  # a thousand draws for the interval each
@given(
    arrays(np.int64, 80, elements=st.integers(-1, 2)),
    arrays(np.int64, 80, elements=st.integers(0, 2)),
)
def test_a_report_scores_as_evaluate_does(labels, found):
    view = scene(
        [(f, f + 1, max(c, 0)) for f, c in enumerate(labels)],
        [(f, f + 1, c) for f, c in enumerate(found)],
        frames=80,
        ignored=[(f, f + 1) for f, c in enumerate(labels) if c < 0],
    )
    summary = summarise(
        Evaluation(CLASSES, (score_video("Lab", "1", labels, found, 3),))
    )
    study = study_of(view)

    assert study.confusion.tolist() == summary.confusion.tolist()
    macro = study.confidence().score
    assert macro == pytest.approx(summary.macro_f1, nan_ok=True) or (
        summary.macro_f1 is None and np.isnan(macro)
    )


def test_a_pair_that_does_nothing_is_counted_as_nothing():
    labels = np.array([[1, -1], [0, -1], [0, -1], [0, -1]], np.int8)
    view = ViewPredictions(
        kind=TaskKind.PAIR,
        classes=("attack", "sniff"),
        lab="Lab",
        video="1",
        view=View(1, 2),
        track="t",
        fps=10.0,
        probabilities=np.zeros((4, 2), np.float32),
        labels=labels,
        chosen=np.array([-1, 0, -1, 1]),  # action 1 was not watched: not judged
    )
    assert view.confusion().tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 1]]


def test_the_interval_is_over_recordings_and_copies_stay_together():
    confidence = study_of(*goods_and_bads(3, 3)).confidence()

    assert confidence.low < confidence.score < confidence.high
    assert confidence.f1_interval[2][0] < 0.5 < confidence.f1_interval[2][1]
    copies = [replace(view, track="t") for view in goods_and_bads(3, 3)]
    assert np.isnan(study_of(*copies).confidence().low)  # one track, six names


def goods_and_bads(goods, bads):
    """Views of recordings with one bout, found in the good ones."""
    marked = [(10, 50, 2)]
    return [
        *(scene(marked, marked, video=f"good{n}") for n in range(goods)),
        *(scene(marked, [(60, 90, 1)], video=f"bad{n}") for n in range(bads)),
    ]


@pytest.mark.parametrize("recordings", [1, 2, 4])
def test_few_recordings_have_no_interval_and_it_says_so(recordings):
    study = study_of(*goods_and_bads(recordings, 0))
    confidence = study.confidence()
    assert np.isnan([confidence.low, confidence.high]).all()
    assert f"there {'is' if recordings == 1 else 'are'} {recordings}" in str(confidence)
    page = render(contents_of(study))
    assert "too few for an interval" in page
    assert f"an interval needs {5 - recordings} more" in page
    assert "precise" not in page.split("F1 is known")[1].split("</table>")[0]


def test_a_class_in_few_recordings_has_no_interval_of_its_own():
    views = goods_and_bads(3, 3)
    rare = scene([(10, 50, 1)], [(10, 50, 1)], video="rare")
    confidence = study_of(*views, rare).confidence()
    assert confidence.tracks_with.tolist()[1:] == [1, 6]
    assert np.isnan(confidence.f1_interval[1]).all()
    assert np.isfinite(confidence.f1_interval[2]).all()


def test_labs_and_recordings_come_worst_first():
    good = scene([(10, 50, 2)], [(10, 50, 2)], lab="A")
    bad = scene([(10, 50, 2)], [(30, 70, 2)], lab="B")
    study = study_of(good, bad)

    assert [each.lab for each in study.of_labs()] == ["B", "A"]
    assert [each.recording for each in study.of_recordings()] == ["B/1", "A/1"]


@given(
    arrays(
        np.float64,
        st.integers(1, 80),
        elements=st.floats(0, 1) | st.just(float("nan")),
    )
)
def test_a_curve_of_fewer_points_stays_near(values):
    corners = keep_corners(values)
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        assert corners == []
        return
    places, kept = np.array(corners).T
    between = np.interp(known, places, kept)
    assert np.abs(between - values[known]).max() <= 2 * NEAR + 1e-9


def test_a_flat_curve_is_two_points():
    assert keep_corners(np.full(1000, 0.3)) == [(0, 0.3), (999, 0.3)]


def test_columns_are_means_of_what_is_known():
    values = np.array([0, 1, np.nan, 0.5, np.nan, np.nan])
    np.testing.assert_allclose(average_columns(values, 3), [0.5, 0.5, np.nan])


class Page(HTMLParser):
    """Collects what a page refers to, and its bouts."""

    def __init__(self, html):
        super().__init__()
        self.loads, self.classes, self.ids, self.links = [], [], set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.loads += [attrs[k] for k in ("src", "srcset", "poster") if k in attrs]
        if tag == "link":
            self.loads.append(attrs.get("href"))
        if tag == "a":
            self.links.append(attrs["href"])
        self.ids.add(attrs.get("id"))
        self.classes += (attrs.get("class") or "").split()


def test_the_page_is_one_file_that_loads_nothing():
    html = render(contents_of(study_of(fight())))
    page = Page(html)

    assert page.loads == []
    assert not re.search(r"url\(|@import|https?://|fetch\(", html)
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))


def test_the_page_draws_every_annotated_and_predicted_bout():
    page = Page(render(contents_of(study_of(fight()))))

    assert page.classes.count("annotated") == 2
    assert page.classes.count("predicted") == 2


def test_the_page_answers_in_order():
    html = render(contents_of(study_of(fight())))
    questions = re.findall(r"<h2[^>]*>([^<]+)</h2>", html)

    assert questions == [
        "How good is it?",
        "Where does it fail?",
        "What does it predict?",
        "How was it trained?",
        "How reliable are the results?",
    ]


def test_names_from_files_are_text_and_never_markup():
    html = render(
        contents_of(
            study_of(scene([(10, 50, 2)], [], video="<script>alert(1)</script>")),
            run="<img src=x>",
            settings=(Setting("<b>", "</td><script>", False),),
        )
    )
    assert "<script>alert" not in html
    assert "<img" not in html
    assert html.count("<script>") == 1


def test_a_page_without_history_labels_or_checks_still_says_so():
    empty = scene([], [], ignored=[(0, 100)])
    html = render(
        contents_of(study_of(empty), curves=(), settings=(), checks=(), notes=())
    )
    assert "No score: none of the classes is annotated" in html
    assert "No training history" in html
    assert "nan" not in html.lower().replace("nano", "")


def test_runs_of_a_cross_validation_share_their_charts():
    html = render(contents_of(study_of(fight()), curves=(story(), story(2))))
    assert "Macro F1 on what each run held out" in html


def test_a_run_of_one_epoch_without_scores_is_drawn():
    one = epoch(1, None, learning_rate=0.0)
    html = render(
        contents_of(
            study_of(fight()),
            curves=(TrainingCurve(name="trees", epochs=(one,), used_epoch=1),),
        )
    )
    assert "Loss" in html


def test_the_page_of_many_recordings_stays_below_five_megabytes():
    rng = np.random.default_rng(0)
    starts = np.arange(0, 20_000, 20)
    study = study_of(
        *(
            scene(
                [(s, s + 10, 1 + s % 2) for s in starts.tolist()],
                [(s + 3, s + 9, 1 + s % 2) for s in starts.tolist()],
                frames=20_000,
                video=str(number),
                sure=rng.uniform(0.5, 0.9),
            )
            for number in range(40)
        )
    )
    html = render(contents_of(study))
    assert 1_000_000 < len(html.encode()) < 5_000_000
    assert "ethograms are drawn" in html


def test_pairs_are_named_and_nothing_is_a_column():
    view = fight()
    rules = DecisionRules.plain(TaskKind.PAIR, CLASSES)
    study = ResultSummary.of_rules(rules)
    study.add(replace(view, kind=TaskKind.PAIR, view=View(1, 1)))
    named = replace(view, video="2", animals=("Anna", "Ben"))
    study.add(replace(named, kind=TaskKind.PAIR, view=View(1, 2)))
    html = render(contents_of(study))
    assert "mouse1 itself" in html  # the lab gives no name
    assert "Anna → Ben" in html
    assert ">nothing</th>" in html


def test_plain_words_say_what_the_numbers_mean():
    errors = count_errors(fight(), 2)
    assert class_words("fights", errors) == (
        "fights: recall 60 % of the annotated time, "
        "precision 60 % of the predicted time."
    )
    assert "false bouts (1 of 2)" in error_words("fights", errors)


def test_clocks_go_over_the_hour():
    assert clock(59.99) == "0:59"
    assert clock(3727) == "1:02:07"


@given(st.lists(st.text(min_size=1), min_size=2, max_size=10, unique=True))
def test_up_to_nine_classes_have_colours_of_their_own(names):
    colours = colours_of(names, has_background=True)
    assert len(colours) == len(names)
    assert len(set(colours)) == len(names)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_every_colour_stands_out_from_its_ground():
    names = ["nothing", *map(str, range(9))]
    for colour in colours_of(names, has_background=True):
        on_white = 1.05 / (luminance(colour.on_light) + 0.05)
        on_black = (luminance(colour.on_dark) + 0.05) / (luminance("#14171b") + 0.05)
        assert on_white >= 3
        assert on_black >= 3


def test_predicted_time_stands_beside_annotated_time_with_its_bias():
    """Every bout is 10 frames too long, in five recordings of 100 frames."""
    study = study_of(
        *(
            scene([(10, 30 + 5 * n, 2)], [(10, 40 + 5 * n, 2)], video=str(n))
            for n in range(5)
        )
    )

    (_, (place, times)) = study.time_agreement()

    assert (place, times.n) == (2, 5)
    assert times.bias == pytest.approx(0.1)
    html = render(contents_of(study))
    assert "Predicted time against annotated time" in html
    assert ">+10.0</td>" in html
