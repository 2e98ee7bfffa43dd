"""A result as people read it."""

import io
import re
from pathlib import Path

import pytest
from results_made import VALUES

from bench.records.result import Result
from bench.records.showing import history_csv, show

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
val MAE               0.7394, mean absolute error on the evaluation rows
val RMSE              0.9300, root mean squared error on the evaluation rows
best constant         0.9340, the headline metric of the best constant: what no embedding would get
item by popularity    val MAE 0.7100 on the most popular tenth to 0.8000 on the rarest
step time             0.123 ms, 1,037,277 examples a second
time                  2 min 05 s (data 0.410 s, compile 3.10 s, train 2.52 s)
peak memory           1.21 GiB (the whole process)
result and log        outputs/a
all runs              python -m bench.results list; in MLflow: python -m mlflow ui, then http://127.0.0.1:5000
"""


def words(text):
    return "".join(text.split())


def test_plain_where_there_is_no_terminal():
    out = io.StringIO()
    show(Result.of(**VALUES), Path("outputs/a"), out)
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
    show(Result.of(**VALUES), Path("outputs/a"), out)
    printed = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert max(len(line.rstrip()) for line in printed.splitlines()) <= width
    assert sorted(words(printed)) == sorted(words(EXPECTED))
    if width == 160:
        assert words(printed) == words(EXPECTED)


def test_a_failure_says_why_and_shows_no_empty_lines():
    out = io.StringIO()
    show(Result.of("failed", error="NaN loss at step 7", dataset="d", strategy="s"), None, out)
    assert out.getvalue().splitlines()[0] == "status    failed: NaN loss at step 7"
    assert "None" not in out.getvalue()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("sqlite:////home/me/my runs/mlflow.db",
         "python -m mlflow ui --backend-store-uri 'sqlite:////home/me/my runs/mlflow.db', then http://127.0.0.1:5000"),
        ("http://host:5000", "in MLflow: http://host:5000"),
    ],
)  # fmt: skip
def test_how_to_see_the_runs_from_any_folder(uri, said):
    out = io.StringIO()
    show(Result.of(**{**VALUES, "settings": {"tracking": {"uri": uri}}}), None, out)
    assert said in " ".join(out.getvalue().split())


def test_history_has_a_line_an_epoch() -> None:
    history = {
        "train_loss": [0.9, 0.8],
        "val_mae": [0.7, None],
        "val_mae_by_decile": [[0.1, 0.2], [0.3, None]],
    }
    assert history_csv(history).splitlines() == [
        "epoch,train_loss,val_mae,val_mae_by_decile.01,val_mae_by_decile.02",
        "1,0.9,0.7,0.1,0.2",
        "2,0.8,,0.3,",
    ]
