from __future__ import annotations

import dataclasses
from pathlib import Path
from urllib.parse import quote

import pytest
from hydra.types import RunMode
from marks import slow_but

from bench.config import CONF, Loader, Settings, check_job, compose, options
from bench.config.composing import method_defaults, root_names
from bench.config.names import methods_of
from bench.embeddings import find
from bench.errors import RequestError

METHODS = options("embedding")


@pytest.fixture(scope="module")
def loader() -> Loader:
    return Loader()


def settings(loader: Loader, *overrides: str) -> Settings:
    return compose(overrides, loader)


def test_defaults(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    monkeypatch.delenv("BENCH_RESULTS_DIR", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    s = settings(loader)
    assert (s.seed, s.embedding_dim, s.budget, s.resume, s.save_weights) == (0, 64, None, True, False)
    assert s.data_dir == Path("~/.cache/embedding-bench").expanduser()
    assert s.results_dir == Path("outputs/results").absolute()
    assert (s.dataset.name, s.strategy, s.model.name) == ("synthetic", "full", "dot")
    t = s.training
    assert (t.epochs, t.batch_size, t.learning_rate, t.optimizer) == (3, 128, 0.001, "adam")
    assert (t.table_updates, t.jit, t.eval_batch_size, t.threads) == ("deferred", True, 16384, None)
    assert (t.schedule.kind, t.early_stopping.patience, t.progress) == (None, None, True)
    assert (s.tracking.uri, s.tracking.experiment) == (
        f"sqlite:///{quote(str(Path.cwd()))}/outputs/mlflow.db", "embedding-compression",
    )  # fmt: skip
    assert s.values["tracking"]["uri"] == "sqlite:///outputs/mlflow.db"


def test_environment(loader: Loader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    monkeypatch.setenv("BENCH_RESULTS_DIR", "~/records")
    s = settings(loader)
    assert (s.results_dir, s.values["results_dir"]) == (Path.home() / "records", "~/records")
    assert (s.data_dir, s.tracking.uri) == (tmp_path, "http://127.0.0.1:5000")


@pytest.mark.parametrize("method", slow_but(METHODS[::3], METHODS))
def test_every_method_has_a_strategy_of_its_name(loader: Loader, method: str) -> None:
    s = settings(loader, f"strategy={method}")
    assert s.strategy == method
    assert s.method("user") == s.method("item") == (method, find(method).Settings())


@pytest.mark.parametrize("method", METHODS)
def test_file_and_dataclass_of_a_method_agree(method: str) -> None:
    fields = {field.name for field in dataclasses.fields(find(method).Settings)}
    assert set(method_defaults(method)) == fields


@pytest.mark.parametrize("method", METHODS)
def test_every_line_of_a_method_has_a_comment(method: str) -> None:
    lines = (CONF / "embedding" / f"{method}.yaml").read_text(encoding="utf-8").splitlines()
    assert all("# " in line for line in lines)


def test_settings_at_the_root_reach_the_fields(loader: Loader) -> None:
    s = settings(loader, "strategy=qr", "num_buckets=120", "quotient_rows=needed")
    name, own = s.method("user")
    assert (name, own.num_buckets, own.quotient_rows) == ("qr", 120, "needed")
    assert s.values["embeddings"]["default"]["num_buckets"] == 120
    assert "num_buckets" not in s.values


def test_qr_md_is_qr_for_users_and_md_for_items(loader: Loader) -> None:
    s = settings(loader, "strategy=qr_md", "num_buckets=120", "block_dims=[64,32,16]")
    assert s.strategy == "qr_md"
    assert (s.method("user")[0], s.method("user")[1].num_buckets) == ("qr", 120)
    assert (s.method("item")[0], s.method("item")[1].block_dims) == ("md", [64, 32, 16])
    assert methods_of("qr_md") == ("qr", "md")


def test_one_field_has_a_method_of_its_own(loader: Loader) -> None:
    s = settings(
        loader,
        "strategy=qr",
        "embedding@embeddings.item=md",
        "embeddings.default.num_buckets=90",
        "embeddings.item.block_dims=[32,16,8]",
    )
    assert (s.method("user")[0], s.method("user")[1].num_buckets) == ("qr", 90)
    assert (s.method("item")[0], s.method("item")[1].block_dims) == ("md", [32, 16, 8])
    assert s.values["embeddings"]["user"] is None
    assert s.method("a field of another data set") == s.method("user")


def test_command_line_beats_the_strategy(loader: Loader) -> None:
    s = settings(loader, "strategy=qr", "embedding@embeddings.default=md")
    assert (s.strategy, s.method("user")[0]) == ("qr", "md")


def test_recipe_baseline(loader: Loader) -> None:
    s = settings(loader, "experiment=recipe_baseline")
    assert (s.dataset.name, s.strategy, s.model.name) == ("movielens_1m", "full", "dot")
    assert s.dataset.split.train_fraction == 0.85
    assert (s.training.epochs, s.training.batch_size, s.training.learning_rate) == (3, 128, 0.001)


def test_recipe_memory_efficient(loader: Loader) -> None:
    s = settings(loader, "experiment=recipe_memory_efficient", "seed=3")
    assert (s.dataset.name, s.strategy, s.seed) == ("movielens_1m", "qr_md", 3)
    user, item = s.method("user")[1], s.method("item")[1]
    assert (user.num_buckets, user.quotient_rows, user.combine) == (120, "recipe", "product")
    assert (item.block_splits, item.block_dims, item.projection_bias) == ([400, 1700], [64, 32, 16], True)


@pytest.mark.parametrize(
    "dataset", [name for name in options("dataset") if name not in ("avazu", "criteo", "synthetic_ctr")]
)
def test_every_data_set_has_slots_for_its_fields(loader: Loader, dataset: str) -> None:
    given = ["dataset.path=ratings.csv"] if dataset == "table" else []
    s = settings(loader, f"dataset={dataset}", "strategy=qr_md", "model=neumf", *given)
    assert {"default", "user", "item"} <= s.values["embeddings"].keys()


TABLE = (
    "dataset=table",
    "dataset.path=r.csv",
    'dataset.fields=["city name",sku]',
    "dataset.label=y",
    "model=neumf",
)


def test_fields_that_settings_name_get_methods_of_their_own(loader: Loader) -> None:
    own = ("embedding@embeddings.city_name=md", "embedding@embeddings.sku=qr", "embeddings.sku.num_buckets=7")
    s = settings(loader, *TABLE, *own)
    assert s.dataset.field_names == ("city_name", "sku")
    assert {field: s.method(field)[0] for field in s.dataset.field_names} == {"city_name": "md", "sku": "qr"}
    assert s.values["embeddings"].keys() == {"default", "city_name", "sku"}
    assert s.method("sku")[1].num_buckets == 7
    swept = loader.compose([*TABLE, "embedding@embeddings.sku=md,qr"], RunMode.MULTIRUN)
    for method in ("md", "qr"):
        job = check_job(swept, [*TABLE, f"embedding@embeddings.sku={method}"], loader)
        assert job.method("sku")[0] == method


@pytest.mark.parametrize(("override", "says"), [
    ("embedding@embeddings.skus=qr", r"has no field of that name; did you mean embedding@embeddings\.sku\?"),
    ("embedding@embeddings.user=qr", "dataset=table has no field of that name"),
    ("embeddings.sku.num_buckets=3", r"if dataset=table has that field, add embedding@embeddings\.sku=METHOD"),
    ("dataset.transforms.skus=log1p", r"no column of a field or a number; did you mean sku\?"),
])  # fmt: skip
def test_what_is_wrong_with_such_fields_is_said(loader: Loader, override: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        settings(loader, *TABLE, override)


def test_the_data_set_of_an_experiment_is_the_one_that_is_named(loader: Loader) -> None:
    with pytest.raises(
        RequestError, match=r"strategy=qr_md: .* dataset=synthetic_ctr has no field of that name"
    ):
        settings(loader, "experiment=sweep_clicks", "hydra.mode=RUN", "strategy=qr_md")


def test_what_a_data_sets_file_leaves_out_has_its_default(tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "old.yaml").write_text(
        "defaults: [split: default, _self_]\nname: old\nkind: table\nvocabulary: all\npath: r.csv\n"
        "columns: {user: u, item: i, label: y, timestamp: null}\nbad_rows: refuse\n"
    )
    s = settings(
        Loader([str(tmp_path)]), "dataset=old", "dataset.quoting=none", "embedding@embeddings.item=md"
    )
    assert (s.dataset.quoting, s.dataset.missing, s.method("item")[0]) == ("none", "refuse", "md")


@pytest.mark.parametrize("model", options("model"))
def test_every_model(loader: Loader, model: str) -> None:
    assert settings(loader, f"model={model}").model.name == model


def test_further_arguments_of_the_optimizer_need_no_plus(loader: Loader) -> None:
    for form in ("training.optimizer_settings.beta_1=0.8", "+training.optimizer_settings.beta_1=0.8"):
        assert settings(loader, form).training.optimizer_settings == {"beta_1": 0.8}


def test_early_stopping_with_validation_rows(loader: Loader) -> None:
    s = settings(loader, "training.early_stopping.patience=2", "dataset.split.validation_fraction=0.1")
    assert s.training.early_stopping.patience == 2


def test_compose_within_compose_and_without_traces(loader: Loader) -> None:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    assert not GlobalHydra.instance().is_initialized()
    compose(["seed=1"])
    assert not GlobalHydra.instance().is_initialized()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert compose(["strategy=qr", "seed=2"]).seed == 2
        cfg = hydra_compose("config", overrides=["strategy=qr", "seed=2"])
    assert (cfg.seed, cfg.embeddings.default.method) == (2, "qr")


def test_values_are_plain_and_whole(loader: Loader) -> None:
    def plain(value: object) -> bool:
        if isinstance(value, dict):
            return all(isinstance(key, str) and plain(item) for key, item in value.items())
        if isinstance(value, list):
            return all(map(plain, value))
        return value is None or isinstance(value, bool | int | float | str)

    s = settings(loader, "experiment=recipe_memory_efficient")
    assert plain(s.values)
    assert not any("${" in str(value) for value in s.values.values())
    assert set(s.values) == {
        "task", "seed", "embedding_dim", "budget", "budget_split", "full_below", "share", "resume", "save_weights",
        "timing", "data_dir", "results_dir", "strategy",
        "dataset", "embeddings", "model", "training", "tracking",
    }  # fmt: skip


def test_user_folder_of_settings(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /strategy: qr\n  - _self_\nnum_buckets: 99\n"
    )
    assert compose(["experiment=mine"], Loader([str(tmp_path)])).method("item")[1].num_buckets == 99


def test_root_names() -> None:
    node = {"method": "x", "a": "${oc.select:a,null}", "b": "${oc.select:b,[1, 2]}", "c": 3, "d": "${e}"}
    assert root_names(node) == ["a", "b"]


@pytest.mark.slow
def test_optimizers_are_keras_own() -> None:
    keras = pytest.importorskip("keras")

    from bench.config.schema import KERAS_OPTIMIZERS

    for name in KERAS_OPTIMIZERS:
        assert isinstance(keras.optimizers.get(name), keras.optimizers.Optimizer)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("dataset=criteo",), "model=dot takes exactly two fields, these data have 26"),
        (("dataset=synthetic", "dataset.contexts=true", "model=dot_bias"), "model=dot_bias takes exactly two fields"),
        (("dataset=table", "dataset.path=x.csv", "dataset.dense=[price]"), "takes no dense columns, these data have 1"),
        (("dataset=table", "dataset.path=x.csv", "dataset.fields=[a]", "dataset.label=y", "model=neumf"),
         "model=neumf takes two fields or more, these data have 1"),
    ],
)  # fmt: skip
def test_data_that_a_model_cannot_take_are_refused_before_they_are_read(
    loader: Loader, given: tuple[str, ...], says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        settings(loader, *given)
