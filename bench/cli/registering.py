"""The part of ``python -m bench.export`` that puts an export into MLflow's registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.cli import keeping
from bench.errors import BenchError, RequestError

if TYPE_CHECKING:
    from bench.records.finding import Found
    from bench.tracking import Target
    from bench.tracking.registry import Wanted


@dataclass(frozen=True)
class Registering:
    """A place in MLflow's registry, and the run that a model there belongs to.

    Attributes:
        wanted: the place.
        target: MLflow's store.
        found: the run. None if its record is gone, or where there never was one.
    """

    wanted: Wanted
    target: Target
    found: Found | None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        """Reads the settings of the command, and makes sure that MLflow answers.

        Raises:
            RequestError: a name cannot be used, or there is no such run.
            TrackingError: no server answers.
        """
        from bench.cli.addresses import target_of
        from bench.records import finding
        from bench.serving import manifest
        from bench.tracking.registry import Wanted

        wanted = Wanted(given["register"], given.get("alias", ""))
        wanted.check()
        results_dir = keeping.folder("results_dir", given.get("results_dir"))
        named, exported = given["run"], "output_dir" not in given
        if exported:
            named = str(manifest.read(Path(given["run"])).tree["fingerprint"])
        try:
            found = finding.find(named, results_dir)
        except RequestError:
            if not exported:
                raise
            found = None
        target = target_of(found.result if found else None, given.get("tracking.uri"))
        target.knock()
        return cls(wanted, target, found)

    def register(self, folder: Path) -> str:
        """Registers an export, and gives a line that says where it is.

        Raises:
            BenchError: MLflow cannot be used. The export is kept.
        """
        from bench import tracking
        from bench.tracking import registry

        try:
            run_id = None
            if self.found is not None:
                run_id, _ = tracking.send(self.target, self.found.result, self.found.folder.absolute())
            version = registry.register(self.target, run_id, self.wanted, folder.absolute())
        except BenchError as error:
            again = f"python -m bench.export run={folder} register={self.wanted.name}"
            raise BenchError(f"{error}; the export in {folder} is kept, to register it: {again}") from error
        alias = f", alias {self.wanted.alias}" if self.wanted.alias else ""
        return f"registered models:/{self.wanted.name}/{version}{alias} in {self.target.shown}"
