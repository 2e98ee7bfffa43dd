"""The folder of a run's training that has not ended: its state after the last whole epoch."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bench.measure.units import short_size
from bench.records.files import sha256, write_whole
from bench.training.checkpoint import State
from bench.training.history import History

log = logging.getLogger(__name__)

HEAD, FORMAT = "state.json", 1

LONG_SECONDS = 300.0
"""Seconds of training and evaluation from which a run keeps checkpoints without being asked to."""


class Checkpoint:
    """The folder that holds the state of a run's training. There is one state in it, the latest.

    Args:
        folder: made when the first state is kept.
        wanted: keep the state of each epoch. None to do so if training takes long.
    """

    def __init__(self, folder: Path, wanted: bool | None) -> None:
        self.folder, self._wanted = folder, wanted

    def is_due(self, history: History, epochs: int) -> bool:
        """Returns True if the state after the epochs of ``history``, of ``epochs`` in all, is to be kept."""
        if self._wanted is not None:
            return self._wanted
        done = history.train_s + history.eval_s
        return done / len(history.epochs) * epochs > LONG_SECONDS

    def save(self, state: State) -> None:
        """Keeps a state in place of the earlier one, whole or not at all. If the disk is full, it warns."""
        size = sum(array.nbytes for array in state.arrays.values())
        name = f"{len(state.history.epochs)}-{os.getpid()}-{secrets.token_hex(4)}.safetensors"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
            if size > free:
                raise OSError(f"needs {short_size(size)}, {short_size(free)} are free")
            save_file(dict(state.arrays), self.folder / name)
            head = {
                "format_version": FORMAT, "file": name, "sha256": sha256(self.folder / name),
                "history": _plain(state.history), "steps": state.steps, "scale": state.scale,
            }  # fmt: skip
            write_whole(self.folder / HEAD, json.dumps(head))
        except (OSError, SafetensorError) as error:
            log.warning("%s: the state of this epoch is not kept (%s); training goes on", self.folder, error)
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()
            return
        for path in self.folder.glob("*.safetensors"):
            if path.name != name:
                path.unlink(missing_ok=True)

    def load(self) -> State | None:
        """Gives the state that was kept, or None if there is none. One that is damaged also causes a warning."""
        try:
            head = json.loads((self.folder / HEAD).read_text(encoding="utf-8"))
            path = self.folder / head["file"]
            if head["format_version"] != FORMAT or sha256(path) != head["sha256"]:
                raise ValueError("damaged, or of another version")
            history = History(**head["history"])
            history.chunks = [(seconds, steps, examples) for seconds, steps, examples in history.chunks]
            return State(history, load_file(path), tuple(head["steps"]), float(head["scale"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            log.warning("%s: cannot be used (%s); training starts anew", self.folder, error)
            return None


def _plain(history: History) -> dict[str, Any]:
    own = ("epochs", "chunks", "train_s", "eval_s", "best")
    return {name: getattr(history, name) for name in own}
