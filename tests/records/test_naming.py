import pytest

from bench.records.naming import overrides, run_name
from bench.records.result import Result, Status

QR = {"method": "qr", "num_buckets": 120, "operation": "product", "bias": True}
MD = {"method": "md", "block_splits": [400, 1700], "block_dims": [64, 32]}
ASKED = {"default": {"method": "qr", "num_buckets": 120, "quotient_rows": "recipe"}}


def name_of(embeddings, settings, given, strategy="s", seed=3):
    result = Result.of(
        Status.FINISHED, strategy=strategy, seed=seed, embeddings=embeddings, settings=settings
    )
    return run_name(result, given)


@pytest.mark.parametrize(
    ("embeddings", "settings", "given", "name"),
    [
        ({"user": {"method": "full"}, "item": {"method": "full"}}, {}, [], "s seed=3"),
        ({"user": {"method": "full"}}, {"budget": 0.1}, [], "s seed=3"),  # heeds no budget
        ({"user": QR, "item": QR}, {}, ["strategy=s", "num_buckets=120", "seed=3"], "s num_buckets=120 seed=3"),
        ({"user": {**QR, "quotient_rows": 120}, "item": {**QR, "quotient_rows": 120}}, {"embeddings": ASKED}, [],
         "s num_buckets=120 seed=3"),
        ({"user": QR, "item": {"num_buckets": 74}}, {"budget": 0.1}, ["budget=0.1"], "s budget=0.1 seed=3"),
        ({"user": QR, "item": {"num_buckets": 74}}, {}, ["embeddings.item.num_buckets=74"],
         "s num_buckets=user:120,item:74 seed=3"),
        ({"user": MD, "item": {}}, {}, [], "s block_splits=user:[400,1700] ... seed=3"),
        ({"user": QR, "item": QR}, {}, ["dataset.split.seed=1", "combine=sum", "tracking.uri=sqlite:///x", "~a"],
         "s num_buckets=120 seed=3 combine=sum dataset.split.seed=1"),
        ({}, {}, [], "s seed=3"),
        (None, None, [], "s seed=3"),
    ],
)  # fmt: skip
def test_a_name_tells_runs_apart(embeddings, settings, given, name):
    assert name_of(embeddings, settings, given) == name


@pytest.mark.parametrize("length", range(5, 90, 7))
def test_a_name_is_short_and_keeps_the_seed(length):
    name = name_of({"user": QR}, {}, ["dataset.split.seed=1"] * 3, strategy="s" * length, seed=12345)
    assert len(name) <= 60 and " seed=12345" in name


def test_overrides_of_an_output_folder(tmp_path):
    assert overrides(tmp_path) is None
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- strategy=qr\n- seed=1\n")
    assert overrides(tmp_path) == ["strategy=qr", "seed=1"]
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- 'half")  # a kill came between
    assert overrides(tmp_path) is None
