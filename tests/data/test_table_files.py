"""Tables that settings alone describe: fields, numeric columns, several files, files of the parts, missing values."""

from __future__ import annotations

import os
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bench.data
from bench.data import table
from bench.data.table_settings import names_of
from bench.errors import RequestError

ORDERS = "city name,sku,price,stars,when\nKöln,007,1.5,4,1\nBonn,7,2,2,2\nKöln,007,,5,3\n,8,0.5,1,4\nBonn,9,1,3,5\n"
COLUMNS = {"fields": ["city name", "sku"], "label": "stars", "timestamp": "when"}


@pytest.fixture
def load(dataset, tmp_path):
    def make(text=ORDERS, name="orders.csv", **changes):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        own = {"path": str(path), "split.kind": "time", "split.train_fraction": 0.6, **COLUMNS, **changes}
        return bench.data.load(dataset("table", own), tmp_path / "cache")

    return make


def test_fields_have_plain_names_and_keep_their_ids(load):
    data = load(missing="drop")
    assert list(data.fields) == ["city_name", "sku"]
    assert [data.fields["city_name"].values[n] for n in range(2)] == ["Köln", "Bonn"]
    assert [data.fields["sku"].values[n] for n in range(3)] == ["007", "7", "9"]
    assert data.item_field is None and data.dense_dim == 0


def test_fields_of_ones_own_settings_have_plain_names_too(load):
    columns = {"città/1": "city name", "sku": "sku", "label": "stars"}
    own = {"fields": None, "label": None, "timestamp": None, "split.kind": "random", "columns": columns}
    assert list(load(missing="drop", **own).fields) == ["citta_1", "sku"]


def test_times_can_be_a_field_too(load):
    hours = [14102101, 14102100, 14102200, 14102100, 14102301]
    text = "site,hour,stars\n" + "".join(f"s{n},{hour},{n}\n" for n, hour in enumerate(hours))
    data = load(text, fields=["hour", "site"], timestamp="hour")
    field = data.fields["hour"]
    train, evaluation = data.train.ids["hour"], data.evaluation.ids["hour"]
    assert field.size == 4
    assert sorted(int(field.values[n]) for n in train) == [14102100, 14102100, 14102101]
    assert [int(field.values[n]) for n in evaluation] == [14102200, 14102301]


def test_names_of_columns():
    columns = ["città", "price (eur)", "user#1", "a/b", "a_b", "default", "dense_columns", "x1"]
    assert names_of(columns) == [
        "citta",
        "price__eur_",
        "user_1",
        "a_b",
        "a_b_2",
        "default_2",
        "dense_columns_2",
        "x1",
    ]


@pytest.mark.parametrize(("missing", "labels"), [("keep", [4, 2, 5, 1, 3]), ("drop", [4, 2, 3])])
def test_missing_ids_and_numbers(load, missing, labels):
    data = load(dense=["price"], missing=missing)
    assert sorted([*data.train.labels, *data.evaluation.labels]) == sorted(labels)
    cities = data.fields["city_name"]
    known = [cities.values[n] for n in range(cities.size)]
    assert known == (["Köln", "Bonn", ""] if missing == "keep" else ["Köln", "Bonn"])
    prices = np.concatenate([data.train.dense, data.evaluation.dense])[:, 0]
    assert prices.tolist() == ([1.5, 2, 0, 0.5, 1] if missing == "keep" else [1.5, 2, 1])


def test_missing_ones_are_refused_with_their_line(load):
    with pytest.raises(
        RequestError, match=r"column city name: 1 missing ids \(first in line 5\); column price: 1 miss"
    ):
        load(dense=["price"])


def test_roles_of_users_and_items(load):
    data = load(missing="keep", user_field="city_name", item_field="sku", **{"split.kind": "last"})
    assert data.item_field == "sku"
    assert sorted(data.evaluation.labels) == [3, 5]  # the latest of Köln and of Bonn
    with pytest.raises(RequestError, match=r"dataset\.item_field=skus: no such field; did you mean sku\?"):
        load(item_field="skus")


def parts(tmp_path, *texts):
    names = ("train_path", "evaluation_path", "validation_path")
    made = {}
    for name, text in zip(names, texts, strict=False):
        (tmp_path / f"{name}.csv").write_text("user,item,label\n" + text)
        made[name] = str(tmp_path / f"{name}.csv")
    return {"path": None, "fields": None, "label": None, "timestamp": None, "split.kind": "random", **made}


def test_files_of_the_parts(load, tmp_path):
    own = parts(tmp_path, "a,x,1\nb,y,2\n", "c,x,3\n", "a,z,4\nb,x,5\n")
    data = load(None, **own)
    assert [part.labels.tolist() for part in (data.train, data.validation, data.evaluation)] == [
        [1, 2],
        [4, 5],
        [3],
    ]
    assert data.fields["user"].counts.tolist() == [1, 1, 0]
    data = load(None, **own, vocabulary="train")
    assert data.evaluation.ids["user"].tolist() == [0] and data.fields["user"].size == 3
    with pytest.raises(RequestError, match=r"dataset\.evaluation_path=null: give it too"):
        load(None, **{**own, "evaluation_path": None})
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RequestError, match=r"no such column \(.*other\.csv has: a, b\)"):
        load(None, **{**own, "evaluation_path": str(tmp_path / "other.csv")})


