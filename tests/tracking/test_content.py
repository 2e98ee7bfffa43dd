import pytest

from bench.tracking.content import flat, history_csv, metrics, overrides, params, result_tags, run_name

QR = {"method": "qr", "num_buckets": 120, "operation": "product", "bias": True}
MD = {"method": "md", "block_splits": [400, 1700], "block_dims": [64, 32]}


ASKED = {"default": {"method": "qr", "num_buckets": 120, "quotient_rows": "recipe"}}


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
    ],
)  # fmt: skip
def test_a_name_tells_runs_apart(embeddings, settings, given, name):
    assert run_name("s", embeddings, 3, settings, given) == name


@pytest.mark.parametrize("length", range(5, 90, 7))
def test_a_name_is_short_and_keeps_the_seed(length):
    name = run_name("s" * length, {"user": QR}, 12345, {}, ["dataset.split.seed=1"] * 3)
    assert len(name) <= 60 and " seed=12345" in name


def test_overrides_of_an_output_folder(tmp_path):
    assert overrides(tmp_path) is None
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- strategy=qr\n- seed=1\n")
    assert overrides(tmp_path) == ["strategy=qr", "seed=1"]
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- 'half")  # a kill came between
    assert overrides(tmp_path) is None


def test_settings_become_dotted_names_and_texts():
    settings = {
        "seed": 0,
        "budget": None,
        "training": {"jit": True, "rate": 1e-3, "more": {}},
        "model": {"name": "dot"},
    }
    assert params(settings, {"user": MD}) == {
        "seed": "0",
        "budget": "null",
        "training.jit": "true",
        "training.rate": "0.001",
        "training.more": "{}",
        "model.name": "dot",
        "used.user.method": "md",
        "used.user.block_splits": "[400, 1700]",
        "used.user.block_dims": "[64, 32]",
    }


def test_texts_are_no_longer_than_mlflow_takes():
    text = params({"a": list(range(5000))}, {})["a"]
    assert len(text) == 6000 and text.endswith("...") and text.startswith("[0, 1")


def test_nothing_is_flat():
    assert list(flat({})) == []


def test_numbers_by_epoch_or_once():
    result = {
        "seed": 7,
        "params_total": 5,
        "bytes": {"tables": 4, "maps": 0},
        "val_mae": 0.6,
        "val_rmse": 0.9,
        "lookup_us": None,
        "val_mae_by_decile": [0.5, None, 0.7],
        "history": {"val_mae": [0.8, 0.6], "train_loss": [None, 2]},
    }
    assert sorted(metrics(result)) == [
        ("bytes.maps", 0.0, 0),
        ("bytes.tables", 4.0, 0),
        ("params_total", 5.0, 0),
        ("train_loss", 2.0, 2),
        ("val_mae", 0.6, 2),
        ("val_mae", 0.8, 1),
        ("val_mae_by_decile.01", 0.5, 0),
        ("val_mae_by_decile.03", 0.7, 0),
        ("val_rmse", 0.9, 0),
    ]


def test_history_as_csv():
    assert history_csv({"loss": [1.5, 0.1], "val_mae": [None, 2]}) == "epoch,loss,val_mae\n1,1.5,\n2,0.1,2\n"


def test_tags():
    result = {
        "fingerprint": "f",
        "dataset": "d",
        "strategy": "s",
        "status": None,
        "environment": {"threads": 2, "gpu": None},
    }
    assert result_tags(result) == {
        "fingerprint": "f",
        "dataset": "d",
        "strategy": "s",
        "environment.threads": "2",
    }
