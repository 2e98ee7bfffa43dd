"""The output folders of a sweep's runs. Each run needs a separate folder."""

from __future__ import annotations

import os
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from bench.errors import RequestError


def number(config: DictConfig, job: int) -> DictConfig:
    """Sets the number of a composed job, and returns the job's configuration."""
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = job
    return config


def of(config: DictConfig) -> Path:
    """The output folder of a composed job whose number is set.

    Raises:
        OmegaConfBaseException: the folder's name refers to a value that is only known once the job runs.
    """
    known = HydraConfig.instance()
    before, known.cfg = known.cfg, config  # ${hydra:...} reads known.cfg
    try:
        return Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir))
    finally:
        known.cfg = before


def known(config: DictConfig) -> Path | None:
    """The output folder of a composed job, or None if it is only known once the job runs."""
    try:
        return of(config)
    except OmegaConfBaseException:
        return None


def refuse_shared(config: DictConfig, folders: Mapping[int, Path], jobs: Sequence[Sequence[str]]) -> None:
    """Refuses a sweep if two runs would write into the same folder, or one run into a folder inside another's.

    Args:
        config: the sweep's configuration.
        folders: the runs' folders, by number.
        jobs: the overrides of each run.

    Raises:
        RequestError: two runs share a folder. The message names both, and a setting that separates them.
    """
    any_case = bool(folders) and _any_case(next(iter(folders.values())))
    places = {job: _place(folder, any_case) for job, folder in folders.items()}
    owners: dict[Path, int] = {}
    for job, place in places.items():
        owners.setdefault(place, job)
    for job, place in places.items():
        others = [owners[path] for path in (place, *place.parents) if owners.get(path, job) != job]
        if not others:
            continue
        first, second = sorted((job, others[0]))
        given: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
        subdir = str(given["subdir"])
        start = "" if subdir.strip("./") == "" else f"{subdir}-"
        works = shlex.quote(f"hydra.sweep.subdir={start}${{hydra.job.num}}")
        raise RequestError(
            f"hydra.sweep.subdir={subdir}: the runs {first} ({' '.join(jobs[first])}) and {second} "
            f"({' '.join(jobs[second])}) would write into one folder, {folders[job]}; give {works}"
        )


def _place(folder: Path, any_case: bool) -> Path:
    """The canonical form of a path. Paths to the same folder have equal forms."""
    place = os.path.realpath(folder)
    return Path(unicodedata.normalize("NFC", place).casefold() if any_case else place)


def _any_case(folder: Path) -> bool:
    """Returns True if existing folders show that the file system treats ``A`` and ``a`` as the same name."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    other = there.with_name(there.name.swapcase()) if there.name else there
    return other != there and other.exists() and other.samefile(there)
