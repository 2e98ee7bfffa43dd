"""Each run of a sweep has an output folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.utils import setup_globals
from omegaconf import OmegaConf

from bench.errors import RequestError
from bench.sweeps import folders

CONFIG = OmegaConf.create({"hydra": {"sweep": {"dir": "out", "subdir": "${name}"}}})
JOBS = [["a=1"], ["a=2"], ["a=3"]]


def refuse(*paths: Path) -> None:
    folders.refuse_shared(CONFIG, dict(enumerate(paths)), JOBS)


def test_links_lead_to_one_folder(tmp_path: Path) -> None:
    (tmp_path / "b").symlink_to(tmp_path / "a")
    refuse(tmp_path / "a", tmp_path / "c")
    with pytest.raises(
        RequestError, match=r"subdir=\$\{name\}: the runs 0 \(a=1\) and 2 \(a=3\) .*, .*/b; give "
    ):
        refuse(tmp_path / "a", tmp_path / "c", tmp_path / "b")


@pytest.mark.parametrize(("first", "second"), [("Full", "full"), ("caf\u00e9", "cafe\u0301")])
def test_names_that_differ_in_case_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    refuse(tmp_path / first, tmp_path / second)
    monkeypatch.setattr(folders, "_any_case", lambda folder: True)  # as on macOS
    with pytest.raises(RequestError, match="the runs 0 "):
        refuse(tmp_path / first, tmp_path / second)


def test_whether_case_counts_is_looked_up(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    assert not folders._any_case(tmp_path / "sweep" / "0")
    (tmp_path / "SWEEP").symlink_to(tmp_path / "sweep")
    assert folders._any_case(tmp_path / "sweep" / "0")


def test_a_folder_that_is_only_known_later(tmp_path: Path) -> None:
    config = OmegaConf.create({"hydra": {"sweep": {"dir": "out", "subdir": "${oc.env:BENCH_NOT_SET}"}}})
    setup_globals()
    assert folders.known(config) is None
    config.hydra.sweep.subdir = "${hydra:sweep.dir}-0"
    assert folders.known(config) == Path("out/out-0")
