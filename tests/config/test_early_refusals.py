"""What settings alone show is refused before data is read, and what a header shows, before rows are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench import data
from bench.cli import run
from bench.data import delimited, files, prepare

TABLE = ("dataset=table", "dataset.path=t.csv", "dataset.fields=[a,b]", "dataset.label=y")
FOUR = ("dataset=table", "dataset.path=t.csv", "dataset.fields=[a,b,c,d]", "dataset.label=y")

BY_SETTINGS = [
    ((*TABLE, "dataset.split.kind=time"), "the rows have no timestamps"),
    ((*TABLE, "dataset.split.kind=last", "dataset.timestamp=t"), "needs the field of users"),
    (("dataset=synthetic_ctr", "model=neumf", "dataset.split.kind=time"), "the rows have no timestamps"),
    (("dataset=synthetic_ctr", "model=neumf", "dataset.split.kind=last"), "the rows have no timestamps"),
    (FOUR, "takes exactly two fields"),
    ((*TABLE, "dataset.dense=[x]"), "takes no dense columns"),
    ((*TABLE, "dataset.user_field=zz"), "no such field"),
    ((*TABLE, "dataset.min_count=3"), "dataset.vocabulary=train"),
    ((*TABLE, "dataset.fields=[a,a]"), "named twice"),
    ((*TABLE, "dataset.names=[q,w]"), "has a header line"),
    ((*TABLE, "dataset.transforms.zz=log1p"), "no column of a field"),
    ((*TABLE, "training.early_stopping.patience=2"), "there are none"),
    ((*TABLE, "dataset.split.kind=folds", "dataset.split.validation_fraction=0.1"), "leave it out"),
    (("dataset.num_ratings=100000000",), "distinct pairs"),
    (("training.optimizer_settings.foo=1",), "adam has no such setting"),
    (("training.optimizer=sgd", "training.optimizer_settings.beta_1=0.5"), "sgd has no such setting"),
    (("training.optimizer=nosuch",), "no such optimizer"),
    (("training.optimizer=lazy_adam", "training.optimizer_settings.use_ema=true"), "lazy_adam has no such setting"),
    (("training.optimizer=lazy_adam", "training.table_updates=dense"), "moves the rows of a batch alone"),
    (("training.optimizer=lazy_adagrad", "training.clipnorm=10"), "moves the rows of a batch alone"),
    (("training.optimizer=rowwise_adagrad", "training.embedding_l2=0.1"), "moves the rows of a batch alone"),
    (("strategy=md", "block_splits=[5,3]"), "ascending"),
    (("strategy=qr", "num_buckets=0"), "num_buckets=0"),
    (("embedding@embeddings.zz=qr",), "no field of that name"),
]  # fmt: skip

ALONE_AND_SWEPT = [
    pytest.param(*case, sweep, marks=[pytest.mark.slow] if (number + sweep) % 2 else [])
    for number, case in enumerate(BY_SETTINGS)
    for sweep in (False, True)
]
"""Each case alone and in a sweep, the one of them slow."""

BY_HEADER = [
    ("dataset.label=zz",),
    ("dataset.fields=[a,zz]",),
    ("dataset.dense=[zz]", "model=neumf"),
    ("dataset.timestamp=zz",),
    ("dataset.split.kind=time", "dataset.timestamp=zz"),
    ("dataset.header=false", "dataset.fields=[0,9]", "dataset.label=4"),
    ("dataset.header=false", "dataset.names=[q,w]", "dataset.fields=[q,w]", "dataset.label=z"),
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    rows = "".join(f"{i % 9},{i % 7},{i % 5},{i},{i % 5},{i}\n" for i in range(500))
    (tmp_path / "t.csv").write_text("a,b,c,x,y,t\n" + rows)
    return tmp_path


def never(what: str) -> Callable[..., object]:
    def called(*_: object, **__: object) -> object:
        raise AssertionError(f"{what} was read")

    return called


@pytest.mark.parametrize(("given", "reason", "sweep"), ALONE_AND_SWEPT, ids=lambda value: str(value)[:60])
def test_settings_alone(
    given: tuple[str, ...],
    reason: str,
    sweep: bool,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(data, "load", never("data"))
    assert run.main([*(("-m", "seed=0,1") if sweep else ()), *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and reason in line
    assert sorted(path.name for path in here.iterdir()) == ["t.csv"]


@pytest.mark.parametrize("given", BY_HEADER, ids=" ".join)
def test_the_header(
    given: tuple[str, ...], here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(delimited.Delimited, "blocks", never("a row"))
    monkeypatch.setattr(prepare, "gather", never("a row"))
    monkeypatch.setattr("bench.data.table.content_digest", never("the whole file"))
    assert run.main([*TABLE, *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: dataset.")


def test_the_header_of_a_parquet_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    parquet.write_table(pa.table({"a": [1, 2], "b": [1, 2], "y": [1.0, 2.0]}), here / "t.parquet")
    monkeypatch.setattr("bench.data.table.content_digest", never("the whole file"))
    assert run.main([*TABLE, "dataset.path=t.parquet", "dataset.fields=[a,z]"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no such column" in line


def test_what_is_remembered_of_a_file_is_not_read_again(here: Path) -> None:
    path = here / "t.csv"
    assert not files.is_remembered(path, here / "data")
    digest = files.content_digest(path, here / "data")
    import os

    os.utime(path, (1, 1))
    assert not files.is_remembered(path, here / "data")
    assert files.content_digest(path, here / "data") == digest
