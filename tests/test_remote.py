"""Data in object storage: in memory, and behind a server that speaks S3."""

import json
import logging
import shutil
import tempfile
from pathlib import Path

import fsspec
import pytest
from stories import TINY, write_fights

from mabe.cli.main import main
from mabe.config import RunConfig, build_config, dump_config
from mabe.data.prepare import default_store_path, load_store, prepare
from mabe.data.store import is_store, open_store
from mabe.errors import ConfigError, DataError, RunError
from mabe.inference.predict import Predictor, predict
from mabe.io.project import Project, project_beside
from mabe.io.readers import kaggle
from mabe.measures.gather import Options, gather
from mabe.models.checkpoint import load_checkpoint
from mabe.runtime.object_storage import as_url, display_path
from mabe.training.run import train
from mabe.training.skeleton_of_data import find_skeleton


@pytest.fixture
def data(tmp_path):
    return write_fights(tmp_path / "data", videos=3, seconds=4)


@pytest.fixture(autouse=True)
def quarters(tmp_path, monkeypatch):
    """Folders of one's own for what is kept and what is fetched for a while."""
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()


@pytest.fixture
def in_memory(data):
    memory = fsspec.filesystem("memory")
    memory.put(str(data), "/labs/mice", recursive=True)
    yield Path("memory://labs/mice")
    memory.rm("/labs", recursive=True)


def build(source, out):
    return prepare(source, out, rate_fps=33.3, workers=1, progress=False)


def poses_and_index(root):
    store = open_store(root)
    return store.poses_path.read_bytes(), (root / "index.json").read_bytes()


@pytest.fixture
def fetched(monkeypatch):
    """The names of the files of a data set that are fetched, as they are."""
    names = []

    def note(file, place, fetch=kaggle.fetch):
        names.append(file.name)
        fetch(file, place)

    monkeypatch.setattr(kaggle, "fetch", note)
    return names


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "gs://bucket/a/b",
        "memory://x/y",
        "file:///data/x",
        "abfs://c@a/x",
    ],
)
def test_a_path_made_of_a_url_gives_it_back(url):
    assert as_url(Path(url)) == display_path(Path(url)) == url
    config = RunConfig(data_dir=url)
    assert dump_config(config)["data_dir"] == url
    assert RunConfig(**dump_config(config)) == config


@pytest.mark.parametrize("path", ["data/kaggle", "/data", "a:b", "C:/data", "."])
def test_other_paths_are_no_urls(path):
    assert as_url(Path(path)) is None
    assert display_path(Path(path)) == str(Path(path))


def test_a_store_of_remote_data_is_that_of_the_same_data_on_disk(
    data, in_memory, tmp_path
):
    here = build(data, tmp_path / "here")
    there = build(in_memory, tmp_path / "there")

    assert poses_and_index(here.root) == poses_and_index(there.root)
    assert [(each.has_labels, len(each.bouts)) for each in there.recordings] == [
        (True, 1),
        (True, 0),
        (True, 1),
    ]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_only_what_changed_is_fetched_again(data, in_memory, tmp_path, fetched):
    build(in_memory, tmp_path / "store")
    assert sorted(fetched) == sorted(
        ["train.csv", *["1.parquet"] * 2] + [f"{n}.parquet" for n in (2, 2, 3, 3)]
    )

    fetched.clear()
    build(in_memory, tmp_path / "store")
    assert fetched == ["train.csv"]

    changed = data / "train_annotation" / "Lab" / "2.parquet"
    shutil.copy(data / "train_annotation" / "Lab" / "1.parquet", changed)
    memory = fsspec.filesystem("memory")
    memory.put(str(changed), "/labs/mice/train_annotation/Lab/2.parquet")
    fetched.clear()
    store = build(in_memory, tmp_path / "store")

    assert fetched == ["train.csv", "2.parquet", "2.parquet"]
    assert store.recordings[1].bouts == store.recordings[0].bouts

    # Put there anew: another version, although of the same size.
    again = "/labs/mice/train_annotation/Lab/3.parquet"
    memory.pipe(again, memory.cat(again))
    fetched.clear()
    build(in_memory, tmp_path / "store")

    assert fetched == ["train.csv", "3.parquet", "3.parquet"]


def test_the_same_is_found_in_remote_data_and_where_it_comes_from(
    data, in_memory, tmp_path
):
    values = {**TINY, "epochs": 1, "steps_per_epoch": 2, "data_dir": in_memory}
    run = train(
        build_config(values | {"checkpoint_dir": tmp_path / "run"}, where="")
    ).run_dir
    predictor = Predictor(load_checkpoint(run))

    predict(predictor, data, tmp_path / "here")
    predict(predictor, in_memory, tmp_path / "there")

    for name in ("bouts.csv", "provenance.json", "probabilities/Lab/1.parquet"):
        here, there = (tmp_path / place / name for place in ("here", "there"))
        assert here.read_bytes() == there.read_bytes()
    sources = json.loads((tmp_path / "there" / "provenance.json").read_text())[
        "sources"
    ]
    assert [each["file"] for each in sources] == [f"{n}.parquet" for n in (1, 2, 3)]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_prepared_store_is_fetched_once_and_again_when_it_is_another(
    data, in_memory, tmp_path
):
    memory = fsspec.filesystem("memory")
    url = Path("memory://labs/store")
    local = build(data, tmp_path / "store")
    memory.put(str(local.root), "/labs/store", recursive=True)

    first = load_store(url, rate_fps=33.3)
    kept = first.poses_path.stat().st_mtime_ns
    again = load_store(url, rate_fps=33.3)
    shutil.rmtree(local.root)
    other = build(write_fights(tmp_path / "other", videos=2), local.root)
    memory.rm("/labs/store", recursive=True)
    memory.put(str(other.root), "/labs/store", recursive=True)

    assert is_store(url)
    assert not is_store(in_memory)
    assert again.poses_path.stat().st_mtime_ns == kept
    now = load_store(url, rate_fps=33.3)
    assert now.recordings == other.recordings
    assert [path.name for path in now.root.glob("poses*")] == [other.poses_path.name]


