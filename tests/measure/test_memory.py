import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from bench.embeddings.base import Kind, Vocabulary
from bench.measure.memory import KINDS, embedding_memory, peak_rss_bytes


@dataclass
class Fake:
    vocabulary: Vocabulary
    embedding_dim: int
    kinds: dict

    def serving_bytes(self):
        return self.kinds


def test_bytes_are_summed_over_fields_by_kind():
    methods = {
        "user": Fake(Vocabulary("user", 6040), 64, {Kind.TABLES: 61_440}),
        "item": Fake(
            Vocabulary("item", 3706), 64, {Kind.TABLES: 400_000, Kind.NETWORKS: 10_000, Kind.MAPS: 432}
        ),
    }
    assert embedding_memory(methods) == {
        "embedding_bytes": 471_872,
        "full_embedding_bytes": (6040 + 3706) * 64 * 4,
        "compression_ratio": 2_494_976 / 471_872,
        "bytes": {"tables": 461_440, "networks": 10_000, "maps": 432, "codes": 0, "other": 0},
    }


def test_every_kind_of_a_method_is_known():
    assert tuple(Kind) == KINDS


@pytest.mark.parametrize("methods", [{}, {"user": Fake(Vocabulary("user", 3), 4, {Kind.TABLES: 0})}])
def test_nothing_to_serve_from_is_refused(methods):
    with pytest.raises(ValueError, match="no bytes"):
        embedding_memory(methods)


def test_peak_memory_is_in_bytes_and_stays_after_the_peak():
    # a process of its own, whose parent holds more than it ever will
    held = np.ones(60_000_000)
    code = (
        "import numpy as np; from bench.measure.memory import peak_rss_bytes as peak;"
        "before = peak(); x = np.ones(25_000_000); del x; print(before, peak())"
    )
    before, after = map(int, subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert held.nbytes == 480e6 and 10e6 < before < 200e6
    assert 190e6 < after - before < 300e6
    assert peak_rss_bytes() > held.nbytes
