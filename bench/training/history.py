"""The history that a training leaves."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.measure.timing import Chunk as TimedChunk

EpochValues = dict[str, float | list[float | None]]
"""The losses and errors of one epoch, by metric."""


@dataclass
class History:
    """The history that training leaves.

    Attributes:
        epochs: one dict for each epoch: ``train_loss``, and what the task gives of evaluation rows (for ratings
            ``val_loss``, ``val_mae``, ``val_rmse``, ``val_mae_by_decile``) and of validation rows, if there are any.
        chunks: wall seconds, steps and examples of each chunk.
        compile_s: seconds until the first step could run.
        train_s: seconds of training; settling at the end of each epoch counts.
        eval_s: seconds of evaluation.
        earlier_s: seconds of ``train_s`` and ``eval_s`` that earlier processes took, which were killed.
        best: the number of the epoch whose weights the model has, from 1; None for the last.
    """

    epochs: list[EpochValues] = field(default_factory=list)
    chunks: list[TimedChunk] = field(default_factory=list)
    compile_s: float = 0.0
    train_s: float = 0.0
    eval_s: float = 0.0
    earlier_s: float = 0.0
    best: int | None = None

    @property
    def kept(self) -> EpochValues:
        """The losses and errors of the epoch whose weights the model has."""
        return self.epochs[-1 if self.best is None else self.best - 1]
