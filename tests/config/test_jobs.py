"""Jobs of a sweep are composed as Hydra composes them, and checked as single runs are, in a fraction of the time."""

from __future__ import annotations

import builtins
import io
import pickle
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.types import RunMode
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from marks import slow_but
from omegaconf import DictConfig, OmegaConf

from bench.config import CONF, Loader, check, check_job, explained, options
from bench.config.composing import CONFIG_NAME, Composed, plain
from bench.config.hydra import begin, parse, search_path
from bench.config.resolving import Memory, resolved
from bench.errors import RequestError

LOADER = Loader()
HYDRAS_OWN = ConfigLoaderImpl(search_path(CONF, ()))
begin("run")

CHOICES = st.sampled_from(
    ["strategy=qr", "strategy=qr_md", "strategy=md", "strategy=pep", "dataset=movielens_1m", "dataset=table",
     "model=neumf", "embedding@embeddings.item=qr", "experiment=recipe_memory_efficient",
     "model=nosuch", "~model", "~experiment", "+model=dot", "hydra.run.dir=here", "hydra.job.name=x",
     "training=default", "+tracking@other=mlflow"]
)  # fmt: skip
NAMES = st.sampled_from(
    ["seed", "budget", "embedding_dim", "data_dir", "num_buckets", "block_dims", "combine", "training.learning_rate",
     "training.schedule", "training.schedule.kind", "training.optimizer_settings", "training.early_stopping.patience",
     "training.optimizer_settings.beta_1", "dataset.split.seed", "dataset.split", "dataset.path", "dataset.columns",
     "dataset.columns.user", "model.hidden_units", "model.hidden_units[0]", "embeddings.default.num_buckets",
     "embeddings.item", "embeddings.user", "tracking.uri", "nosuch", "training.nosuch", "seed.x", "strategy.x"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["0", "7", "-3", "1_000", "0.1", "1e-3", "nan", "inf", "true", "False", "null", "cosine", "a b", "'a b'", '"7"',
     "'null'", "''", "", "[64,32]", "[64,[1]]", "[]", "['x y',null]", "{kind:cosine}", "{}", "{a:{b:1}}", "'???'",
     "${seed}", "'${seed}'", "${oc.env:HOME}", "${oc.select:seed,3}", "'\\${seed}'", "${training.epochs}",
     "${nosuch}", "[1,${seed}]", "${.kind}", "a\\,b", "x:y", "1,2", "range(0,3)", "shuffle(1,2)"]
)  # fmt: skip
ASSIGNMENTS = st.builds(
    lambda mark, name, value: f"{mark}{name}={value}",
    st.sampled_from(["", "", "", "", "+", "++", "~"]),
    NAMES,
    VALUES,
)
OVERRIDES = st.lists(CHOICES, max_size=2).flatmap(
    lambda choices: st.lists(ASSIGNMENTS | st.builds("~{}".format, NAMES), max_size=4).flatmap(
        lambda values: st.permutations([*choices, *values])
    )
)


def outcome(compose: object, *arguments: object) -> object:
    """What was composed, its flags too, or what was raised."""
    try:
        cfg = compose(*arguments)  # type: ignore[operator]
    except Exception as error:
        return type(error), str(error), str(error.__cause__)
    assert isinstance(cfg, DictConfig)
    flags = OmegaConf.is_struct(cfg), OmegaConf.is_readonly(cfg.hydra), OmegaConf.is_struct(cfg.training)
    return OmegaConf.to_yaml(cfg), repr(OmegaConf.to_container(cfg)), flags


def sweep(*overrides: str) -> DictConfig:
    return LOADER.compose(overrides, RunMode.MULTIRUN)


many = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.slow
@many
@given(OVERRIDES)
@example(["seed=1", "~seed"])
@example(["training.schedule={kind:cosine}", "training.schedule.kind=linear"])
@example(["strategy=qr", "num_buckets=9", "strategy=md"])
@example(["++training.optimizer_settings.beta_1=0.8", "training.optimizer_settings={a:1}"])
@example(["hydra={job:{name:x}}", "hydra.job.name=y"])
def test_a_configuration_is_hydras_own(overrides: list[str]) -> None:
    for mode in (RunMode.RUN, RunMode.MULTIRUN):
        ours = outcome(LOADER.load_configuration, CONFIG_NAME, overrides, mode)
        assert ours == outcome(HYDRAS_OWN.load_configuration, CONFIG_NAME, overrides, mode)


@many
@given(OVERRIDES)
@example(["strategy=qr", "num_buckets=9"])
@example(["strategy=qr", "num_buckets='???'"])
@example(["strategy=md", "block_dims=[1,${seed}]"])
@example(["dataset.split.seed=${seed}", "seed=5"])
@example(["embeddings.item=${embeddings.default}"])
def test_a_job_in_plain_values_is_the_configuration(overrides: list[str]) -> None:
    master = sweep("seed=0,1")

    def job() -> DictConfig:
        return LOADER.load_sweep_config(master, overrides)

    def quickly() -> Composed:
        return LOADER.job(master, overrides)

    try:
        cfg = job()
    except Exception as error:
        with pytest.raises(type(error)) as caught:
            quickly()
        assert (str(caught.value), str(caught.value.__cause__)) == (str(error), str(error.__cause__))
        return
    own = OmegaConf.masked_copy(cfg, [str(name) for name in cfg if name != "hydra"])
    for _ in range(2):  # the second time, interpolations are known
        composed = quickly()
        assert repr(composed.given) == repr(plain(cfg))
        assert dict(composed.choices) == dict(cfg.hydra.runtime.choices)
        try:
            values = resolved(own)
        except RequestError as error:
            with pytest.raises(RequestError) as refused:
                composed.resolve()
            assert str(refused.value) == str(error)
        else:
            assert repr(composed.resolve()) == repr(values)


@pytest.mark.slow
@many
@given(OVERRIDES)
def test_a_job_is_checked_as_a_single_run_is(overrides: list[str]) -> None:
    master = sweep("seed=0,1")

    def checked(as_job: bool) -> object:
        try:
            if as_job:
                return check_job(master, overrides, LOADER)
            with explained(overrides, LOADER):
                cfg = LOADER.load_sweep_config(master, overrides)
            return check(cfg, cfg.hydra.runtime.choices, Loader())
        except RequestError as error:
            return str(error)

    assert repr(checked(as_job=True)) == repr(checked(as_job=False))


def test_a_job_that_is_a_sweep_itself_is_refused() -> None:
    with pytest.raises(RequestError, match=r"^experiment=sweep_buckets: a sweep itself; give it alone"):
        check_job(sweep("seed=0,1"), ["experiment=sweep_buckets", "seed=1"], LOADER)


@pytest.mark.parametrize("strategy", slow_but(["qr", "qr_md"], options("strategy")))
def test_what_a_composition_leaves_is_the_base(strategy: str) -> None:
    by, other = Loader(), Loader()
    choices = by.compose([f"strategy={strategy}", "seed=3"]).hydra.runtime.choices
    other.adapt = lambda cfg, structure: None  # type: ignore[method-assign]
    assert repr(by.base(choices)) == repr(other.base(choices))


def test_memory_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, text = Memory(), "${oc.env:BENCH_TEST,none}"
    own = OmegaConf.create({"a": text, "b": "${oc.select:c,1}"})
    found = []
    for value in ("x", "y", "x"):
        monkeypatch.setenv("BENCH_TEST", value)
        found.append(memory.resolved(lambda: own, plain(own)))
    assert found == [{"a": value, "b": 1} for value in ("x", "y", "x")]
    assert (
        memory.resolved(lambda: OmegaConf.create(), {"a": text, "b": "${oc.select:c,1}", "c": None})["b"]
        is None
    )


def test_parsed_overrides_are_told_apart_by_their_text() -> None:
    texts = [
        "seed=1",
        "seed='1'",
        "seed=1.0",
        "seed=01",
        "++seed=1",
        "a.b=0",
        "a.1=3",
        "seed=1_0",
        "a-b=5",
        "a@b=1",
    ]
    assert [repr(one) for one in LOADER.parsed(texts)] == [repr(one) for one in parse(texts)]


@pytest.mark.parametrize(
    "job", ["seed={}", "strategy=qr num_buckets=1{}0", "strategy=qr_md training.learning_rate=0.{1} seed={0}"]
)
def test_a_job_that_differs_in_values_reads_no_file(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    master, read = sweep("seed=range(0,200)"), []
    opened = io.open

    def noted(*args: Any, **options: Any) -> Any:
        read.append(args)
        return opened(*args, **options)

    check_job(master, job.format(0, 1).split(), LOADER)  # reads the files of the choices
    monkeypatch.setattr(builtins, "open", noted)
    monkeypatch.setattr(io, "open", noted)
    for number in (1, 2):
        check_job(master, job.format(number, 1 + number % 5).split(), LOADER)
    assert not read


def test_a_loader_travels_without_what_it_composed() -> None:
    by = Loader()
    by.compose(["strategy=qr"])
    by.secrets.hidden("postgresql://me:pass@host/db")
    sent = pickle.loads(pickle.dumps(by))
    assert sent.secrets.known == by.secrets.known
    assert len(pickle.dumps(by)) < 2_000_000
    assert OmegaConf.to_yaml(sent.compose(["strategy=md"])) == OmegaConf.to_yaml(by.compose(["strategy=md"]))
