"""MLflow, and nothing else in ``bench`` knows MLflow.

MLflow takes seconds to import and to open a store, so both happen in a process of its own (``process``), which
calls the functions of ``store`` and ``sweep_store``: ``warm_up`` and ``start`` return at once. What a run leaves in
MLflow:

- parameters: every setting by its dotted name (``training.batch_size``), and the method and sizes each field
  ended up with as ``used.FIELD.SETTING``; texts as they are, all else as JSON;
- metrics: the measured numbers of ``result.json`` by their names. What is nested has a dotted name
  (``bytes.tables``), lists are numbered from 01 (``val_mae_by_decile.01``). What ``history`` has is logged by
  epoch, steps 1, 2, ...; all else once, at step 0;
- tags: ``fingerprint``, ``dataset``, ``strategy``, ``status``, ``error`` and ``environment.NAME``; ``process``,
  ``heartbeat`` and ``output_dir`` say who trains it, ``leftover`` that nobody does any more;
- a description: its main numbers with their units, and the command that repeats it; the data set as its input;
- artifacts: ``config.yaml`` (all settings, resolved), ``history.csv``, ``model.txt``, ``result.json``, and
  ``weights.safetensors`` where it was asked for.

A sweep has a run of its own, without a ``fingerprint``, and its runs below that.
"""

from bench.tracking.content import run_name
from bench.tracking.finished import find_finished
from bench.tracking.history import find_all
from bench.tracking.inputs import Data
from bench.tracking.lease import claim
from bench.tracking.run import Run, Taken, in_sweep, log_result, prepare, shared, start, warm_up
from bench.tracking.store import MODEL_SUMMARY
from bench.tracking.sweep import Sweep, upload
from bench.tracking.sweep_store import Opening
from bench.tracking.target import Target, TrackingError, check

__all__ = [
    "MODEL_SUMMARY",
    "Data",
    "Opening",
    "Run",
    "Sweep",
    "Taken",
    "Target",
    "TrackingError",
    "check",
    "claim",
    "find_all",
    "find_finished",
    "in_sweep",
    "log_result",
    "prepare",
    "run_name",
    "shared",
    "start",
    "upload",
    "warm_up",
]  # fmt: skip
