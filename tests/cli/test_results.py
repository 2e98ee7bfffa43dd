"""``python -m bench.results``: what it lists, what it refuses, what it forgets."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from bench.cli import results
from bench.errors import RequestError
from bench.records.result import Result, Status
from bench.records.store import Store

SETTINGS = {
    "training": {"epochs": 3},
    "model": {"name": "dot"},
    "budget": 0.1,
    "tracking": {"experiment": "shop"},
}


def fingerprint(number: int) -> str:
    return f"{number:02x}" * 32


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Five records: three strategies, one failure, one damaged."""
    monkeypatch.delenv("BENCH_RESULTS_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(bytes(5000))
    found = Store(tmp_path / "outputs" / "results")
    for number, strategy in enumerate(("full", "qr", "md")):
        result = Result.of(
            Status.FINISHED, task="rating", fingerprint=fingerprint(number + 1), strategy=strategy, seed=number,
            dataset="synthetic", val_mae=0.7 + number / 100, embedding_bytes=1000, settings=SETTINGS,
        )  # fmt: skip
        found.add(result, [weights] if strategy == "full" else [])
    failed = Result.of(Status.FAILED, error="the loss became nan", strategy="qr", seed=9, settings=SETTINGS)
    found.add_failed(failed.with_(fingerprint=fingerprint(9)))
    (found.add(Result.of(Status.FINISHED, fingerprint=fingerprint(8))).folder / "result.json").write_text("{")
    return found


def run(capsys: pytest.CaptureFixture[str], *arguments: str, answer: str = "") -> list[str]:
    ask = (lambda question: answer) if answer else input
    assert results.manage(arguments, ask) == 0
    return capsys.readouterr().out.splitlines()


def listed(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines[1:-1]]


def short(*numbers: int) -> list[str]:
    return [fingerprint(number)[:12] for number in numbers]


def test_lists_all_with_what_they_are(store, capsys):
    lines = run(capsys, "list")
    assert lines[0].split()[:3] == ["record", "age", "status"]
    assert sorted(listed(lines)) == sorted(short(1, 2, 3, 8, 9))
    text = "\n".join(lines)
    assert "0.7100 MAE" in text and "qr budget=0.1, model dot" in text and "shop" in text
    assert "unreadable" in text and "damaged" in text and "the loss became nan" in text
    assert lines[-1].startswith("5 records, ")


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (["strategy=qr"], [2, 9]),
        (["strategy=qr,md", "status=finished"], [2, 3]),
        (["status=failed"], [9]),
        (["seed=2"], [3]),
        (["training.epochs=3", "seed=0"], [1]),
        (["budget=0.1", "strategy=md"], [3]),
        (["experiment=shop", "strategy=full"], [1]),
        (["model.name=dot", "seed=1"], [2]),
        (["0202"], [2]),
        (["01", "03"], [1, 3]),
    ],
)
def test_filters(store, capsys, filters, numbers):
    assert sorted(listed(run(capsys, "list", *filters))) == sorted(short(*numbers))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lst"], "lst: give one of list, show, remove; did you mean list?"),
        (["list", "--nosuch"], "--nosuch"),
        (["list", "strategi=qr"], "strategi=qr: no record has a value of that name; did you mean strategy?"),
        (["list", "strategy=pq"], "strategy=pq: no such record; there are: full, md, qr"),
        (["list", "xyz"], "xyz: give NAME=VALUE"),
        (["list", "ff"], "ff: none of the 5 records"),
        (["list", "--older-than", "3y"], "--older-than 3y: give a number and a unit"),
        (["list", "--weights-only"], "--weights-only: goes with remove only"),
        (["list", "results_dir=nowhere"], "no records there; python -m bench.run makes one"),
        (["show", "strategy=qr,md"], "show: 3 records match; give more letters"),
        (["remove"], "remove: give a filter"),
        (["remove", "strategy=qr"], "asks before it removes 2 records, and here is no terminal; add --yes"),
        (["remove", "strategy=qr", "--weights-only", "--yes"], "none of these records holds weights"),
    ],
)
def test_refused(store, capsys, arguments, says):
    with pytest.raises(RequestError) as refused:
        results.manage(arguments)
    assert says in str(refused.value)
    assert len(list(store.all())) == 4 and len(list(store.failed())) == 1


def test_shows_one_whole(store, capsys):
    text = "\n".join(run(capsys, "show", "0101"))
    assert "val MAE" in text and fingerprint(1) in text and "weights.safetensors, 4.88 KiB" in text


def test_removes_what_was_confirmed(store, capsys):
    assert run(capsys, "remove", "strategy=qr", answer="n")[-1] == "nothing was removed"
    assert store.find(fingerprint(2)) is not None
    assert run(capsys, "remove", "strategy=qr", answer="y")[-1] == "removed 2 records, 0 runs in MLflow"
    assert store.find(fingerprint(2)) is None
    assert list(store.failed()) == []
    assert store.removed() == {fingerprint(2)}
    assert store.find(fingerprint(3)) is not None


def test_a_damaged_one_can_be_removed(store, capsys):
    run(capsys, "remove", "0808", "--yes")
    assert not (store.folder / fingerprint(8)).exists()


def test_only_weights_and_only_old_ones(store, capsys):
    lines = run(capsys, "remove", "--older-than", "0s", "strategy=full", "--weights-only", "--yes")
    assert lines[-1] == "removed the weights of 1 record"
    assert store.find(fingerprint(1)).sums.keys() == {"result.json"}
    head = store.folder / fingerprint(1) / "record.json"
    head.write_text(json.dumps({**json.loads(head.read_text()), "created": time.time() - 40 * 86400}))
    assert listed(run(capsys, "list", "--older-than", "30d")) == short(1)
    run(capsys, "remove", "--older-than", "5w", "--yes")
    assert store.find(fingerprint(1)) is None and store.find(fingerprint(2)) is not None


@pytest.mark.parametrize("more", [["--weights-only"], []])
def test_weights_that_stay_in_an_output_folder_are_named(store, capsys, more):
    other = store.folder.parent / "2026-01-02" / "03-04-05" / "parent" / "weights.safetensors"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"of another run")
    assert not any("stay" in line for line in run(capsys, "remove", "strategy=md", "--yes"))
    other.unlink()
    os.link(store.folder / fingerprint(1) / "weights.safetensors", other)
    lines = run(capsys, "remove", "strategy=full", *more, "--yes")
    assert lines[-1].startswith("4.88 KiB of weights stay in output folders") and lines[-1].endswith(
        str(other)
    )
    assert other.stat().st_size == 5000


def test_the_folder_of_the_environment(store, capsys, monkeypatch):
    moved = store.folder.rename(store.folder.with_name("moved"))
    monkeypatch.setenv("BENCH_RESULTS_DIR", os.path.relpath(moved))
    assert len(listed(run(capsys, "list"))) == 5


def test_help_says_how_to_forget(capsys):
    assert "remove deletes the runs in MLflow too" in "\n".join(run(capsys, "--help"))
