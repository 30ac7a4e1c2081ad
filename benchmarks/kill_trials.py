"""Kill commands at random moments; the same command again must end as if undisturbed.

    python benchmarks/kill_trials.py WORK [--count 10] [--seed 0] [--only predict ...]

WORK is a folder for simulated data, models and results. Each command runs undisturbed
once. Then, so many times, it is killed (SIGKILL, with its workers) at a random moment
of that duration, every third time twice in a row, and run again to its end. Its exit
code has to be 0, its files those of the undisturbed run (but for times of day), and
nothing half-written may be left. `mixed` predicts with a second model into the folder
of a first one, is killed, and exports: what is exported has to be of one model, with
its provenance. Prints a table; exits with 1 on any fault. Linux and macOS.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import mabe.experiments.ensembling
import mabe.measures.summary
import mabe.viz.report.write_report  # noqa: F401 - loaded once, then forked
from mabe.cli.main import main as mabe_main
from mabe.io.readers.kaggle import read_index
from mabe.training.run_directory import is_begun
from mabe.viz.review.corrections import CorrectedLabels, Corrections

VOLATILE = re.compile(
    r"run\.json|state\.pt|history\.json|sources\.json|.*\.(xlsx|lock)"
)
"""Files that hold a time, or the place of a file."""

TINY = {
    "classes": {"other": [], "social": ["chase", "approach", "sniff"]},
    "model_type": "tcn",
    "tcn_width": 8,
    "tcn_layers": 2,
    "sequence_length": 32,
    "batch_size": 8,
    "epochs": 2,
    "steps_per_epoch": 20,
    "save_every_s": 0.2,
    "device": "cpu",
}


def start(work: Callable[[], int], log: Path) -> int:
    """Do work in a forked process with a group of its own; return its id."""
    process = os.fork()
    if process:
        os.setpgid(process, process)  # else a kill at once is one of this process
        return process
    os.setpgid(0, 0)
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            code = work()
        except BaseException as error:
            print(repr(error), flush=True)
            code = 99
        sys.stdout.flush()
        os._exit(code)


def finish(process: int) -> int:
    """Return the exit code of a process; negative where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill_after(process: int, seconds: float) -> int:
    """Kill a process and its group after some time; return its exit code."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(process, signal.SIGKILL)
    return finish(process)


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the content of each file below a folder, but for volatile ones.

    Labels of an earlier session that corrections have set aside are left out.
    """
    return {
        path.relative_to(folder).as_posix(): b""
        if VOLATILE.fullmatch(path.name)
        else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.name.endswith(".lock")
        and ".earlier-" not in path.name
    }


def run(*words: object) -> int:
    """Run a command in this process."""
    return mabe_main([str(word) for word in words])


def make_materials(work: Path) -> None:
    """Simulate data, and train two models and a folder of predictions."""
    data, first, second = (work / name for name in ("data", "first", "second"))
    (work / "tiny.json").write_text(json.dumps(TINY))
    (work / "raw").mkdir(exist_ok=True)
    if not (data / "train.csv").is_file():
        run("simulate", data, "--videos", 8, "--minutes", 0.5, "--seed", 1)
    for path in [*data.glob("train_tracking/*/*.parquet")][:3]:
        shutil.copy(path, work / "raw" / f"{path.stem}.parquet")
    train = ("train", "--config", work / "tiny.json", "--data-dir", data, "--out")
    for run_dir, seed in ((first, 1), (second, 2)):
        if not (run_dir / "best.safetensors").is_file():
            run(*train, run_dir, "--set", f"seed={seed}")
    run("predict", first, data, "--out", work / "predicted", "--workers", 1)


def save_corrections(out: Path, data: Path) -> int:
    """Save the labels of every recording as a review page does."""
    corrections = Corrections(out, data)
    for info in read_index(data):
        corrections.save(info, CorrectedLabels((), None), info.watched)
    return 0


