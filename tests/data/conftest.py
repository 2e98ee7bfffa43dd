"""Settings of small data sets, as the configuration hands them over."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

CONF = Path(__file__).parents[2] / "conf" / "dataset"


@pytest.fixture
def dataset() -> Callable[..., dict[str, Any]]:
    """The settings of a file in ``conf/dataset`` with some of them changed, by dotted name."""

    def make(choice: str, changes: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        cfg = OmegaConf.load(CONF / f"{choice}.yaml")
        del cfg["defaults"]
        cfg["split"] = OmegaConf.load(CONF / "split" / "default.yaml")
        for name, value in {**(changes or {}), **more}.items():
            OmegaConf.update(cfg, name, value, merge=False)
        plain = OmegaConf.to_container(cfg, resolve=True)
        assert isinstance(plain, dict)
        return plain

    return make
