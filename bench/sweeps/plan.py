"""What each run of a command would be, before anything is trained: sizes, bytes, memory, and time by earlier runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.config import Settings
from bench.config.resolving import at
from bench.embeddings.budget import used
from bench.embeddings.parents import parent_settings
from bench.errors import RequestError
from bench.experiment import Experiment
from bench.measure import memory
from bench.records.result import Tree
from bench.sizing import check_memory, peak_bytes
from bench.sweeps.estimate import ALIKE, OVERHEAD_SECONDS, of_phases, ran_beside, recorded


@dataclass(frozen=True)
class Plan:
    """What a run would be.

    Attributes:
        status: ``to train``, ``done`` (an equal run had finished) or ``refused``.
        fingerprint: equal for equal runs, of which only one is trained. None if the run is refused.
        embeddings: method, settings and table shapes by field, as a result has them.
        embedding_bytes: that serving the embeddings takes.
        full_embedding_bytes: the same uncompressed.
        params_embedding: trainable numbers of the embeddings.
        peak_bytes: of memory that the run takes at most.
        seconds: that it takes on this machine, by earlier runs, or None if that is unknown. 0 if it is done.
        message: why it is refused.
    """

    status: str
    fingerprint: str | None = None
    embeddings: Mapping[str, Tree] = field(default_factory=dict)
    embedding_bytes: int = 0
    full_embedding_bytes: int = 0
    params_embedding: int = 0
    peak_bytes: int = 0
    seconds: float | None = None
    message: str = ""


class Times:
    """The times of runs that were recorded on this machine.

    Args:
        folders: of records.

    Attributes:
        measured: the strategies whose times are not from records.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.measured: list[str] = []
        self._known = recorded(folders)
        self._parents: set[str] = set()

    def expected(self, run: Experiment, embedding_bytes: int) -> float | None:
        """The seconds that a run takes, with those of its parent where this is the first run that needs it.

        Gives None if they are not known.
        """
        own, of_parent = self.alone(run, embedding_bytes), parent_settings(run.settings, run.methods)
        if own is None or of_parent is None:
            return own
        parent = Experiment(of_parent, Path(), is_parent=True)
        if parent.fingerprint in self._parents or parent.resume(leave=False) is not None:
            return own
        self._parents.add(parent.fingerprint)
        seconds = self.alone(parent, memory.embedding_memory(parent.methods)["embedding_bytes"])
        return None if seconds is None else own + seconds

    def alone(self, run: Experiment, embedding_bytes: int) -> float | None:
        """The seconds of a run without those of its parent: of the runs alike, that of the most similar size.

        What grows with the epochs is that of the run's own epochs. The rest, such as compilation, counts once.
        """
        settings = run.settings
        alike = [
            one
            for one in self._known
            if one.strategy == settings.strategy
            and one.data_digest == run.data.digest
            and all(one.setting(name) == at(settings.values, name.split(".")) for name in ALIKE)
            and one.total_s is not None
            and one.train_s is not None
        ]
        if not alike:
            return None
        # alone on the machine before beside others, then by size
        best = min(
            alike, key=lambda one: (ran_beside(one), abs((one.embedding_bytes or 0) - embedding_bytes))
        )
        if best.parent_fingerprint is not None:
            return of_phases(best) + OVERHEAD_SECONDS  # in total_s a parent may have been trained
        epochs = settings.training.epochs / max(1, int(best.setting("training.epochs") or 1))
        growing = (best.train_s or 0) + (best.eval_s or 0)
        return float((best.total_s or 0) + growing * (epochs - 1))


def plan(settings: Settings, times: Times) -> Plan:
    """Plans a run. Its data is prepared if it is not yet; nothing else is written, and TensorFlow is not imported.

    Args:
        settings: of the run.
        times: of earlier runs.

    Raises:
        BenchError: the data is not available.
    """
    run = Experiment(settings, Path())
    run.data  # noqa: B018 - what is wrong with it is no refusal of this run alone
    try:
        methods = run.methods
    except RequestError as error:
        return Plan("refused", message=str(error))
    every = {**methods, **run.own_tables}
    arrays = [array for own in every.values() for array in (*own.tables(), *own.weights()) if array.trainable]
    sizes = memory.embedding_memory(every)
    is_done = settings.resume and run.resume(leave=False) is not None
    if not is_done:
        try:
            check_memory(settings, every, run.data, memory.free_bytes())
        except RequestError as error:
            return Plan("refused", message=str(error))
    return Plan(
        "done" if is_done else "to train",
        run.fingerprint,
        {name: used(method) for name, method in methods.items()},
        sizes["embedding_bytes"],
        sizes["full_embedding_bytes"],
        sum(array.size for array in arrays),
        peak_bytes(settings, every, run.data),
        0.0 if is_done else times.expected(run, sizes["embedding_bytes"]),
    )
