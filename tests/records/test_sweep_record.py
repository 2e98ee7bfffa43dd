"""The record of a sweep."""

import csv
import io
import json

import pytest

from bench.errors import RequestError
from bench.records.result import Result, Status
from bench.records.store import FORMAT_VERSION, Store
from bench.records.sweeps import Member, SweepRecord, all_sweeps, path_of

JOBS = tuple(Member(number, (f"seed={number}",)) for number in range(3))
SWEEP = SweepRecord(
    "key", "seed=0,1,2", "python -m bench.run -m seed=0,1,2", "/o/s", "host 1 2.0", {"a": {"b": 1}}, JOBS
)


def test_what_is_written_is_read(tmp_path):
    store = Store(tmp_path)
    sweep = SWEEP.with_job(Member(1, ("seed=1",), "failed", None, "a loss of NaN"))
    sweep.write(store)
    assert SweepRecord.read(path_of(store, "key")) == sweep
    kept = json.loads((tmp_path / "sweeps" / "key.json").read_text())
    assert kept["jobs"][1] == {
        "number": 1, "overrides": ["seed=1"], "status": "failed", "fingerprint": None, "message": "a loss of NaN",
    }  # fmt: skip
    assert kept["settings"] == {"a": {"b": 1}} and kept["status"] == "running"


def test_a_newer_format_is_refused_in_a_line(tmp_path):
    store, path = Store(tmp_path), path_of(Store(tmp_path), "key")
    SWEEP.write(store)
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "format_version": FORMAT_VERSION + 1, "more": 1}))
    with pytest.raises(
        RequestError, match=f"key.json: a record of format version {FORMAT_VERSION + 1}; this .*update"
    ):
        SweepRecord.read(path)


@pytest.mark.parametrize(
    "text", ["", "{}", "[" * 100_000, '{"jobs": 3}', '{"jobs": [{"x": 1, "overrides": []}]}']
)
def test_a_damaged_one_is_named_and_the_others_are_read(tmp_path, text):
    store = Store(tmp_path)
    SWEEP.write(store)
    path_of(store, "bad").write_text(text)
    bad, good = all_sweeps(store)
    assert good == SWEEP and isinstance(bad, RequestError)
    assert str(path_of(store, "bad")) in str(bad) and "\n" not in str(bad)


def test_a_run_that_was_trained_is_remembered():
    first = SWEEP.with_job(Member(0, ("seed=0",), "finished", "f0"))
    again = first.with_job(Member(0, ("seed=0",), "skipped", "f0")).with_job(
        Member(1, ("seed=1",), "skipped", "f1")
    )
    assert again.trained == ("f0",)  # f1 had finished before


def test_counts():
    sweep = SWEEP.with_job(Member(0, (), "finished", "f")).with_job(Member(1, (), "skipped", "g"))
    assert sweep.with_job(Member(3, (), "refused")).counts() == {
        "runs": 4, "runs.finished": 2, "runs.skipped": 1, "runs.failed": 0, "runs.refused": 1, "runs.missing": 1,
    }  # fmt: skip


def test_the_table_has_a_line_a_run():
    sweep = SWEEP.with_job(Member(0, ("seed=0", "a=1,2"), "finished", "f"))
    results = {"f": Result.of(Status.FINISHED, run_id="id", seed=0, val_mae=0.5)}
    rows = list(csv.DictReader(io.StringIO(sweep.table(results))))
    assert [(row["run"], row["status"], row["run_id"], row["val_mae"]) for row in rows] == [
        ("0", "finished", "id", "0.5"), ("1", "missing", "", ""), ("2", "missing", "", ""),
    ]  # fmt: skip
    assert rows[0]["overrides"] == "seed=0 a=1,2"
