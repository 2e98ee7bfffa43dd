"""Click data that may not be shipped: read where it lies, against an independent reading of the same files."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedKFold

import bench.data
from bench.config import compose
from bench.errors import RequestError

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "frappe_x1"
here = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no {FOLDER}: Frappe_x1 may not be redistributed")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "frappe_x1").symlink_to(FOLDER)
    return folder


@here
@pytest.mark.slow
def test_frappe_x1_has_its_published_sizes(data_dir: Path) -> None:
    rows = {name: list(csv.reader((FOLDER / f"{name}.csv").open())) for name in ("train", "valid", "test")}
    for vocabulary, size in (("all", 5382), ("train", 5379 + 10)):
        asked = compose(
            ["dataset=frappe_x1", "model=neumf", f"data_dir={data_dir}", f"dataset.vocabulary={vocabulary}"]
        )
        data = bench.data.load(asked.dataset, data_dir)
        assert [len(p) for p in (data.train, data.validation, data.evaluation)] == [202_027, 57_722, 28_860]
        assert sum(field.size for field in data.fields.values()) == size
        for part, own in (("train", data.train), ("valid", data.validation), ("test", data.evaluation)):
            for number, name in enumerate(rows[part][0][1:], start=1):
                values = data.fields[name].values
                for at in (0, 1, 17, 5000, len(own) - 1):
                    assert values[own.ids[name][at]] in (rows[part][at + 1][number], None)
            assert own.labels[:100].tolist() == [float(row[0]) for row in rows[part][1:101]]


def test_where_frappe_x1_is_to_be_had_is_said(tmp_path: Path) -> None:
    asked = compose(["dataset=frappe_x1", "model=neumf", f"data_dir={tmp_path}"])
    with pytest.raises(RequestError, match=r"train\.csv: no such file; get Frappe_x1 .* research use only"):
        bench.data.load(asked.dataset, tmp_path)


CLICKS = FOLDER.parent / "clicks"
clicks = pytest.mark.skipif(not CLICKS.is_dir(), reason=f"no {CLICKS}: click data may not be redistributed")


@pytest.fixture(scope="module")
def first_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clicks")
    for name, file in (("criteo/train.txt", "criteo_first10000.tsv"), ("avazu/train.csv", "avazu_8087.csv")):
        (folder / name).parent.mkdir()
        (folder / name).symlink_to(CLICKS / file)
    return folder


def loaded(data_dir: Path, *overrides: str) -> bench.data.Interactions:
    return bench.data.load(compose([*overrides, "model=neumf", f"data_dir={data_dir}"]).dataset, data_dir)


def in_order(
    data: bench.data.Interactions, roles: np.ndarray, of: Callable[[bench.data.Part], np.ndarray]
) -> np.ndarray:
    """An array of all parts in the order of the file."""
    first = of(data.train)
    every = np.empty((len(roles), *first.shape[1:]), first.dtype)
    for role, part in enumerate((data.train, data.validation, data.evaluation)):
        every[roles == role] = of(part)
    return every


def folds_by_hand(labels: np.ndarray, seed: int) -> np.ndarray:
    """0 for rows that train, 1 for those that validate, 2 for those that evaluate."""
    roles = np.zeros(len(labels), int)
    splits = StratifiedKFold(10, shuffle=True, random_state=seed).split(labels, labels)
    for number, (_, fold) in enumerate(splits):
        roles[fold] = {0: 2, 1: 1}.get(number, 0)
    return roles


@clicks
@pytest.mark.slow
@pytest.mark.parametrize("min_count", [1, 3])
def test_the_first_rows_of_criteo_are_those_that_pandas_reads(first_rows: Path, min_count: int) -> None:
    data = loaded(
        first_rows, "dataset=criteo", "dataset.split.kind=folds", "dataset.split.seed=2018", "dataset.vocabulary=train",
        f"dataset.min_count={min_count}",
    )  # fmt: skip
    names = ["label", *(f"I{n}" for n in range(1, 14)), *(f"C{n}" for n in range(1, 27))]
    frame = pd.read_csv(
        first_rows / "criteo/train.txt", sep="\t", names=names, dtype=dict.fromkeys(names[14:], str)
    )
    roles = folds_by_hand(frame.label.to_numpy(), 2018)
    assert np.array_equal(in_order(data, roles, lambda part: part.labels), frame.label)
    dense = np.log1p(frame[names[1:14]].fillna(0).clip(lower=0)).to_numpy(np.float32)
    np.testing.assert_allclose(in_order(data, roles, lambda part: part.dense), dense, rtol=1e-6)
    for name in names[14:]:
        column = frame[name].fillna("")
        counts = column[roles == 0].value_counts()
        kept = counts[counts >= min_count]
        field = data.fields[name]
        assert field.size == len(kept) + 1 and field.counts[1:].sum() == kept.sum()
        numbers = in_order(data, roles, lambda part, name=name: part.ids[name])
        known = {field.values[number]: number for number in range(1, field.size)}
        assert known.keys() == set(kept.index)
        assert numbers.tolist() == [known.get(value, 0) for value in column]


@clicks
@pytest.mark.slow
def test_criteo_in_seven_parts(first_rows: Path) -> None:
    data = loaded(first_rows, "dataset=criteo", "dataset.split.kind=seven_parts")
    labels = pd.read_csv(first_rows / "criteo/train.txt", sep="\t", header=None, usecols=[0])[0].to_numpy(
        np.float32
    )
    assert [len(part) for part in (data.train, data.evaluation, data.validation)] == [8572, 714, 714]
    assert np.array_equal(
        np.concatenate([data.train.labels, data.evaluation.labels, data.validation.labels]), labels
    )


@clicks
@pytest.mark.slow
def test_avazu_by_folds(first_rows: Path) -> None:
    frame = pd.read_csv(first_rows / "avazu/train.csv", dtype=str)
    data = loaded(first_rows, "dataset=avazu", "dataset.split.kind=folds", "dataset.split.seed=2018")
    roles = folds_by_hand(frame.click.astype(int).to_numpy(), 2018)
    times = pd.to_datetime("20" + frame.hour, format="%Y%m%d%H")
    parts = {
        "hour": times.dt.hour,
        "hour_weekday": times.dt.weekday,
        "hour_weekend": (times.dt.weekday >= 5) * 1,
    }
    assert list(data.fields)[:3] == list(parts) and len(data.fields) == 24
    for name, expected in {**parts, **{name: frame[name] for name in frame.columns[3:]}}.items():
        field = data.fields[name]
        numbers = in_order(data, roles, lambda part, name=name: part.ids[name])
        assert [field.values[number] for number in numbers] == expected.tolist()
