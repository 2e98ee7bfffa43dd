import io
import json
import os
import re
import stat
from pathlib import Path

import numpy as np
import pytest

from bench import results
from bench.errors import RequestError

CONTRACT = [
    "status", "run_id", "fingerprint", "dataset", "strategy", "embeddings", "settings", "seed", "environment",
    "params_total", "params_embedding", "embedding_bytes", "full_embedding_bytes", "compression_ratio",
    "bytes", "optimizer_bytes", "peak_rss_bytes", "val_mae", "val_rmse", "val_loss", "train_loss",
    "val_mae_by_decile", "history", "step_time_ms", "step_time_ms_p95", "examples_per_second",
    "compile_s", "train_s", "eval_s", "data_s", "total_s", "lookup_us",
]  # fmt: skip

ADDED = ("error", "parent_run_id", "model_bytes", "validation_mae", "validation_loss")

VALUES = {
    "status": "finished",
    "dataset": "movielens_1m",
    "strategy": "qr_md",
    "embeddings": {
        "user": {"method": "qr", "num_buckets": 120, "quotient_rows": 120},
        "item": {"method": "md", "block_splits": [400, 1700], "block_dims": [64, 32, 16]},
    },
    "seed": 0,
    "params_total": 117_968,
    "params_embedding": 117_968,
    "embedding_bytes": 483_072,
    "full_embedding_bytes": 2_494_976,
    "compression_ratio": 2_494_976 / 483_072,
    "val_mae": 0.73942,
    "val_rmse": 0.93,
    "val_mae_by_decile": [0.71, None, 0.8],
    "step_time_ms": 0.1234,
    "examples_per_second": 1_037_277.1,
    "data_s": 0.41,
    "compile_s": 3.1,
    "train_s": 2.52,
    "total_s": 125.2,
    "peak_rss_bytes": 1_300_000_000,
}


def test_every_key_of_the_contract_in_its_order():
    result = results.complete(status="refused", error="too small")
    assert [key for key in result if key not in ADDED] == CONTRACT
    assert {key for key, value in result.items() if value is not None} == {"status", "error"}


def test_numpy_becomes_plain():
    result = results.complete(
        status=results.Status.FINISHED,
        val_mae=np.float32(0.5),
        val_mae_by_decile=np.array([1.0, 2.0]),
        params_total=np.int64(7),
        settings={"path": Path("a"), "splits": (1, 2)},
    )
    assert result["settings"] == {"path": "a", "splits": [1, 2]}
    assert (result["val_mae"], result["val_mae_by_decile"], result["params_total"]) == (0.5, [1.0, 2.0], 7)
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.float32("-inf")])
def test_a_number_that_is_none_is_a_failure(bad):
    result = results.complete(
        status="finished", val_mae=bad, history={"val_mae": [0.7, bad], "val_loss": [1, 1]}
    )
    assert result["status"] == "failed"
    assert result["error"] == "not a finite number: val_mae, history.val_mae"
    assert result["val_mae"] is None
    assert result["history"] == {"val_mae": [0.7, None], "val_loss": [1, 1]}


def test_a_failure_keeps_its_own_cause():
    result = results.complete(status="failed", error="NaN loss at step 7", train_loss=float("nan"))
    assert (result["status"], result["error"]) == ("failed", "NaN loss at step 7")


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"status": "done"}, ValueError, "done"),
        ({}, ValueError, "None"),
        ({"status": "finished", "mae": 1}, TypeError, "mae"),
        ({"status": "finished", "settings": {"a": {1, 2}}}, TypeError, "settings.a"),
    ],
)
def test_what_is_no_result(values, error, says):
    with pytest.raises(error, match=says):
        results.complete(**values)


def test_written_and_read_back(tmp_path):
    result = results.complete(**VALUES)
    assert results.write(result, tmp_path) == tmp_path / "result.json"
    assert results.read(tmp_path) == result
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert stat.S_IMODE((tmp_path / "result.json").stat().st_mode) & 0o444 == 0o444


def test_whole_or_not_at_all(tmp_path, monkeypatch):
    results.write(results.complete(status="finished", seed=1), tmp_path)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        results.write(results.complete(status="finished", seed=2), tmp_path)
    assert results.read(tmp_path)["seed"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_no_nan_is_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        results.write({"status": "finished", "val_mae": float("nan")}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [None, "", '{"status": "fin', "[]", '{"a": 1}'])
def test_what_cannot_be_read(tmp_path, content):
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(RequestError, match=str(tmp_path)):
        results.read(tmp_path)


@pytest.mark.parametrize(
    ("call", "number", "text"),
    [
        (results.count, 117_968, "117,968"),
        (results.size, 1, "1 byte"),
        (results.size, 1_000, "1,000 bytes"),
        (results.size, 483_072, "483,072 bytes (472 KiB)"),
        (results.size, 2_494_976, "2,494,976 bytes (2.38 MiB)"),
        (results.short_size, 0, "0 bytes"),
        (results.short_size, 7 * 2**40 * 1000, "7,000 TiB"),
        (results.duration, 0.00041, "0.000410 s"),
        (results.duration, 12.345, "12.3 s"),
        (results.duration, 99.96, "1 min 40 s"),
        (results.duration, 3599.7, "1 h 00 min"),
    ],
)
def test_numbers_for_people(call, number, text):
    assert call(number) == text


EXPECTED = """\
status                finished
data set              movielens_1m
strategy              qr_md
embedding of user     qr: num_buckets=120, quotient_rows=120
embedding of item     md: block_splits=[400, 1700], block_dims=[64, 32, 16]
parameters            117,968, of these in embeddings 117,968
embedding memory      483,072 bytes (472 KiB)
if uncompressed       2,494,976 bytes (2.38 MiB)
compression           5.2x
val MAE               0.7394, mean absolute error on rows held out
val RMSE              0.9300, root mean squared error
val MAE by popularity  0.7100 on the most popular tenth to 0.8000 on the least
step time             0.123 ms, 1,037,277 examples a second
time                  2 min 05 s (data 0.410 s, compile 3.10 s, train 2.52 s)
peak memory           1.21 GiB (the whole process)
result and log        outputs/a
all runs              make ui, then http://127.0.0.1:5000 (MLflow)
"""


def words(text):
    return "".join(text.split())


def test_plain_where_there_is_no_terminal():
    out = io.StringIO()
    results.show(results.complete(**VALUES), Path("outputs/a"), out)
    assert [line.split() for line in out.getvalue().splitlines()] == [
        line.split() for line in EXPECTED.splitlines()
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("width", [40, 80, 160])
def test_complete_and_no_wider_than_the_terminal(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("TTY_COMPATIBLE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    out = Terminal()
    results.show(results.complete(**VALUES), Path("outputs/a"), out)
    printed = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert max(len(line.rstrip()) for line in printed.splitlines()) <= width
    assert sorted(words(printed)) == sorted(words(EXPECTED))
    if width == 160:
        assert words(printed) == words(EXPECTED)


def test_a_failure_says_why_and_shows_no_empty_lines():
    out = io.StringIO()
    results.show(
        results.complete(status="failed", error="NaN loss at step 7", dataset="d", strategy="s"), None, out
    )
    assert out.getvalue().splitlines()[0] == "status    failed: NaN loss at step 7"
    assert "None" not in out.getvalue()
