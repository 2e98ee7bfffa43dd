"""Every setting is given values that it cannot take: each is refused in one line with its name and value."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import schema_values
from commands import ROOT
from schema_values import VALUES, Setting, everything, of_data, of_method, of_model, of_the_run, takes

from bench.compressing import choosing
from bench.config import report
from bench.config.typed import AsBytes, Range, hints, shown, sizes
from bench.errors import RequestError
from bench.server.options import Options
from bench.sweeps.launch import LauncherSettings
from bench.sweeps.space import SearchSettings


def sample() -> list[tuple[Setting, str]]:
    """Of a few choices every setting, each with one value; the next setting has the next one."""
    some = [*of_the_run(), *of_data("table"), *of_model("deepfm"), *of_method("md")]
    texts = list(VALUES)
    return [(one, texts[number % len(texts)]) for number, one in enumerate(some)]


def test_a_sample_of_wrong_values_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cases = sample()
    assert len(cases) > 80 and sum(takes(one.hint, VALUES[text]) for one, text in cases) < len(cases) / 2
    assert schema_values.faults(cases) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_every_wrong_value_of_every_setting_is_refused(tmp_path: Path) -> None:
    """In a process of its own, which shows what was imported."""
    command = [sys.executable, str(ROOT / "tests" / "schema_values.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["faults"] == []
    assert said["cases"] > 5000 and said["slow_imports"] == [] and list(tmp_path.iterdir()) == []


def test_every_group_is_among_them() -> None:
    names = {one.name for one in everything()}
    assert {
        "seed",
        "share",
        "training.schedule.patience",
        "training.threads",
        "dataset.split.last_n",
    } <= names
    assert {"dataset.wheel.sha256", "dataset.transforms", "model.hidden_units", "num_buckets"} <= names
    assert {"tracking.uri", "dataset.exponents", "block_dims", "dataset.memory_limit"} <= names


@pytest.mark.parametrize(
    "prefix", ["", "training.", "training.schedule.", "tracking.", "dataset.split.", "model."]
)
@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_unknown_names_of_every_group(prefix: str, plus: str) -> None:
    fault = schema_values.refusal((), f"{plus}{prefix}nosuch=17")
    assert fault is not None and fault.startswith(f"{prefix}nosuch=17: "), fault
    near = {"": "sed", "training.": "epoch", "training.schedule.": "kinds", "tracking.": "urii"}
    if prefix in near:
        assert "did you mean" in str(schema_values.refusal((), f"{plus}{prefix}{near[prefix]}=17"))


@pytest.mark.parametrize(("choices", "override"), [
    (("strategy=qr",), "num_partitions=513"), (("strategy=dhe",), "num_layers=100000000000"),
    (("model=dcn_v2",), "model.cross_layers=10000"),
])  # fmt: skip
def test_numbers_of_arrays_are_bounded(choices: tuple[str, ...], override: str) -> None:
    """An export has room for no more, and choosing sizes for so many takes minutes."""
    message = schema_values.refusal(choices, override)
    assert message == f"{override}: give at most 512; each is an array of its own"
    assert schema_values.refusal(choices, f"{override.partition('=')[0]}=3") is None


@pytest.mark.parametrize("given", [
    "training.optimizer_settings={beta_1:0.8,beta_2:0.99}", "dataset.transforms={x:log1p,user:ln2_bucket}",
])  # fmt: skip
def test_settings_that_are_dicts_are_taken_whole(given: str) -> None:
    table = ("dataset=table", "dataset.path=t.csv", "dataset.dense=[x]", "model=neumf")
    assert schema_values.refusal(table if "dataset" in given else (), given) is None


# Options of the other commands


def options_of(cls: Any) -> list[tuple[str, Any]]:
    return list(hints(cls).items())


def refused(call: Any) -> str | None:
    try:
        call()
    except RequestError as error:
        assert str(error).isprintable()
        return str(error)
    return None


@pytest.mark.parametrize("cls", [Options, SearchSettings, LauncherSettings], ids=lambda cls: cls.__name__)
def test_options_of_serving_of_searches_and_of_workers(cls: Any) -> None:
    from bench.config.typed import build

    good = {
        Options: {"run": "shop"},
        SearchSettings: {
            "n_trials": 1, "n_jobs": 1, "seed": 0, "study_name": None, "storage": "sqlite:///s.db", "sampler": "tpe"
        },
        LauncherSettings: {"n_jobs": 1, "threads": 1},
    }[cls]  # fmt: skip
    for name, hint in options_of(cls):
        for text, value in VALUES.items():
            message = refused(lambda name=name, value=value: build(cls, {**good, name: value}))
            if not takes(hint, value):
                assert message and message.startswith(f"{name}={shown(value)}: give "), (name, text, message)
            elif message:  # the dataclass's own check
                assert message.startswith((f"{name}=", "hydra.sweeper.storage=", "token=")), (
                    name,
                    text,
                    message,
                )


@pytest.mark.slow
def test_settings_of_a_report() -> None:
    taken = hints(report.Request) | hints(report.Filters)
    taken |= {f"tracking.{name}": hint for name, hint in hints(report.Asked).items()}
    for name in report.names():
        for text, value in VALUES.items():
            message = refused(lambda name=name, text=text: report.read([f"{name}={text}"]))
            if message and "cannot be read as NAME=VALUE" not in message:
                assert message.startswith(f"{name}="), message
            assert message or takes(taken[name], value), (name, text)


@pytest.mark.slow
def test_settings_of_compressing() -> None:
    for method in map(choosing.method_of, choosing.post_training()):
        for name, hint in hints(method.Settings, sizes).items():
            for text in VALUES:
                value = choosing.parsed(name, text)
                message = refused(lambda: choosing.settings_of(method, {name: text}, ()))  # noqa: B023 - called at once
                assert (message is None) == takes(hint, value), (method, name, text, message)
                assert message is None or message.startswith(f"{name}={shown(value)}: "), message
    for name, read in (("seed", choosing.seed_of), ("sample", choosing.sample_of)):
        for text, value in VALUES.items():
            message = refused(lambda: read(text))  # noqa: B023 - called at once
            taken = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            assert (message is None) == (taken and not (name == "seed" and value >= 2**32)), (
                name,
                text,
                message,
            )


# The other way to say what types take is no better than it is itself tried


@pytest.mark.parametrize(("hint", "value", "expected"), [
    (int, 3, True), (int, True, False), (int, 1.0, False), (float, math.nan, False), (float, 1, True),
    (bool, False, True), (str, "  ", False), (str, 5, True), (list[int], [], False), (list[int] | None, None, True),
    (schema_values.Annotated[int, Range(low=2, high=3)], 3, True),
    (schema_values.Annotated[int, Range(low=2, high=3)], 4, False),
    (schema_values.Annotated[float, Range(above=0, below=1)], 0, False),
    (schema_values.Annotated[float, Range(above=0, below=1)], 1, False),
    (schema_values.Annotated[int, AsBytes(), Range(low=1)], "word", False),
    (schema_values.Literal["a", 1], True, False), (schema_values.Literal["a", 1], "a", True),
    (dict[str, int], {"a": math.nan}, False), (dict[str, int], {}, True),
])  # fmt: skip
def test_what_a_type_takes(hint: Any, value: Any, expected: bool) -> None:
    assert takes(hint, value) is expected