def test_validation_rows_are_drawn_from_those_that_train(load, tmp_path):
    own = parts(tmp_path, "".join(f"{n},{n % 3},{n % 2}\n" for n in range(10)), "1,1,1\n")
    data = load(None, **own, **{"split.validation_fraction": 0.2})
    assert [len(part) for part in (data.train, data.validation, data.evaluation)] == [8, 2, 1]


def test_a_pattern_and_a_list_of_files_are_read_in_order(load, tmp_path, caplog):
    lines = ORDERS.splitlines(keepends=True)
    (tmp_path / "b.csv").write_text(lines[0] + lines[5])
    (tmp_path / "a.csv").write_text("".join(lines[:3]))
    data = load(None, path=str(tmp_path / "?.csv"))
    assert [*data.train.labels, *data.evaluation.labels] == [4, 2, 3]
    assert "a.csv: 2 rows read, none dropped" in caplog.text and "b.csv: 1 rows read" in caplog.text
    data = load(
        None,
        path=[str(tmp_path / "b.csv"), str(tmp_path / "a.csv")],
        timestamp=None,
        **{"split.kind": "random"},
    )
    assert data.fields["sku"].values[0] == "9"
    with pytest.raises(RequestError, match="no file matches the pattern"):
        load(None, path=str(tmp_path / "*.tsv"))


def test_columns_without_a_header(load):
    text = "a,x,1\nb,y,2\na,y,3\n"
    data = load(text, header=False, fields=["0", "1"], label="2", timestamp=None, **{"split.kind": "random"})
    assert list(data.fields) == ["0", "1"] and len(data.train) + len(data.evaluation) == 3
    named = {
        "names": ["u", "i", "y"],
        "fields": ["u", "i"],
        "label": "y",
        "timestamp": None,
        "split.kind": "random",
    }
    assert list(load(text, header=False, **named).fields) == ["u", "i"]
    with pytest.raises(RequestError, match=r"dataset\.names=\[u, i, y\]: the file has a header line"):
        load(text, **named)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_true_and_false_are_labels_alike(load, tmp_path, form):
    own = {"fields": ["u"], "label": "y", "timestamp": None, "split.kind": "random"}
    if form == "csv":
        data = load("u,y\na,true\nb,False\nc,TRUE\n", **own)
    else:
        pq.write_table(pa.table({"u": ["a", "b", "c"], "y": [True, False, True]}), tmp_path / "y.parquet")
        data = load(None, path=str(tmp_path / "y.parquet"), **own)
    assert sorted([*data.train.labels, *data.evaluation.labels]) == [0, 1, 1]


def test_true_among_numbers_is_refused(load):
    with pytest.raises(RequestError, match="column y: 1 values are true or false and 2 are numbers"):
        load("u,y\na,true\nb,3\nc,1\n", fields=["u"], label="y", timestamp=None, **{"split.kind": "random"})


def test_what_changes_while_it_is_read_is_refused(load, tmp_path, monkeypatch):
    path, finish = tmp_path / "orders.csv", table.Reading._finish

    def changed(self, notes):
        path.write_text(ORDERS.replace("4,1", "5,1"))
        return finish(self, notes)

    monkeypatch.setattr(table.Reading, "_finish", changed)
    with pytest.raises(RequestError, match="was changed while it was read; give the command again"):
        load(missing="keep")
    assert not list((tmp_path / "cache" / "prepared").glob("*/meta.json"))


def test_a_pipe_and_a_device_are_refused(load, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for name in ("pipe.csv", "zero.csv"):
        waited = threading.Timer(60, os._exit, (1,))
        waited.start()
        with pytest.raises(RequestError, match="no regular file, but a pipe or a device"):
            load(None, name)
        waited.cancel()


def test_many_columns_are_cut_in_a_message(load):
    header = ",".join(f"c{n}" for n in range(5000))
    with pytest.raises(RequestError, match=r"c19 and 4980 more\)") as caught:
        load(f"{header}\n")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(("changes", "says"), [
    ({"fields": ["sku", "sku"]}, "the column is named twice"),
    ({"dense": ["stars"]}, "the column is named twice"),
    ({"separator": "ab"}, r"dataset\.separator='ab': give one character"),
    ({"quoting": "all"}, r"dataset\.quoting=all: give standard or none"),
    ({"missing": "no"}, r"dataset\.missing=no: give refuse, drop or keep"),
    ({"train_path": "x.csv"}, "the files of the parts are given too"),
    ({"fields": ["cityname"]}, r"dataset\.fields=\[\.\.\.,cityname,\.\.\.\]: no such column; did you mean city name\?"),
    ({"label": "star"}, r"dataset\.label=star: no such column; did you mean stars\?"),
])  # fmt: skip
def test_wrong_settings_are_named(load, changes, says):
    with pytest.raises(RequestError, match=says):
        load(**changes)
