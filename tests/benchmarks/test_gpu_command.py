"""``python -m benchmarks.gpu``: that it runs, compares and judges; a processor takes the GPU's place."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, Commands

from benchmarks import gpu


@pytest.mark.slow
def test_a_processor_is_equal_to_itself(tmp_path: Path) -> None:
    here = Commands(tmp_path, tmp_path)
    words = ("device=cpu", "parts=qr,adam", "steps=8", "repeats=1")  # one that is judged, and one that is not
    done = here.start(*words, module="benchmarks.gpu", PYTHONPATH=str(ROOT)).wait()
    assert done.code == 0, done.err
    assert re.match(r"processor .*tensorflow \d", done.out)
    for name, judged in (("qr", True), ("adam", False)):
        part = done.out.partition(f"\n{name}: ")[2].partition("\n\nMilliseconds")[0]
        assert ", held on device:CPU:0\n" in part, done.out
        assert re.search(r"after \d+ steps the numbers differ by at most 0\.0e\+00 ", part), part
        assert part.count("at most 1e-05: yes") == judged, part
        assert re.search(rf"\(.* to .*\)  {name}: CPU / {name}: CPU again$", done.out, re.MULTILINE)


@pytest.mark.slow
def test_a_difference_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    trained = iter((8, 6))  # the second device trains two steps less
    train = gpu.train
    monkeypatch.setattr(gpu, "train", lambda trainer, steps: train(_short(trainer), next(trained)))
    assert gpu.main(["device=cpu", "parts=qr", "steps=2", "repeats=1"]) == 1
    assert "at most 1e-05: NO" in capsys.readouterr().out


def _short(trainer: object) -> object:
    trainer.batches.chunk_steps = 2  # type: ignore[attr-defined]
    return trainer


def test_the_largest_difference_is_named() -> None:
    one = {"0 a/kernel": np.zeros(3), "1 b/kernel": np.array([1.0, 2.0])}
    assert gpu.largest_difference(one, one)[0] == 0
    assert gpu.largest_difference(one, {**one, "1 b/kernel": np.array([1.0, 2.5])}) == (0.5, "b/kernel")
    assert gpu.largest_difference(one, {**one, "0 a/kernel": np.array([0, np.nan, 0])}) == (
        np.inf,
        "a/kernel",
    )


def test_without_a_gpu_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    assert gpu.main([]) == 2
    assert capsys.readouterr().err == (
        "error: device=gpu: TensorFlow finds no GPU; device=cpu compares the processor with itself\n"
    )


@pytest.mark.parametrize("argument", ["repeats=0", "nosuch=1", "parts=nosuch", "device=tpu", "steps=x"])
def test_wrong_arguments(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([argument]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
