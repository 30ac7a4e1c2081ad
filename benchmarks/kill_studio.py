"""Kill the studio's server while labels are written; no saved label may be lost.

    python benchmarks/kill_studio.py [--times 20] [--seed 0]

A real `mabe studio` is started on a simulated project. A client adds one bout after the
other, as the page does, and takes some away. At a random moment the server is killed
(SIGKILL) and started again. Then every edit that the server had answered has to be in
the files, at most the one that was under way may be there as well, and no file may be
damaged: coverage holds every bout, and the table lists what was watched. Exits with 1
on any difference.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from mabe.bouts import Bout, covered_bouts
from mabe.data.simulate import simulate
from mabe.io.readers.kaggle import read_coverage, read_index, read_labels
from mabe.viz.studio.ethogram import Ethogram, Kind, StudioAction, write_ethogram

ETHOGRAM = Ethogram(
    (
        StudioAction("attack", "1", Kind.DIRECTED),
        StudioAction("rear", "2", Kind.SELF),
    )
)


@dataclass
class Client:
    """Sends edits until the server is gone."""

    address: str
    token: str
    known: set[Bout]
    sending: set[Bout] = field(default_factory=set)
    answered: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def run(self, rng: np.random.Generator) -> None:
        """Send edits until the server is gone."""
        url = f"{self.address}/api/recordings/0/labels"
        headers = {"x-mabe-token": self.token}
        with httpx.Client(headers=headers, timeout=60) as client:
            while True:
                start = 3 * int(rng.integers(0, 500))
                agent, target, action = [(1, 2, "attack"), (2, 2, "rear")][
                    int(rng.integers(2))
                ]
                bout = Bout(start, start + 2, action, agent, target)
                what = "remove" if bout in self.known else "add"
                row = [bout.start, bout.stop, action, agent, target]
                self.sending = {bout}
                try:
                    client.post(
                        url, json={"version": 0, what: [row]}
                    ).raise_for_status()
                except httpx.ConnectError:
                    self.sending = set()
                    if self.answered or self.is_over.is_set():
                        return  # else the server has not begun to listen
                    time.sleep(0.02)
                    continue
                except httpx.TransportError:
                    return
                self.known ^= {bout}
                self.sending = set()
                self.answered += 1


def start(project: Path) -> tuple[subprocess.Popen[str], str, str]:
    """Start a server; return it with its address and secret."""
    command = [sys.executable, "-m", "mabe.cli", "studio", str(project), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"(http://[\d.:]+)/#token=(\S+)", line):
            return process, found[1], found[2]
    raise SystemExit("the server did not start")


def problems(project: Path, client: Client) -> list[str]:
    """Return what differs between the files and what the client was answered."""
    info = read_index(project / "mabe")[0]
    bouts, coverage = set(read_labels(info)[0]), read_coverage(info)
    found = []
    if (lost := client.known - bouts - client.sending) or (
        lost := bouts - client.known - client.sending
    ):
        found.append(f"{len(lost)} differ")
    if set(covered_bouts(bouts, coverage)) != bouts:
        found.append("coverage lacks bouts")
    if not {(b.agent, b.target, b.action) for b in bouts} <= {
        (w.agent, w.target, w.action) for w in info.watched
    }:
        found.append("the table lacks what was watched")
    if list((project / "mabe").rglob("pending/*.json")):
        found.append("an edit was not completed")
    client.known = bouts
    return found


def main() -> int:
    """Kill and compare so many times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    bad, answered = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        simulate(project, videos=1, minutes=1, seed=1, workers=1)
        (project / "train.csv").rename(project / "test.csv")
        (project / "train_tracking").rename(project / "test_tracking")
        (project / "mabe" / "studio").mkdir(parents=True)
        write_ethogram(project / "mabe", ETHOGRAM)
        known: set[Bout] = set()
        process, address, token = start(project)
        for number in range(args.times):
            client = Client(address, token, known)
            thread = threading.Thread(target=client.run, args=(rng,))
            thread.start()
            wait_s = float(np.random.default_rng(number).uniform(0.1, 1.5))
            while not client.answered:
                time.sleep(0.02)
            time.sleep(wait_s)
            process.kill()
            process.wait()
            client.is_over.set()
            thread.join()
            process, address, token = start(project)
            found = problems(project, client)
            known, bad, answered = (
                client.known,
                bad + bool(found),
                answered + client.answered,
            )
            state = "; ".join(found) or "whole, nothing lost"
            print(f"killed after {wait_s:.2f} s, {client.answered:3d} edits: {state}")
        process.kill()
        process.wait()
    print(f"{args.times - bad} of {args.times} whole, {answered} edits answered")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
