"""MLflow; nothing else in ``bench`` knows it. What it holds is a copy of the records.

MLflow takes seconds to import and to open a store, so both happen in a process of its own, which calls the functions
of ``store`` and ``reading``: ``warm_up``, ``prepare`` and ``start`` return at once. What a run leaves in MLflow:

- parameters: every setting by its dotted name (``training.batch_size``), and the method and the sizes of each field
  as used, ``used.FIELD.SETTING``; texts as they are, all else as JSON;
- metrics: the numbers of ``result.json`` by name, see ``content.metrics``;
- tags: ``content.TAGS``, ``environment.NAME``, and ``process``, which names the process that logs it;
- a description with its main numbers and the command that repeats it, and the data set as its input;
- artifacts: ``config.yaml``, ``history.csv``, ``model.txt``, ``result.json``, and weights where asked for.

A sweep has a run of its own, without a ``fingerprint``, and its runs below that.
"""

from bench.tracking.inputs import Data
from bench.tracking.reading import find_all, find_logged
from bench.tracking.run import Run, Sweep, find_finished, in_sweep, prepare, shared, warm_up
from bench.tracking.store import delete, delete_weights, send, send_sweep
from bench.tracking.target import Target, TrackingError, check

start = Run

__all__ = [
    "Data", "Run", "Sweep", "Target", "TrackingError", "check", "delete", "delete_weights", "find_all", "find_finished",
    "find_logged", "in_sweep", "prepare", "send", "send_sweep", "shared", "start", "warm_up",
]  # fmt: skip
