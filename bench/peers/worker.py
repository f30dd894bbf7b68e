# SPDX-License-Identifier: Apache-2.0
"""A process that holds one peer: `python -m peers.worker MODULE THREADS`, inside the venv.

Reads commands from standard input, answers one line each: `ok ...` or `error REASON`.
    prepare KEY=NUMBER...   build the layer            ok WHICH KERNEL
    measure SECONDS         sample it                  ok MIN_US MEDIAN_US SAMPLES
    finish                  what comes only at the end ok MIN_US MEDIAN_US SAMPLES
The first line it writes is `ok VERSION`. onednn_bench speaks the same.
"""

from __future__ import annotations

import importlib
import os
import statistics
import sys

from peers.layer import Layer, Unsupported


def _times(samples: list[float]) -> str:
    if not samples:
        return "nan nan 0"
    return f"{min(samples):.4f} {statistics.median(samples):.4f} {len(samples)}"


def _reason(error: Exception) -> str:
    """On one line, as peers.md shows it."""
    text = str(error) if isinstance(error, Unsupported) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]


def _answer(peer, command: str, words: list[str]) -> str:
    if command == "prepare":
        return peer.prepare(Layer.from_words(words))
    if command == "measure":
        return _times(peer.measure(float(words[0])))
    if command == "finish":
        return _times(peer.finish())
    raise ValueError(f"unknown command {command}")


def main() -> None:
    # Whatever a library prints to standard output goes to the log with standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        peer = importlib.import_module(f"peers.{sys.argv[1]}").Peer(int(sys.argv[2]))
    except Exception as error:  # a peer that cannot start is reported, whatever the reason
        print(f"error {_reason(error)}", file=answers)
        return
    print(f"ok {peer.version}", file=answers)
    for line in sys.stdin:
        command, *words = line.split()
        try:
            answer = f"ok {_answer(peer, command, words)}"
        except Exception as error:  # likewise
            answer = f"error {_reason(error)}"
        print(answer, file=answers)


if __name__ == "__main__":
    main()
