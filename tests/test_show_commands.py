"""The commands that show something, on tiny runs of stories."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace

import pytest
import yaml
from chases import TINY_PAIRS, write_chases
from format_files import write_dlc_csv
from stories import TINY, write_fights

from mabe.bouts import SCENE, View
from mabe.cli.main import main
from mabe.errors import ConfigError, DataError, OutputError
from mabe.experiments.out_of_fold import read_out_of_fold
from mabe.inference.evaluate import (
    Unseen,
    compare,
    evaluate,
    evaluate_pairs,
    predict_unseen,
)
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import load_checkpoint
from mabe.viz.paper_figures import save
from mabe.viz.report.gather_contents import own_data, summarize_run
from mabe.viz.review.launch import (
    Place,
    default_out,
    find_place,
    open_session,
    outputs_of,
    rank,
    serve,
    source_folder,
)


def write_config(folder, story, **changes):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**story, "epochs": 2, **changes}))
    return path


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("seeing")


@pytest.fixture(scope="module")
def data(work):
    return write_fights(work / "fights", videos=6)


@pytest.fixture(scope="module", autouse=True)
def cache(work):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MABE_CACHE", str(work / "cache"))
        yield


@pytest.fixture(scope="module")
def run(work, data):
    config = write_config(work, TINY, data_dir=str(data), folds=3, epochs=6)
    place = work / "run"
    told = ["--quiet", "--tensorboard"]
    args = ["train", "--config", str(config), "--checkpoint-dir", str(place), *told]
    assert main(args) == 0
    return place


@pytest.fixture(scope="module")
def folds(work, data):
    config = write_config(work, TINY, data_dir=str(data))
    place = work / "folds"
    args = ["--config", str(config), "--checkpoint-dir", str(place), "--folds", "2"]
    assert main(["crossval", *args]) == 0
    return place


@pytest.fixture(scope="module")
def pairs(work):
    data = write_chases(work / "chases")
    config = write_config(work, TINY_PAIRS, data_dir=str(data))
    place = work / "pairs"
    args = ["train", "--config", str(config), "--checkpoint-dir", str(place)]
    assert main(args) == 0
    return place


def test_a_report_tells_what_evaluate_tells(run, data):
    predictor = Predictor(load_checkpoint(run))
    result = summarize_run(run, predictor)
    evaluation = evaluate(Unseen(predictor, data))

    assert result.study.confusion.tolist() == evaluation.confusion.tolist()
    assert "2 recordings" in result.recordings
    assert any("chose the best epoch" in note for note in result.notes)


def test_a_report_of_pairs_scores_as_the_strict_rules_do(pairs):
    predictor = Predictor(load_checkpoint(pairs))
    data = own_data(predictor.checkpoint)
    study = summarize_run(pairs, predictor).study
    strict = evaluate_pairs(Unseen(predictor, data)).strict

    assert strict is not None
    for action in strict.actions:
        place = study.classes.index(action.action)
        counts = sum(study.counts.values())[place]
        assert counts.tolist() == [
            action.label_frames,
            action.predicted_frames,
            action.hit_frames,
        ]


def test_a_pose_file_of_any_format_opens_for_review(run, tmp_path):
    (tmp_path / "tracks").mkdir()
    write_dlc_csv(tmp_path / "tracks" / "day1.csv")
    predictor = Predictor(load_checkpoint(run))
    for path in (tmp_path / "tracks", tmp_path / "tracks" / "day1.csv"):
        session = open_session(predictor, Place(path, None), out=tmp_path / "out")
        try:
            assert [source.name for source in session.sources] == ["tracks/day1"]
            assert session.describe(0)
        finally:
            session.close()


def stored(_predictor, store, index):
    """Work of an evaluation that returns the recording itself."""
    return store, index


def test_pairs_are_looked_at_at_their_own_frames(pairs):
    predictor = Predictor(load_checkpoint(pairs))
    data = own_data(predictor.checkpoint)
    unseen = Unseen(predictor, data)
    found = {video.video: video for video in compare(Unseen(predictor, data)).predicted}
    for store, index in unseen.process(stored):
        about = store.recordings[index]
        bouts = []
        for view in predictor.predict_views(store, index):
            assert len(view.decisions) == about.native_length
            bouts += [
                (start, stop, view.view.agent, view.view.target, action)
                for place, action in enumerate(view.classes)
                for start, stop in view.predicted_spans(place).tolist()
            ]
        expected = [
            (b.start, b.stop, b.agent, b.target, b.action)
            for b in found[about.video].bouts
        ]
        assert sorted(bouts) == sorted(expected)


def test_what_people_saw_where_nothing_can_be_found_is_missed(pairs):
    predictor = Predictor(load_checkpoint(pairs))
    data = own_data(predictor.checkpoint)
    store, index = next(Unseen(predictor, data).process(stored))
    task = predictor.checkpoint.model.task
    blind = replace(task, vocabulary={"Lab": frozenset()})
    predictor.checkpoint.model.task = blind
    try:
        views = list(predictor.predict_views(store, index))
    finally:
        predictor.checkpoint.model.task = task

    assert sorted(view.view for view in views) == [View(1, 2), View(2, 1)]
    assert sum(len(view.annotated_spans(0)) for view in views) == 3
    assert not any(len(view.predicted_spans(0)) for view in views)


@pytest.mark.parametrize("kind", ["run", "folds", "pairs"])
def test_mabe_report_writes_one_file(kind, request, tmp_path, capsys):
    out = tmp_path / "report.html"
    assert main(["report", str(request.getfixturevalue(kind)), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert f"✓ {out}" in told
    html = out.read_text(encoding="utf-8")
    assert "How good is it?" in html
    assert "macro F1" in html
    assert "polyline" in html  # curves of training
    assert 'class="checks"' in html


def test_every_recording_of_a_cross_validation_is_in_its_report(folds, data):
    result = summarize_run(folds, Predictor(load_checkpoint(folds)))
    assert "6 recordings" in result.recordings
    assert {p.recording for p in result.study.plots} == {
        f"Lab/{n}" for n in range(1, 7)
    }
    answers = read_out_of_fold(folds / "out_of_fold.npz")
    view = next(answers.decide(result.study.rules))
    assert (view.view, view.fps) == (SCENE, 33.3)


def test_a_run_writes_down_what_there_was_to_learn(run):
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    learned = {each["name"]: each["learned"] for each in facts["class_frames"]}
    assert learned["aggressive"] > 0 < learned["background"]


def test_predictions_of_unseen_recordings_leave_out_what_was_learned(run, data):
    unseen = Unseen(Predictor(load_checkpoint(run)), data)
    names = {view.name for view in predict_unseen(unseen)}
    assert len(names) == 2
    only = Unseen(unseen.predictor, data, only=frozenset(list(names)[:1]))
    assert [view.name for view in predict_unseen(only)] == list(names)[:1]


@pytest.mark.parametrize("ending", [".svg", ".pdf", ".png"])
@pytest.mark.parametrize("kind", ["ethogram", "traces", "confusion", "learning-curve"])
def test_pictures_for_papers_are_drawn_the_same_twice(kind, ending, run, tmp_path):
    outs = [tmp_path / f"{name}{ending}" for name in "ab"]
    for out in outs if ending == ".svg" else outs[:1]:
        assert main(["plot", kind, str(run), "--out", str(out)]) == 0
    head = {".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}[ending]
    assert outs[0].read_bytes().startswith(head)
    if ending == ".svg":
        assert outs[0].read_bytes() == outs[1].read_bytes()
        assert "<text" in outs[0].read_text()  # text stays text


def test_a_picture_of_pairs_and_of_folds_is_drawn(pairs, folds, tmp_path):
    for number, run in enumerate((pairs, folds)):
        for kind in ("ethogram", "traces", "confusion", "learning-curve"):
            out = tmp_path / f"{kind}{number}.svg"
            assert main(["plot", kind, str(run), "--out", str(out)]) == 0


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["plot", "confusion", "RUN", "--out", "x.gif"], "one of .svg, .pdf, .png"),
        (
            ["plot", "ethogram", "RUN", "--out", "x.svg", "--recording", "no"],
            "nothing to",
        ),
        (["report", "RUN", "--data", "nowhere"], "nowhere"),
        (["view", "RUN", "nowhere", "--no-browser"], "no recording nowhere"),
        (["view", "RUN", "Lab/1", "--out", "/dev/null/x"], "choose another --out"),
        (["view", "RUN", "Lab/1", "--video", "nowhere.mp4"], "no such video file"),
    ],
)
def test_what_the_user_can_mend_is_one_line(args, expected, run, capsys, tmp_path):
    args = [str(run) if each == "RUN" else each for each in args]
    assert main(args) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mabe: ")
    assert expected in error


def test_a_figure_is_not_saved_under_a_name_that_says_nothing(tmp_path):
    from matplotlib.figure import Figure

    with pytest.raises(OutputError, match="no ending"):
        save(Figure(), tmp_path / "picture")


# ── view ──


@pytest.mark.parametrize(
    ("data", "out"),
    [
        ("rats", "rats-corrected"),
        ("rats-corrected", "rats-corrected-2"),
        ("rats-corrected-2", "rats-corrected-3"),
    ],
)
def test_each_round_of_corrections_has_a_folder_beside_the_last(data, out, tmp_path):
    assert default_out(tmp_path / data, tmp_path / "run/best").name == out


def test_a_recording_is_a_file_a_folder_or_a_name(run, data):
    predictor = Predictor(load_checkpoint(run))
    path = data / "train_tracking/Lab/3.parquet"

    assert find_place(str(path), predictor, None) == Place(path, None)
    assert find_place("Lab/3", predictor, None).path == data
    session = open_session(predictor, find_place("3", predictor, None))
    assert [s.name for s in session.sources][:2] == ["Lab/3", "Lab/1"]
    learned = [session.describe(index)["trainedOn"] for index in range(6)]
    assert sum(learned) == 4  # of two it knows nothing
    assert session.corrections.root == data.with_name("fights-corrected")
    session.close()
    assert source_folder(path) == data
    assert default_out(None, run / "best.safetensors") == run / "corrected"


def test_suggestions_order_recordings_by_uncertainty(run, data, tmp_path):
    predictor = Predictor(load_checkpoint(run))
    session = open_session(predictor, Place(data, None), out=tmp_path)
    rank(session)
    uncertainty = [each["uncertainty"] for each in session.listing()]

    assert len(uncertainty) == 6
    assert uncertainty == sorted(uncertainty, reverse=True)
    for index in range(3):  # what is open still goes with its name
        assert session.open(index).recording.name == session.sources[index].name
    session.close()


def test_actions_of_classes_are_what_people_write(run):
    outputs = outputs_of(Predictor(load_checkpoint(run)))
    aggressive = outputs.actions_of[outputs.classes.index("aggressive")]
    assert "attack" in aggressive
    assert outputs.actions_of[0] == ()


def ask(address, token):
    """Return the recordings of a server that may still be starting."""
    headers = {"x-mabe-token": token}
    asked = urllib.request.Request(f"{address}api/recordings", headers=headers)
    for _ in range(200):
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server does not answer")


def test_mabe_view_serves_this_machine_until_it_is_stopped(run, tmp_path):
    code = "import sys; from mabe.cli.main import main; sys.exit(main(sys.argv[1:]))"
    given = ["view", run, "Lab/1", "--no-browser", "--out", tmp_path / "corrected"]
    command = [sys.executable, "-c", code, *map(str, given)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        told = [process.stdout.readline() for _ in range(3)]
        found = re.search(r"(http://127\.0\.0\.1:(\d+)/)#token=(\S+)", told[-1])
        address, port, token = found.groups()
        assert ask(address, token)[0]["name"] == "Lab/1"
        with socket.socket() as other, pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", int(port)))  # not on every address
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken_is_said(run, data, tmp_path):
    predictor = Predictor(load_checkpoint(run))
    session = open_session(predictor, Place(data, None), out=tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="leave it out"):
            serve(session, port=taken.getsockname()[1], open_browser=False)
    session.close()
    assert threading.active_count() < 20


def test_the_data_of_a_run_may_have_gone(run, data):
    predictor = Predictor(load_checkpoint(run))
    hidden = data.rename(data.with_name("elsewhere"))
    try:
        with pytest.raises(DataError, match="--data"):
            summarize_run(run, predictor)
        with pytest.raises(DataError, match="--data"):
            find_place("Lab/1", predictor, None)
        assert summarize_run(run, predictor, hidden).study.plots
    finally:
        hidden.rename(data)


# ── tensorboard ──


def test_tensorboard_shows_what_the_history_says(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    history = json.loads((run / "history.json").read_text(encoding="utf-8"))
    f1 = [(e.step, e.value) for e in events.Scalars("f1/macro")]

    assert f1 == [
        (record["epoch"], pytest.approx(record["f1_macro"])) for record in history
    ]
    assert "f1 of classes/aggressive" in events.Tags()["scalars"]
    assert not (run.parent / "pairs" / "tensorboard").exists()  # only if asked for
