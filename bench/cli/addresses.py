"""The MLflow store that a finished run belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench import tracking
from bench.config import report
from bench.config.paths import address
from bench.config.resolving import resolved
from bench.config.secrets import hides
from bench.errors import RequestError
from bench.records.result import Result


def target_of(result: Result | None, uri: str | None, experiment: str | None = None) -> tracking.Target:
    """Gives the MLflow experiment of a result. Nothing is asked over the network.

    Args:
        result: of a finished run. None for the store that ``python -m bench.run`` logs to by default.
        uri: MLflow's address; None for the one that the run was logged to.
        experiment: the experiment's name; None for the run's own.

    Raises:
        RequestError: the address is wrong, or results keep no password of it.
    """
    usual = report.Asked(None, None).or_usual()
    if result is None:
        kept = {"uri": usual.uri, "experiment": usual.experiment}
    else:
        kept = {name: str(result.setting(f"tracking.{name}") or "") for name in ("uri", "experiment")}
    asked = {"uri": uri, "experiment": experiment}
    own = _now({**kept, **{name: value for name, value in asked.items() if value is not None}})
    if uri is None and hides(own["uri"]):
        raise RequestError(
            f"tracking.uri={own['uri']}: results do not keep its password; give tracking.uri=URI"
        )
    return tracking.check(
        address(own["uri"], Path.cwd(), "tracking.uri"), own["experiment"] or usual.experiment
    )


def _now(own: Mapping[str, str]) -> dict[str, str]:
    """Gives settings as they are now: results keep ``${oc.env:NAME}``, not what the variable held then."""
    try:
        tracked = resolved(OmegaConf.create({"tracking": dict(own)}))["tracking"]
    except OmegaConfBaseException:  # not even an interpolation
        raise RequestError(f"tracking={dict(own)}: cannot be read; give tracking.uri=URI") from None
    return cast("dict[str, str]", tracked)