def test_stores_of_the_same_url_are_kept_in_the_same_place(monkeypatch, tmp_path):
    place = default_store_path(Path("s3://bucket/mice/"), 33.3)
    monkeypatch.chdir(tmp_path)
    assert default_store_path(Path("s3://bucket/mice"), 33.3) == place
    assert place.name.startswith("mice-")


SNOUT = "skeleton: {snout: nose, body: body_center, rump: tail_base}\n"


def test_project_zones_and_facts_of_remote_data_are_read(in_memory, tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe("/labs/mice/project.yaml", SNOUT.encode())
    memory.pipe("/labs/mice/zones.csv", b"zone,x_cm,y_cm,radius_cm\nnest,0,0,9\n")
    index = memory.cat("/labs/mice/train.csv").decode().splitlines()
    rows = [index[0] + ",sex", *(f"{row},male" for row in index[1:])]
    memory.pipe("/labs/mice/train.csv", "\n".join(rows).encode())

    store = build(in_memory, tmp_path / "store")
    assert (store.root / "project.yaml").read_text(encoding="utf-8") == SNOUT
    found = find_skeleton(RunConfig(data_dir=in_memory), store)
    assert [guess.reason for guess in found.guesses] == ["as in project.yaml"]
    gathered = gather(in_memory, Options())
    assert {each.place for each in gathered.places} == {"nest"}
    facts = gathered.facts.recordings["Lab", "1"]
    assert facts.recording["sex"] == "male"
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_is_wrong_in_a_remote_project_is_said_of_its_url(in_memory):
    memory = fsspec.filesystem("memory")
    memory.pipe("/labs/mice/project.yaml", b"skelton: {}\n")
    with pytest.raises(ConfigError, match=r"memory://labs/mice/project.yaml: unknown"):
        project_beside(in_memory)
    memory.rm("/labs/mice/project.yaml")
    assert project_beside(in_memory) == Project()


def test_errors_name_the_url(data, in_memory, tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe("/labs/mice/train_tracking/Lab/2.parquet", b"PAR1")
    memory.rm("/labs/mice/train_tracking/Lab/3.parquet")

    with pytest.raises(DataError) as caught:
        build(in_memory, tmp_path / "store")

    told = str(caught.value)
    assert told.startswith("2 of 3 recordings cannot be used")
    assert "memory://labs/mice/train_tracking/Lab/2.parquet: cannot be read" in told
    assert "memory://labs/mice/train_tracking/Lab/3.parquet: no such" in told
    assert str(tmp_path) not in told
    with pytest.raises(DataError, match=r"memory://labs/none: no files here"):
        build(Path("memory://labs/none"), tmp_path / "store")
    with pytest.raises(
        DataError, match=r"memory://labs/mice/train_tracking: no videos"
    ):
        build(in_memory / "train_tracking", tmp_path / "store")
    with pytest.raises(RunError, match=r'unknown://x.*pip install "mabe\[cloud\]"'):
        build(Path("unknown://x"), tmp_path / "store")


@pytest.fixture(scope="module")
def s3():
    server = pytest.importorskip("moto.server", reason="no server that speaks S3")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    with pytest.MonkeyPatch.context() as patch:
        host, port = running.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield fsspec.filesystem("s3", skip_instance_cache=True)
    running.stop()


def test_a_bucket_is_a_data_directory(s3, data, tmp_path, capsys):
    s3.mkdir("labdata")
    s3.put(f"{data}/", "labdata/mice/", recursive=True)
    here = build(data, tmp_path / "here")

    words = ["s3://labdata/mice", "--out", str(tmp_path / "there"), "--workers", "2"]
    code = main(["prepare", *words])

    assert code == 0
    assert "✓ 3 recordings" in capsys.readouterr().out
    assert poses_and_index(here.root) == poses_and_index(tmp_path / "there")


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        ("s3://absent/mice", "somebody", "s3://absent/mice: no such bucket or file"),
        ("s3://labdata/mice", None, "Unable to locate credentials); log in"),
    ],
)
def test_what_s3_refuses_is_one_line(s3, url, key, message, monkeypatch, capsys):
    fsspec.filesystem("s3").clear_instance_cache()
    if key is None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "absent")

    assert main(["prepare", url]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert message in told[0]


def test_results_are_put_into_a_bucket(s3, data, tmp_path, capsys):
    type(s3).clear_instance_cache()  # of other credentials
    s3.mkdir("results")
    run = Path(__file__).parent / "models_of_d8a304b" / "scene_trees.safetensors"
    s3.put(str(run), "results/run/best.safetensors")
    words = ["s3://results/run", str(data), "--out"]
    assert main(["predict", *words, str(tmp_path / "out")]) == 0
    assert main(["predict", *words, "s3://results/new/out"]) == 0

    assert "s3://results/new/out/bouts.csv" in capsys.readouterr().out
    for path in (tmp_path / "out").rglob("*.*"):
        name = path.relative_to(tmp_path / "out").as_posix()
        assert s3.cat(f"results/new/out/{name}") == path.read_bytes()


def test_a_bucket_that_is_absent_is_one_line(s3, data, capsys):
    type(s3).clear_instance_cache()
    words = ["simulate", "s3://nowhere/data", "--videos", "1"]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mabe: s3://nowhere/data: no such bucket")
