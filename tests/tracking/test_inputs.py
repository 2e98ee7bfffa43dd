"""The data set as MLflow knows one."""

import json
import subprocess
import sys

import numpy as np
import pytest

from bench.data import Field, Interactions, Part
from bench.tracking import Data


def interactions():
    def part(rows):
        ids = {"user": np.zeros(rows, np.int32), "item": np.zeros(rows, np.int32)}
        return Part(ids, np.ones(rows, np.float32))

    fields = {
        name: Field(name, size, np.ones(size, np.int64)) for name, size in {"user": 7, "item": 5}.items()
    }
    return Interactions("mine", fields, part(10), part(2), part(3), (1.0, 5.0), "item", "ab" * 32)


def test_sizes_of_a_data_set():
    data = Data.of(interactions(), {"kind": "synthetic", "num_users": 7, "split": {"kind": "random"}})
    assert (data.name, data.digest) == ("mine", "ab" * 6)
    profile = json.loads(data.profile)
    assert profile["num_rows"] == 15
    assert [profile[f"{part}_rows"] for part in ("train", "validation", "evaluation")] == [10, 2, 3]
    assert (profile["user_vocabulary"], profile["item_vocabulary"]) == (7, 5)
    assert profile["split"] == {"kind": "random"}
    columns = json.loads(data.schema)["mlflow_colspec"]
    assert [column["name"] for column in columns] == ["user", "item", "label"]


@pytest.mark.parametrize(
    ("dataset", "source_type", "source"),
    [
        ({"kind": "movielens", "url": "https://u:pw@host/a.zip"}, "http", {"url": "https://u:***@host/a.zip"}),
        ({"kind": "table", "path": "/a/b.csv"}, "local", {"uri": "/a/b.csv"}),
        ({"kind": "synthetic", "seed": 1}, "code",
         {"tags": {"mlflow.source.name": "bench.data.synthetic", "kind": "synthetic", "seed": "1"}}),
    ],
)  # fmt: skip
def test_where_the_rows_come_from(dataset, source_type, source):
    data = Data.of(interactions(), dataset)
    assert (data.source_type, json.loads(data.source)) == (source_type, source)


def test_describing_imports_neither_pandas_nor_mlflow():
    code = "import sys; from bench import tracking; sys.exit(bool({'pandas', 'mlflow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
