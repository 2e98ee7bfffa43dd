"""Records as a pandas frame."""

from __future__ import annotations

import pytest

from bench import api
from bench.errors import RequestError
from bench.records.result import METRICS, Result, Status, scalars
from bench.records.store import Store

SETTINGS = {
    "training": {"epochs": 3},
    "model": {"name": "dot"},
    "budget": 0.1,
    "seed": 0,
    "dataset": {"name": "d"},
}


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    """Three finished runs and a failed one."""
    monkeypatch.delenv("BENCH_RESULTS_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    found = Store(tmp_path / "outputs" / "results")
    for number, strategy in enumerate(("full", "qr", "md"), start=1):
        found.add(
            Result.of(
                Status.FINISHED, task="rating", fingerprint=f"{number:02x}" * 32, strategy=strategy, seed=number,
                dataset="d", data_digest="d1", val_mae=0.7 + number / 100, embedding_bytes=1000 * number,
                bytes={"tables": 1000 * number, "codes": 0}, val_mae_by_decile=[0.5, None],
                val_mae_by_field={"user": [0.6, None], "item": [None, 0.4]},
                val_mae_worst_ids={"user": [{"id": "C7", "error": 2.0}]},
                history={"val_mae": [0.9, 0.7]}, embeddings={"user": {"method": strategy, "num_buckets": 7}},
                settings={**SETTINGS, "training": {"epochs": number}},
            )
        )  # fmt: skip
    found.add_failed(
        Result.of(Status.FAILED, error="nan", strategy="qr", seed=9, settings=SETTINGS, task="rating")
    )
    return found


def test_a_row_a_record(store):
    frame = api.results()
    assert frame.strategy.tolist() == ["full", "qr", "md", "qr"]
    assert frame.status.tolist() == ["finished"] * 3 + ["failed"]
    row = frame.iloc[1]
    assert (row.fingerprint, row.data_digest, row.dataset, row.seed) == ("02" * 32, "d1", "d", 2)
    assert row.folder == str(store.folder / ("02" * 32))
    assert (row.val_mae, row.embedding_bytes, row["bytes.tables"]) == (0.72, 2000, 2000)
    assert row["val_mae_by_decile.01"] == 0.5 and frame["val_mae_by_decile.02"].isna().all()
    assert (row["val_mae_by_field.user.01"], row["val_mae_by_field.item.02"]) == (0.6, 0.4)
    assert not [name for name in frame if name.startswith(("history", "val_mae_worst_ids"))]
    assert (row["training.epochs"], row["model.name"], row.budget, row["dataset.name"]) == (
        2,
        "dot",
        0.1,
        "d",
    )
    assert (row["used.user.method"], row["used.user.num_buckets"]) == ("qr", 7)
    assert frame.created.is_monotonic_increasing and str(frame.created.dtype.tz) == "UTC"


def test_columns_have_the_types_and_names_of_the_metrics(store):
    frame = api.results()
    assert set(scalars()) <= set(frame)
    assert set(METRICS) - set(scalars()) >= {"history", "bytes", "val_mae_by_decile", "val_auc_by_field"}
    assert (
        str(frame.embedding_bytes.dtype)
        == str(frame["bytes.codes"].dtype)
        == str(frame.seed.dtype)
        == "Int64"
    )
    assert str(frame.val_mae.dtype) == str(frame.lookup_us.dtype) == "float64"
    assert frame.embedding_bytes.tolist()[:3] == [1000, 2000, 3000]
    assert frame[["val_mae", "embedding_bytes", "lookup_us"]].iloc[3].isna().all()  # it failed


@pytest.mark.parametrize(
    ("fingerprints", "filters", "seeds"),
    [
        ((), {"strategy": "qr"}, [2, 9]),
        ((), {"strategy": ["full", "md"]}, [1, 3]),
        ((), {"strategy": "qr", "status": "finished"}, [2]),
        ((), {"seed": range(2, 4)}, [2, 3]),
        ((), {"training": {"epochs": 3}}, [3, 9]),
        ((), {"training.epochs": [1, 2]}, [1, 2]),
        ((), {"model": "dot", "budget": 0.1}, [1, 2, 3, 9]),
        ((), {"error": None}, [1, 2, 3]),
        (("02", "03"), {}, [2, 3]),
        (("ff",), {}, []),
        ((), {"strategy": "tt"}, []),
    ],
)
def test_filters(store, fingerprints, filters, seeds):
    frame = api.results(*fingerprints, **filters)
    assert frame.seed.tolist() == seeds
    assert {"val_mae", "fingerprint", "folder", "created"} <= set(frame)


def test_a_folder_without_records_is_an_empty_frame(tmp_path):
    frame = api.results(results_dir=tmp_path / "none", anything=1)
    assert len(frame) == 0 and {"val_mae", "embedding_bytes", "strategy"} <= set(frame)
    assert not (tmp_path / "none").exists()


def test_what_filters_nothing_is_refused(store):
    with pytest.raises(
        RequestError, match=r"^stratgy=qr: no record has a value of that name; did you mean strategy"
    ):
        api.results(stratgy="qr")
    with pytest.raises(RequestError, match=r"^xyz: give the first letters of a fingerprint"):
        api.results("xyz")


def test_a_damaged_record_is_named_and_left_out(store, caplog):
    (store.folder / ("02" * 32) / "result.json").write_text("{")
    assert api.results(status="finished").strategy.tolist() == ["full", "md"]
    assert "damaged" in caplog.text and "left out" in caplog.text
