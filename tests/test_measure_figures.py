"""Pictures of measures: what is in them, and that they are the same each time."""

import pytest
from observation_stories import observed

from mabe.io.metadata import Metadata, RecordingFacts
from mabe.measures.gather import Gathered
from mabe.measures.summary import SummarySettings, summarize

pytest.importorskip("matplotlib")

from mabe.viz.measure_figures import draw_all, rows_of, save_all


def story(*, undirected=()):
    """Six recordings of two named animals, half of them with a drug."""
    observations, facts, animals = [], {}, {}
    for number in range(6):
        key = "Lab", f"day{number}"
        names = (f"M{number}<", f"N{number}")
        bouts = [
            bout
            for at in range(0, 540, 90)
            for bout in (
                (at, at + 20 + number, "attack", 1, 2),
                (at + 40, at + 60, "flee", 2, 1),
            )
        ]
        each = observed(bouts, video=key[1], animals=names)
        observations.append(each.without_direction(undirected))
        facts[key] = RecordingFacts({"dose": "drug" if number % 2 else "saline"})
        animals[key] = names
    return Gathered(observations=observations, facts=Metadata(facts), animals=animals)


def texts(figure):
    """Return all texts of a figure."""
    return [text.get_text() for text in figure.findobj() if hasattr(text, "get_text")]


def test_each_picture_has_the_names_of_the_lab(tmp_path):
    summary = summarize(story(), SummarySettings(by=("dose",), bin_s=10.0))

    figures = draw_all(summary)

    # Each animal has one action, so there are no transitions to another.
    assert set(figures) == {"ethogram", "raster", "time_course", "durations"}
    shown = texts(figures["ethogram"])
    assert {"day0 M0<", "day5 N5", "drug", "saline", "attack"} <= set(shown)
    assert not any("mouse" in text for text in shown)
    assert "attack (n = 3, 3)" in texts(figures["time_course"])
    assert "attack (36 bouts)" in texts(figures["raster"])


def test_actions_without_direction_have_one_row_for_the_pair():
    summary = summarize(story(undirected=("attack", "flee")), SummarySettings())

    rows = rows_of(summary, "annotated")

    assert [row.name for row in rows][:2] == ["day0 M0< – N0", "day1 M1< – N1"]
    assert summary.tables["actions"]["n"].to_list() == [6, 6]
    assert "transitions" in draw_all(summary)


def test_the_same_measures_give_the_same_files_in_three_formats(tmp_path):
    summary = summarize(story(undirected=("attack", "flee")), SummarySettings())

    first = save_all(tmp_path / "one", draw_all(summary))
    again = draw_all(summary)
    few = {name: again[name] for name in ("time_course", "transitions")}
    second = save_all(tmp_path / "two", few)

    assert {path.suffix for path in first} == {".svg", ".pdf", ".png"}
    of_few = [path for path in first if path.stem in few]
    assert [path.read_bytes() for path in of_few] == [
        path.read_bytes() for path in second
    ]
