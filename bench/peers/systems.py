# SPDX-License-Identifier: Apache-2.0
"""The systems as the driver sees them: something to prepare, measure and finish, by name."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
from typing import Protocol

from peers.layer import Layer, Unsupported

BENCH_DIR = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Times:
    """us per call of one round; nan where the round's times come at the end."""

    min_us: float
    median_us: float


class System(Protocol):
    name: str
    version: str

    def prepare(self, layer: Layer) -> str:
        """Builds the layer, checks a few outputs, says which kernel; raises Unsupported."""

    def measure(self, seconds: float) -> Times: ...

    def finish(self) -> Times: ...

    def close(self) -> None: ...


def _times(answer: str) -> Times:
    minimum, median, _ = answer.split()
    return Times(float(minimum), float(median))


class Worker:
    """A long-lived process that answers line by line; see worker.py. Dead, it stays dead."""

    def __init__(
        self, name: str, command: list[str], environment: dict[str, str], log: pathlib.Path
    ):
        self.name = name
        try:
            with log.open("w") as stderr:
                self._process = subprocess.Popen(
                    command, cwd=BENCH_DIR, env={**os.environ, **environment}, text=True, bufsize=1,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                )  # fmt: skip
        except OSError as error:
            raise Unsupported(f"its process does not start: {error}") from error
        assert self._process.stdin and self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self.version = self._read()

    def prepare(self, layer: Layer) -> str:
        return self._ask(f"prepare {layer.words()}")

    def measure(self, seconds: float) -> Times:
        return _times(self._ask(f"measure {seconds}"))

    def finish(self) -> Times:
        return _times(self._ask("finish"))

    def close(self) -> None:
        self._stdin.close()
        self._process.wait()

    def _ask(self, line: str) -> str:
        try:
            self._stdin.write(line + "\n")
        except OSError:
            pass  # _read says what became of the process
        return self._read()

    def _read(self) -> str:
        answer = self._stdout.readline().strip()
        if answer.startswith("ok "):
            return answer.removeprefix("ok ")
        if not answer:
            raise Unsupported(f"its process ended with code {self._process.wait()}")
        raise Unsupported(answer.removeprefix("error "))


class Convgen:
    """`convgen bench` once a round: it compiles and packs before it starts its timer. Untuned."""

    def __init__(self, name: str, engine: str, tool: pathlib.Path, threads: int):
        self.name = name
        self._engine = engine
        self._tool = tool
        self._threads = threads
        self.info = dict(
            line.split(":", 1) for line in self._run("info").splitlines() if ":" in line
        )
        self.version = self.info["convgen"].split()[0] + ", llvm " + self.info["llvm"].strip()
        self.peaks: list[float] = []  # gflop/s of all threads, one a round

    def prepare(self, layer: Layer) -> str:
        self._text = layer.text
        if self._engine != "jit":
            return self._engine
        return self._run("emit", self._text, "--emit=schedule").strip()

    def measure(self, seconds: float) -> Times:
        line = self._run(
            "bench", self._text, f"--engines={self._engine}", "--json", f"--seconds={seconds}",
            f"--threads={self._threads}",
        )  # fmt: skip
        result = json.loads(line)
        if result["engine"] != self._engine:
            raise Unsupported(f"{result['engine']} ran instead of {self._engine}")
        self.peaks.append(result["peak_gflops"])
        return Times(result["min_us"], result["median_us"])

    def finish(self) -> Times:
        return Times(float("nan"), float("nan"))

    def close(self) -> None:
        pass

    def _run(self, *arguments: str) -> str:
        environment = {**os.environ, "CONVGEN_CACHE_DIR": ""}
        done = subprocess.run(
            [self._tool, *arguments], capture_output=True, text=True, env=environment
        )
        if done.returncode != 0:
            raise Unsupported(done.stderr.strip().removeprefix("convgen: error: "))
        return done.stdout


PYTHON_PEERS = {
    "ort": "onnxruntime_peer",
    "openvino": "openvino_peer",
    "litert": "litert_peer",
    "ncnn": "ncnn_peer",
}
ONEDNN_PEERS = {"onednn-any": "any", "onednn-nhwc": "nhwc"}
PEERS = [*ONEDNN_PEERS, *PYTHON_PEERS]
ALL = [*PEERS, "generic"]