def trials(work: Path) -> dict[str, Callable[[Path], int]]:
    """Return for each name what is done, given the folder to write."""
    data, first, second = (work / name for name in ("data", "first", "second"))

    def train(out: Path) -> int:
        resume = ["--resume"] if is_begun(out / "run") else []
        config = ("--config", work / "tiny.json", "--data-dir", data)
        return run("train", *config, "--out", out / "run", *resume)

    def evaluate(out: Path) -> int:
        return run("evaluate", first, data, "--include-training", "--out", out / "e")

    def report(out: Path) -> int:
        page = ("--include-training", "--out", out / "r.html")
        return run("report", first, "--data", data, *page)

    def convert(out: Path) -> int:
        options = ("--fps", 30, "--pixels-per-cm", 10, "--out", out / "imported")
        return run("import", work / "raw", *options)

    return {
        "prepare": lambda out: run("prepare", data, "--out", out / "s", "--workers", 1),
        "import": convert,
        "train": train,
        "predict": lambda out: run(
            "predict", first, data, "--out", out / "p", "--workers", 1
        ),
        "export": lambda out: run(
            "export", work / "predicted", "--to", "boris", "--out", out / "x"
        ),
        "evaluate": evaluate,
        "report": report,
        "summary": lambda out: run(
            "summary", data, "--no-figures", "--out", out / "tables"
        ),
        "ensemble": lambda out: run("ensemble", first, second, "--out", out / "en"),
        "corrections": lambda out: save_corrections(out / "corrected", data),
    }


@dataclass(slots=True)
class Counts:
    """What came of the trials of one command."""

    kills: int = 0
    late: int = 0
    """It had ended before."""
    faults: int = 0


def try_command(
    work: Path, name: str, do: Callable[[Path], int], times: int, rng: random.Random
) -> Counts:
    """Kill a command so many times; print each fault."""
    out, log, counts = work / "out", work / "log.txt", Counts()

    def fresh() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()

    durations = []
    for _ in range(2):  # the first also reads files that are cached afterwards
        fresh()
        began = time.monotonic()
        if finish(start(lambda: do(out), log)):
            raise SystemExit(f"{name} fails undisturbed: {log.read_text()[-500:]}")
        durations.append(time.monotonic() - began)
    duration, whole = min(durations), files_in(out)
    for number in range(times):
        fresh()
        for _ in range(2 if number % 3 == 2 else 1):
            code = kill_after(start(lambda: do(out), log), rng.uniform(0, duration))
            counts.kills += code == -signal.SIGKILL
            counts.late += code == 0
        code = finish(start(lambda: do(out), log))
        found = files_in(out)
        differing = [n for n in found.keys() | whole if found.get(n) != whole.get(n)]
        if code or differing:
            counts.faults += 1
            print(f"FAULT {name} {number}: {code}, {sorted(differing)[:5]}")
            print(log.read_text()[-300:])
    return counts


def try_mixed(work: Path, times: int, rng: random.Random) -> Counts:
    """Kill predictions into the folder of another model, and export what is there."""
    out, log, counts = work / "out", work / "log.txt", Counts()
    data, models = work / "data", {}
    for name in ("first", "second"):
        shutil.rmtree(out, ignore_errors=True)
        began = time.monotonic()
        finish(start(lambda n=name: run("predict", work / n, data, "--out", out), log))
        duration = time.monotonic() - began
        about = json.loads((out / "provenance.json").read_text())
        models[about["model_hash"]] = (out / "bouts.csv").read_bytes()
    for _ in range(times):
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(work / "exported", ignore_errors=True)
        shutil.copytree(work / "predicted", out)
        process = start(
            lambda: run("predict", work / "second", data, "--out", out), log
        )
        code = kill_after(process, rng.uniform(0.5, 1.05) * duration)
        counts.kills += code == -signal.SIGKILL
        counts.late += code == 0
        words = ("export", out, "--to", "csv", "--out", work / "exported")
        if finish(start(lambda w=words: run(*w), log)) == 0:
            about = work / "exported" / "csv" / "provenance.json"
            told = json.loads(about.read_text())["model_hash"]
            counts.faults += models[told] != (out / "bouts.csv").read_bytes()
    return counts


def main() -> int:
    """Try every command, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    os.environ["MABE_CACHE"] = str(given.work / "cache")
    log = given.work / "log.txt"
    finish(start(lambda: make_materials(given.work) or 0, log))
    rng = random.Random(given.seed)
    found: dict[str, Counts] = {}
    for name, do in trials(given.work).items():
        if not given.only or name in given.only:
            found[name] = try_command(given.work, name, do, given.count, rng)
    if not given.only or "mixed" in given.only:
        found["mixed"] = try_mixed(given.work, given.count, rng)
    print("| command | kills | ended before | faults |\n|---|---|---|---|")
    for name, counts in found.items():
        print(f"| {name} | {counts.kills} | {counts.late} | {counts.faults} |")
    return int(any(counts.faults for counts in found.values()))


if __name__ == "__main__":
    sys.exit(main())
