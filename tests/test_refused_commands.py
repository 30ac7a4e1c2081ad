"""Commands that are refused leave nothing where they would have written."""

import shutil
from pathlib import Path

import pytest
from chases import write_chases
from format_files import write_dlc_csv
from kaggle_files import write_tracking

from mabe.cli.main import main
from mabe.errors import OutputError
from mabe.runtime.files import make_folder, removing_empty_folders, write_text

MODELS = Path(__file__).parent / "models_of_d8a304b"
RUN = MODELS / "pair_trees.safetensors"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MABE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Data that are sound, and some in which nothing can be used."""
    folder = tmp_path_factory.mktemp("inputs")
    write_chases(folder / "sound", videos=2, seconds=3)
    damaged = shutil.copytree(folder / "sound", folder / "damaged")
    for path in damaged.glob("train_tracking/Lab/*.parquet"):
        path.write_bytes(b"PAR1")
    other = shutil.copytree(folder / "sound", folder / "other_keypoints")
    for path in other.glob("train_tracking/Lab/*.parquet"):
        points = [(f, m, "elbow", 1.0 * f, 2.0) for f in range(75) for m in (1, 2)]
        write_tracking(other, points, video=path.stem)
    unlabelled = shutil.copytree(folder / "sound", folder / "unlabelled")
    shutil.rmtree(unlabelled / "train_annotation")
    (folder / "tracks").mkdir()
    write_dlc_csv(folder / "tracks" / "aDLC_x.csv")
    (folder / "empty").mkdir()
    return folder


REFUSED = {
    "predict, keypoints": ["predict", RUN, "other_keypoints"],
    "predict, damaged": ["predict", RUN, "damaged"],
    "submit": ["submit", RUN, "sound"],
    "export": ["export", "sound", "--to", "csv"],
    "evaluate": ["evaluate", RUN, "damaged", "--include-training"],
    "import": ["import", "empty"],
    "simulate": ["simulate", "--like", "empty"],
    "prepare": ["prepare", "damaged"],
    "train, damaged": ["train", "damaged"],
    "train, no labels": ["train", "unlabelled"],
    "train from": ["train", "unlabelled", "--from", RUN],
    "crossval": ["crossval", "--data-dir", "damaged", "--set", "task=pair"],
    "calibrate": ["calibrate", RUN, "damaged"],
    "distil": ["distil", RUN, "damaged"],
    "ensemble": ["ensemble", RUN, MODELS / "scene_v2.safetensors"],
    "check-submission": ["check-submission", "empty"],
    "summary": ["summary", "unlabelled"],
    "report": ["report", RUN, "--data", "damaged"],
    "video": ["video", RUN, "Lab/1", "--data", "damaged"],
    "plot ethogram": ["plot", "ethogram", RUN, "--data", "damaged"],
    "plot learning-curve": ["plot", "learning-curve", "empty"],
}
ENDINGS = {"submit": "csv", "report": "html", "video": "mp4", "plot": "svg"}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_command_leaves_no_folder(name, inputs, tmp_path, capsys):
    given = [inputs / w if (inputs / str(w)).is_dir() else w for w in REFUSED[name]]
    ending = ENDINGS.get(given[0])
    out = tmp_path / "new" / (f"out/it.{ending}" if ending else "out")
    match given[0]:
        case "simulate":
            given.insert(1, out)
        case "crossval":
            given += ["--checkpoint-dir", out]
        case _:
            given += ["--out", out]

    assert main([str(word) for word in given]) == 2, capsys.readouterr()

    assert "mabe: " in capsys.readouterr().err
    assert not (tmp_path / "new" / "out").exists()


@removing_empty_folders()
def write_and_be_refused(folder):
    make_folder(folder / "mine" / "a" / "b")
    make_folder(folder / "c" / "d")
    write_text(folder / "c" / "e" / "file.txt", "done before")
    raise OutputError("refused")


def test_what_was_there_or_holds_a_file_stays(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError, match="refused"):
        write_and_be_refused(tmp_path)

    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*"))
    assert left == ["c", "c/e", "c/e/file.txt", "mine"]
