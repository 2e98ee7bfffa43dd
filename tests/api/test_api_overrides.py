"""Settings by name become the overrides that the command would take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.api.overrides import arguments
from bench.cli import options
from bench.config import compose
from bench.errors import RequestError

CASES = [
    ({"strategy": "qr", "num_buckets": 120}, ["strategy=qr", "num_buckets=120"]),
    ({"training": {"epochs": 1, "progress": False}}, ["training.epochs=1", "training.progress=false"]),
    ({"training.learning_rate": 1e-05}, ["training.learning_rate=1e-05"]),
    ({"budget": None, "seed": np.int64(3)}, ["budget=null", "seed=3"]),
    ({"data_dir": Path("/my data")}, ["data_dir='/my data'"]),
    ({"block_splits": [0.1, 0.5]}, ["block_splits=[0.1,0.5]"]),
    ({"block_splits": np.array([0.25, 0.5])}, ["block_splits=[0.25,0.5]"]),
    ({"dataset": {"fields": ("city name", "sku")}}, ["dataset.fields=['city name',sku]"]),
    ({"embedding@embeddings.item": "md"}, ["embedding@embeddings.item=md"]),
    ({"dataset": {"path": "a,b.csv"}}, ["dataset.path='a,b.csv'"]),
    ({"training": {"optimizer_settings": {}}}, ["training.optimizer_settings={}"]),
]


@pytest.mark.parametrize(("settings", "expected"), CASES)
def test_a_setting_by_name_is_an_override(settings, expected):
    assert arguments((), settings, (), swept=False) == expected


@pytest.mark.slow
def test_texts_are_taken_as_they_are():
    """Hydra's grammar would read these as an interpolation, a list of values, a number or null."""
    for text in ("${seed}", "a,b", "007", "null", "it's", "back\\slash", "glob(*)"):
        (made,) = arguments((), {"tracking": {"experiment": text}}, (), swept=False)
        assert compose([made]).tracking.experiment == text


def test_all_forms_give_the_same_settings():
    by_name = arguments(
        (), {"strategy": "md", "block_splits": [0.2, 0.6], "training": {"epochs": 2}}, (), swept=False
    )
    assert compose(by_name) == compose(["strategy=md", "block_splits=[0.2,0.6]", "training.epochs=2"])


def test_a_list_is_the_values_of_a_sweep():
    settings = {
        "strategy": ["qr", "md"],
        "seed": range(3),
        "training": {"epochs": [1, 2], "batch_size": 64},
        "block_splits": [[0.1, 0.5], [0.2]],
        "tracking": {"experiment": ["a,b", "c"]},
        "dataset": {"fields": [["user", "item"]]},
    }
    assert arguments(("budget=0.1,0.2",), settings, (), swept=True) == [
        "-m", "budget=0.1,0.2", "strategy=qr,md", "seed=0,1,2", "training.epochs=1,2", "training.batch_size=64",
        "block_splits=[0.1,0.5],[0.2]", "tracking.experiment='a,b',c", "dataset.fields=[user,item]",
    ]  # fmt: skip


def test_folders_of_settings_are_options(tmp_path):
    for folders in (tmp_path, str(tmp_path), [tmp_path]):
        found = options.parse(arguments(("seed=1",), {}, folders, swept=True))
        assert (found.config_dirs, found.overrides, found.multirun) == ((str(tmp_path),), ("seed=1",), True)


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (("-m",), {}, "^-m: an option of the command; give settings only"),
        (("--help",), {}, "^--help: an option"),
        ((3,), {}, "^3: give overrides as texts"),
        ((), {"seed": object}, "^seed=<class 'object'>: of type type; give"),
        ((), {"training": {"epochs": {1, 2}}}, r"^training.epochs=\{1, 2\}: of type set; give"),
        ((), {"seed": []}, r"^seed=\[\]: a sweep over no values; give at least one$"),
    ],
)
def test_what_no_command_takes_is_refused(given, settings, message):
    with pytest.raises(RequestError, match=message):
        arguments(given, settings, (), swept=True)
