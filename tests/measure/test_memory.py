import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from bench.embeddings.base import Kind, Vocabulary
from bench.measure.memory import KINDS, embedding_memory, free_bytes, peak_rss_bytes


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


@pytest.mark.slow
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


def test_a_container_has_less(tmp_path):
    whole = free_bytes(tmp_path)
    assert whole > 0
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 150000\nactive_file 50000\n")
    assert free_bytes(tmp_path) == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes(tmp_path) > 1_000_000


@pytest.mark.parametrize("line", ["0::/jobs/one", "5:memory:/jobs/one"])
def test_free_memory_heeds_the_limits_of_all_groups_above_the_process(tmp_path, line):
    (tmp_path / "own").write_text(f"3:cpu:/else\n{line}\n")
    new = line.startswith("0")
    above = (tmp_path if new else tmp_path / "memory") / "jobs"
    (above / "one").mkdir(parents=True)
    names = ("memory.max", "memory.current") if new else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    cache = "inactive_file" if new else "total_inactive_file"
    for folder, limit, used in ((above, 9_000_000, 8_000_000), (above / "one", 5_000_000, 1_000_000)):
        (folder / names[0]).write_text(f"{limit}\n")
        (folder / names[1]).write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"{cache} 100000\n")
    assert free_bytes(tmp_path, tmp_path / "own") == 1_100_000
    (above / names[1]).write_text("3000000\n")
    assert free_bytes(tmp_path, tmp_path / "own") == 4_100_000
    (above / names[1]).write_text("9900000\n")  # more than the limit for a moment
    assert free_bytes(tmp_path, tmp_path / "own") == 0
