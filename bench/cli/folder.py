"""The output folder of a run or a sweep: a new folder, or one that the user names."""

from __future__ import annotations

import itertools
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from bench.config.paths import refuse_long
from bench.config.quoting import override
from bench.errors import BenchError, RequestError
from bench.records.files import remove_empty

RUN, SWEEP = "hydra.run.dir", "hydra.sweep.dir"
"""The settings that name a folder."""

SWEEP_SETTINGS = "multirun.yaml"
"""The file that Hydra writes into a sweep's folder before the first run."""


class OutputFolder:
    """An output folder that does not exist yet.

    Args:
        cfg: the configuration that names the folder.
        key: the setting that names the folder.
        given: the command's overrides.

    Attributes:
        path: the folder's path.

    Raises:
        RequestError: the user has given the setting an empty value.
    """

    def __init__(self, cfg: DictConfig, key: str, given: Sequence[str]) -> None:
        own = [text for text in given if text.lstrip("+").startswith(f"{key}=")]
        if own and not own[-1].partition("=")[2].strip("\"' "):
            raise RequestError(f"{own[-1]}: give a folder")
        self._key, self._named_by_user = key, bool(own)
        self._wanted = Path(str(OmegaConf.select(cfg, key)))
        refuse_long(str(self._wanted), key)
        self.path = self._wanted if own else _free(self._wanted)

    @property
    def overrides(self) -> list[str]:
        """The overrides that make Hydra write into the folder."""
        return [] if self._named_by_user else [override(self._key, str(self.path))]

    def claim(self) -> None:
        """Makes the folder, under another name if another command has made a folder of this name meanwhile.

        Raises:
            BenchError: the folder cannot be made.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while not self._named_by_user:
                try:
                    return self.path.mkdir()
                except FileExistsError:
                    self.path = _free(self._wanted)
        except OSError as error:
            raise BenchError(
                f"{self.path}: the output folder cannot be made ({error.strerror}); start in a folder where "
                f"you may write, or give {self._key}=FOLDER"
            ) from error

    def discard(self, file: str) -> None:
        """Removes the folder of a refused request, unless the user named it or it holds more than Hydra's files.

        Args:
            file: the file that Hydra writes there, beside ``.hydra``.
        """
        logging.shutdown()
        if self._named_by_user or {path.name for path in self.path.iterdir()} - {".hydra", file}:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        remove_empty(self.path.parent, Path.cwd())


def _free(wanted: Path) -> Path:
    # two commands may start within one second
    names = (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([wanted], names) if not path.exists())
