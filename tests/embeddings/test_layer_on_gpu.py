"""What a layer holds where there is a GPU: TensorFlow keeps int32 variables from it. A processor takes its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench import backend
from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from benchmarks.speed import random_rows
from benchmarks.timed import trainer_of

NAMES = ("adaembed", "adapt", "cafe", "deeplight", "md", "mgqe", "pep", "prune")
COUNTS = np.arange(300)[::-1]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "gpu_name", lambda: "a GPU")


def made(name: str) -> list[CompressedEmbedding]:
    """A method's layer as it trains, and as it serves."""
    layer = CompressedEmbedding(find(name)(Vocabulary("user", 300, COUNTS), 8), seed=0)
    layer.build()
    return [layer, layer.to_served()]


def types(layer: CompressedEmbedding) -> set[str]:
    return {str(variable.dtype) for variable in layer.variables}


@pytest.mark.parametrize("name", NAMES)
def test_vectors_and_arrays_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = made(name)
    monkeypatch.setattr(backend, "gpu_name", lambda: "a GPU")
    ids = np.arange(300, dtype=np.int32)
    for own, other in zip(made(name), plain, strict=True):
        assert "int32" not in types(own)
        np.testing.assert_array_equal(own(ids).numpy(), other(ids).numpy())
        for found, wanted in ((own.arrays(), other.arrays()), (own.maps(), other.maps())):
            assert {key: value.dtype for key, value in found.items()} == {
                key: value.dtype for key, value in wanted.items()
            }
            for key, value in found.items():
                np.testing.assert_array_equal(value, wanted[key])
    assert any("int32" in types(layer) for layer in plain)


def read_by_programs(trainer: Any) -> set[str]:
    """The types of the variables that the compiled programs read or write."""
    trainer.compile()
    programs = [*trainer.loop._run._traced.values(), *trainer._predict._traced.values()]
    assert len(programs) >= 2
    return {variable.dtype.name for traced in programs for variable in traced.concrete.graph.variables}


MODELS = {
    "maps": ("strategy=qr_md",),
    "dropout and normalization": (
        "strategy=md", "budget=0.5", "model=deepfm", "model.batch_norm=true", "model.dropout=0.2",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("words", MODELS.values(), ids=MODELS)
def test_programs_use_no_variable_that_a_gpu_lacks(words: tuple[str, ...], request) -> None:
    small = random_rows(6040, 3706, 3000)
    assert "int32" in read_by_programs(trainer_of(small, *words))
    request.getfixturevalue("gpu")
    assert "int32" not in read_by_programs(trainer_of(small, *words))
