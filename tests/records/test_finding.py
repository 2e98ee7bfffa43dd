"""A run is found by its folder, its result, its fingerprint or MLflow's id."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.records import finding
from bench.records.result import Result, Status
from bench.records.store import WEIGHTS, Store

ONE, OTHER = "ab12" * 16, "ab34" * 16


def made(fingerprint: str = ONE, **values) -> Result:
    known = {
        "status": Status.FINISHED,
        "fingerprint": fingerprint,
        "run_id": f"id-{fingerprint[:4]}",
        "seed": 0,
    }
    return Result.of(**{**known, **values})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two records, of which the first has weights."""
    (tmp_path / WEIGHTS).write_bytes(b"first")
    found = Store(tmp_path / "results")
    found.add(made(), [tmp_path / WEIGHTS])
    found.add(made(OTHER))
    return found


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder of the first run."""
    place = tmp_path / "output"
    place.mkdir()
    made().write(place)
    return place


@pytest.mark.parametrize("named", ["ab12", ONE, "id-ab12", "output", "output/result.json", f"results/{ONE}"])
def test_all_names_of_a_run_find_its_weights(named, store, output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = finding.find(named, store.folder)
    assert found.result == made() and found.record and found.record.fingerprint == ONE
    assert found.weights() == store.folder / ONE / WEIGHTS


def test_weights_beside_a_result_come_first(store, output):
    (output / WEIGHTS).write_bytes(b"own")
    assert finding.find(output, store.folder).weights().read_bytes() == b"own"


def test_a_record_s_weights_are_checked(store):
    (store.folder / ONE / WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(RequestError, match=r"no weights were kept"):
        finding.find(store.folder / ONE, store.folder).weights()


def test_a_result_says_where_its_record_lies(store, tmp_path):
    elsewhere = made(settings={"results_dir": str(store.folder)})
    assert finding.of_result(elsewhere, tmp_path / "nothing").weights() == store.folder / ONE / WEIGHTS
    moved = store.folder.rename(tmp_path / "moved")
    assert finding.of_result(elsewhere, moved).weights() == moved / ONE / WEIGHTS
    assert finding.find(moved / ONE, tmp_path / "nothing").weights() == moved / ONE / WEIGHTS


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("ab", r"^ab: 2 records match \(ab12ab12ab12, ab34ab34ab34\); give more letters"),
        (
            "ff",
            r"^ff: no such run, neither a folder with a result.json nor one of the 2 records in results_dir=",
        ),
        ("", "no such run"),
        ("nowhere/result.json", "^nowhere/result.json: no such run"),
    ],
)
def test_what_names_no_run_is_refused(named, message, store):
    with pytest.raises(RequestError, match=message):
        finding.find(named, store.folder)


def test_a_run_without_weights_is_refused(store, tmp_path):
    with pytest.raises(
        RequestError, match=r"no weights were kept; run the same again with save_weights=true"
    ):
        finding.find(OTHER, store.folder).weights()
    failed = made(status=Status.FAILED)
    with pytest.raises(RequestError, match=r"a run with status failed has no weights"):
        finding.of_result(failed, store.folder).weights()
