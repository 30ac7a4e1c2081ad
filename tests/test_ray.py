"""Folds, files and videos as tasks on a cluster of two machines, one of which dies.

Both machines are Ray nodes on this one, with a core each.
"""

import filecmp
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from stories import TINY, write_fights

from mabe.cli.executor_options import complete_words
from mabe.cli.main import main
from mabe.config import build_config
from mabe.data.prepare import prepare
from mabe.errors import ConfigError, DataError, RunError, StopRequested
from mabe.experiments.cross_validation import crossval
from mabe.experiments.out_of_fold import FILE_NAME
from mabe.inference.predict import Predictor, predict
from mabe.models.checkpoint import load_checkpoint
from mabe.runtime.executors import Processes
from mabe.runtime.ray_executor import RayCluster, is_address

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason='Ray is not installed: pip install "[ray]"')
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        # Workers do what functions of this file say.
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        cluster = Cluster(initialize_head=True, head_node_args=NODE)
        cluster.add_node(**NODE)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        cluster.wait_for_nodes()
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "data", videos=4)


@dataclass(frozen=True)
class Watched:
    """Ray, where something else happens beside the work."""

    beside: object
    place: Path
    ray: RayCluster = RayCluster()  # noqa: RUF009 - frozen
    threads: int = 1
    patience_s: float = 60

    def run(self, work, shared, tasks, **options):
        return self.ray.run(self.beside, (work, shared, self.place), tasks, **options)


def die_once(shared, task):
    """Let the first worker that has done a task die before it can tell."""
    work, own, flag = shared
    result = work(own, task)
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        return result
    os.kill(os.getpid(), signal.SIGKILL)


def note_the_machine(shared, fold_run):
    """Write down which machine works on a fold run."""
    import ray

    work, own, folder = shared
    node = ray.get_runtime_context().get_node_id()
    (folder / node).write_text(str(fold_run.run_dir), encoding="utf-8")
    return work(own, fold_run)


def same_files(one, other):
    left, right = (
        sorted(p.relative_to(root) for root in [place] for p in root.rglob("*"))
        for place in (one, other)
    )
    files = [path for path in left if (one / path).is_file()]
    return left == right and not any(
        not filecmp.cmp(one / path, other / path, shallow=False) for path in files
    )


def test_a_store_is_the_same_although_a_worker_died(cluster, fights, tmp_path):
    here = prepare(fights, tmp_path / "here", rate_fps=33.3, workers=1, progress=False)
    deadly = Watched(die_once, tmp_path / "died")

    prepare(fights, tmp_path / "ray", rate_fps=33.3, executor=deadly, progress=False)

    assert deadly.place.exists()
    assert len(here.recordings) == 4
    assert same_files(tmp_path / "here", tmp_path / "ray")


def test_the_same_is_found_on_ray_in_processes_and_here(cluster, fights, tmp_path):
    config = settings(fights, tmp_path / "run", epochs=2, steps_per_epoch=5)
    crossval(config, folds=2, seeds=1)
    predictor = Predictor(load_checkpoint(tmp_path / "run"))
    deadly = Watched(die_once, tmp_path / "died")

    found = predict(predictor, fights, tmp_path / "here")
    again = predict(predictor, fights, tmp_path / "ray", executor=deadly, device="auto")
    predict(predictor, fights, tmp_path / "two", executor=Processes(2), device="cpu")

    assert deadly.place.exists()
    assert found == again
    assert [video.video for video in found] == ["1", "2", "3", "4"]
    assert same_files(tmp_path / "here", tmp_path / "ray")
    assert same_files(tmp_path / "here", tmp_path / "two")


def test_a_bad_file_is_named_and_left_out_when_asked(cluster, tmp_path, capsys):
    data = write_fights(tmp_path / "data", videos=2, seconds=4)
    (data / "train_tracking" / "Lab" / "1.parquet").write_bytes(b"PAR1")

    code = main(["prepare", str(data), "--out", str(tmp_path / "store"), "--ray"])
    told = capsys.readouterr().err
    again = main(
        ["prepare", "--ray", str(data), "--out", str(tmp_path / "store"), "--skip-bad"]
    )

    assert code == 2
    assert "mabe: Ray: 2 machines, cores: 2, GPUs: 0" in told
    assert "1 of 2 recordings cannot be used" in told.splitlines()[-1]
    assert again == 3
    assert "✓ 1 recording," in capsys.readouterr().out


def test_a_command_with_ray_is_one_also_inside_a_step_of_slurm(
    cluster, tmp_path, monkeypatch, capsys
):
    data = write_fights(tmp_path / "data", videos=1, seconds=1)
    for name, value in (("STEP_NUM_TASKS", 4), ("PROCID", 0), ("LOCALID", 0)):
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "1")
    words = ["prepare", str(data), "--out", str(tmp_path / "store")]

    assert main(words) == 2
    assert main([*words, "--ray"]) == 0
    assert "✓ 1 recording," in capsys.readouterr().out


def settings(data, run, **changes):
    values = {**TINY, **changes, "data_dir": data, "checkpoint_dir": run}
    return build_config({**values, "store_dir": data.with_name("store")}, where="test")


def test_a_run_whose_machine_died_goes_on_on_another_and_ends_the_same(
    cluster, fights, tmp_path
):
    # Long enough that the machine dies before the end.
    long = {"epochs": 15, "early_stopping_patience": 0, "save_freq": 0}
    crossval(settings(fights, tmp_path / "here", **long), folds=2, seeds=1)
    run = tmp_path / "ray"
    watched = Watched(note_the_machine, tmp_path / "machines")
    watched.place.mkdir()
    node = next(iter(cluster.worker_nodes))
    note = watched.place / node.node_id

    def kill_a_machine_in_the_middle():
        until = time.monotonic() + 60
        while time.monotonic() < until:
            fold_run = note.read_text(encoding="utf-8") if note.exists() else ""
            if fold_run and (Path(fold_run) / "state.pt").exists():
                break
            time.sleep(0.01)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill_a_machine_in_the_middle)
    killer.start()
    crossval(settings(fights, run, **long), folds=2, seeds=1, executor=watched)
    killer.join()

    told = [path.read_text(encoding="utf-8") for path in run.glob("*/fold*.log")]
    assert sum("✓ Continuing from step" in each for each in told) == 1
    assert (run / FILE_NAME).read_bytes() == (
        tmp_path / "here" / FILE_NAME
    ).read_bytes()


def fail(_, kind):
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    raise {"ours": DataError("x.parquet: broken"), "bug": ZeroDivisionError("oops")}[
        kind
    ]


def test_errors_of_workers_arrive_as_they_are(cluster):
    with pytest.raises(DataError, match=r"^x\.parquet: broken$"):
        list(RayCluster().run(fail, None, ["ours"]))
    with pytest.raises(ZeroDivisionError, match="oops"):
        list(RayCluster().run(fail, None, ["bug"]))
    with pytest.raises(RunError, match="a worker died repeatedly"):
        list(RayCluster(retries=1).run(fail, None, ["die"]))


def linger(folder, name):
    """Wait for ever, and write down that one was asked to stop."""
    (folder / f"{name} began").touch()
    try:
        for _ in range(3_000):
            time.sleep(0.01)
    finally:
        (folder / f"{name} stopped").touch()


@pytest.fixture
def heard_interrupts():
    """A shell starts what runs in its background with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_interrupts")
def test_after_ctrl_c_workers_are_asked_to_stop(cluster, tmp_path):
    def appears(name, seconds):
        end = time.monotonic() + seconds
        while not (tmp_path / name).exists() and time.monotonic() < end:
            time.sleep(0.02)
        return (tmp_path / name).exists()

    def interrupt_when_begun():
        appears("a began", 60)
        os.kill(os.getpid(), signal.SIGINT)
        appears("a stopped", 30)

    thread = threading.Thread(target=interrupt_when_begun)
    thread.start()
    with pytest.raises(StopRequested, match="files that were finished are kept"):
        list(RayCluster().run(linger, tmp_path, ["a"], folders=[tmp_path]))
    thread.join()

    assert (tmp_path / "a stopped").exists()
    assert [path.name for path in tmp_path.glob(".mabe*")] == []


def test_a_machine_that_does_not_see_the_folders_says_so(cluster, tmp_path):
    class Elsewhere(type(tmp_path)):
        """A folder whose mark is nowhere to be seen, as on a disk not shared."""

        def resolve(self):
            return Gone(self)

    class Gone(type(tmp_path)):
        def touch(self):
            pass

    with pytest.raises(RunError, match="need a shared filesystem"):
        list(RayCluster().run(fail, None, ["ours"], folders=[Elsewhere(tmp_path)]))


def test_the_word_behind_ray_is_an_address_only_if_it_looks_like_one():
    assert complete_words(["prepare", "--ray", "data"]) == [
        "prepare",
        "--ray",
        "local",
        "data",
    ]
    assert complete_words(["--ray", "head:6379", "x"]) == ["--ray", "head:6379", "x"]
    assert complete_words(["prepare", "data", "--ray"])[-1] == "local"
    assert all(map(is_address, ["auto", "ray://10.0.0.1:10001", "[::1]:6379"]))
    assert not any(map(is_address, ["C:\\data", "s3://data/x", "--out", "data", ""]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ray", "--workers", "2"], "give one"),
        (["--cpus-per-task", "2"], "need --ray"),
        (["--ray=my data"], "expected nothing"),
        (["--ray", "localhost:1"], "no connection to a Ray cluster"),
    ],
)
def test_what_cannot_be_is_one_line(words, message, tmp_path, capsys, monkeypatch):
    pytest.importorskip("ray").shutdown()  # as where nothing was joined yet
    data = write_fights(tmp_path / "data", videos=1, seconds=1)

    assert main(["prepare", str(data), "--out", str(tmp_path / "s"), *words]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert message in told[0]


def test_without_the_extra_its_name_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    data = write_fights(tmp_path / "data", videos=1, seconds=1)

    assert main(["prepare", str(data), "--out", str(tmp_path / "s"), "--ray"]) == 2
    assert 'pip install "mabe[ray]"' in capsys.readouterr().err


def test_impossible_addresses_are_refused_before_anything_is_done():
    with pytest.raises(ConfigError, match="expected nothing"):
        RayCluster(address="nowhere")
