from __future__ import annotations

import pytest
from hydra.errors import MissingConfigException
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.config import Loader, compose
from bench.config.messages import explain
from bench.embeddings import choices, names
from bench.errors import RequestError

LOADER = Loader()
METHODS = ", ".join(names())
STRATEGIES = ", ".join(sorted({*names(), *choices("strategy")}))


def refusal(*overrides: str) -> str:
    with pytest.raises(RequestError) as error:
        compose(overrides, LOADER)
    message = str(error.value)
    assert message.isprintable() and message == message.strip()
    return message


# the overrides, and what the one line must begin with and hold
WRONG = [
    ("strategy=full num_buckets=120", "num_buckets=120: ", "strategy=qr or qr_md"),
    ("strategy=full +num_buckets=3", "num_buckets=3: ", "strategy=qr or qr_md"),
    ("strategy=full ++num_buckets=3", "num_buckets=3: ", "strategy=qr or qr_md"),
    ("strategy=qr block_dims=[64]", "block_dims=[64]: ", "strategy=md or qr_md"),
    ("foo=1", "foo=1: ", "seed"),
    ("+foo=1", "foo=1: ", "seed"),
    ("++x=1", "x=1: ", "seed"),
    ("+training.foo=1", "training.foo=1: ", "training.epochs"),
    ("+seed=1", "+seed=1: ", "seed=1 without +"),
    ("training.epoch=3", "training.epoch=3: ", "did you mean training.epochs?"),
    ("epochs=3", "epochs=3: ", "did you mean training.epochs?"),
    ("training.epochs.x=1", "training.epochs.x=1: ", "training.epochs"),
    ("~seed", "~seed: ", "seed=VALUE"),
    ("~dataset.name", "~dataset.name: ", "dataset.name=VALUE"),
    ("~nosuch", "~nosuch: ", "no such setting"),
    ("~dataset", "~dataset: ", "synthetic"),
    ("~training", "~training: ", "default"),
    ("strategy=null", "strategy=null: ", STRATEGIES),
    ("strategy=", "strategy=: ", STRATEGIES),
    ("model=null", "model=null: ", "deepfm, dlrm, dot, dot_bias, fm"),
    ("experiment=null", "experiment=null: ", "recipe_baseline"),
    ("strategy=qq", "strategy=qq: ", STRATEGIES),
    ("dataset=movielens_1mm", "dataset=movielens_1mm: ", "did you mean movielens_1m?"),
    ("experiment=recipe", "experiment=recipe: ", "recipe_memory_efficient"),
    ("training=3", "training=3: ", "default"),
    ("experiment=recipe_memory_efficient strategy=full", "num_buckets=120: ", "strategy=full"),
    ("experiment=recipe_memory_efficient strategy=qr", "block_splits=[400, 1700]: ", "strategy=qr"),
    ("experiment=recipe_memory_efficient embedding@embeddings.item=qr", "block_", "has no effect"),
    ("strategy=qr embedding@embeddings.default=md num_buckets=3", "num_buckets=3: ", "has no effect"),
    ("strategy=qr num_buckets=4 embeddings.default.num_buckets=3", "num_buckets=4: ", "has no effect"),
    (
        "strategy=qr_md embedding@embeddings.user=qr embeddings.default.num_buckets=5",
        "embeddings.default.num_buckets=5: ",
        "has no effect",
    ),
    ("strategy=qr num_buckets=ten", "num_buckets=ten: ", "a whole number"),
    ("strategy=qr num_buckets=0", "num_buckets=0: ", "at least 1"),
    ("strategy=qr num_buckets=1.5", "num_buckets=1.5: ", "a whole number"),
    ("strategy=qr num_buckets=[1]", "num_buckets=[1]: ", "a whole number"),
    ("strategy=qr num_buckets={a:1}", "num_buckets={a: 1}: ", "one value"),
    ("strategy=md block_dims=[]", "block_dims=[]: ", "a list"),
    ("strategy=md block_dims=[64,a]", "block_dims=[64, a]: ", "a whole number"),
    ("strategy=md block_splits=[0.1,nan]", "block_splits=[0.1, nan]: ", "a number"),
    ("embedding@embeddings.item=mdd", "embedding@embeddings.item=mdd: ", "did you mean md?"),
    ("embedding@embeddings.itm=md", "embedding@embeddings.itm=md: ", "embedding@embeddings.item?"),
    ("embedding@embeddings.item=null", "embedding@embeddings.item=null: ", "leave it out"),
    ("embedding@embeddings.default=null", "embedding@embeddings.default=null: ", METHODS),
    ("+embedding@foo=qr", "embedding@foo=qr: ", "--help"),
    ("embedding/settings=qr", "embedding/settings=qr: ", "strategy="),
    ("embeddings.item.block_dims=[1]", "embeddings.item.block_dims=[1]: ", "add embedding@embeddings.item="),
    ("embeddings.itm.block_dims=[1]", "embeddings.itm.block_dims=[1]: ", "did you mean item?"),
    ("embeddings.default.num_buckets=3", "embeddings.default.num_buckets=3: ", "embeddings.default=qr"),
    ("embeddings.default.method=qr", "embeddings.default.method=qr: ", "embedding@embeddings.default=qr"),
    ("embeddings.default=null", "embeddings.default=null: ", "a group of settings"),
    ("embedding_dim=0", "embedding_dim=0: ", "at least 1"),
    ("training.epochs=-1", "training.epochs=-1: ", "at least 1"),
    ("training.batch_size=0", "training.batch_size=0: ", "at least 1"),
    ("training.learning_rate=nan", "training.learning_rate=nan: ", "above 0"),
    ("training.learning_rate=inf", "training.learning_rate=inf: ", "above 0"),
    ("training.learning_rate=0", "training.learning_rate=0: ", "above 0"),
    ("training.optimizer=adamm", "training.optimizer=adamm: ", "did you mean adam?"),
    ("training.optimizer=Adam", "training.optimizer=Adam: ", "did you mean adam?"),
    ("training.optimizer_settings=3", "training.optimizer_settings=3: ", "{name: value"),
    (
        "training.optimizer_settings.learning_rate=1",
        "training.optimizer_settings.learning_rate=1: ",
        "instead",
    ),
    ("training.optimizer_settings.beta_1=nan", "training.optimizer_settings={beta_1: nan}: ", "nan"),
    ("training.table_updates=lazy", "training.table_updates=lazy: ", "deferred or dense"),
    ("training.threads=0", "training.threads=0: ", "at least 1"),
    ("training.jit=2", "training.jit=2: ", "true or false"),
    ("training.schedule=cosine", "training.schedule=cosine: ", "training.schedule.kind"),
    ("training.schedule.kind=cos", "training.schedule.kind=cos: ", "did you mean cosine?"),
    ("training.schedule.kind=exponential", "training.schedule.decay_rate=null: ", "0.96"),
    ("training.schedule.end_factor=0.1", "training.schedule.end_factor=0.1: ", "not used"),
    ("training.early_stopping.patience=2", "training.early_stopping.patience=2: ", "validation_fraction"),
    ("training.schedule.kind=plateau", "training.schedule.kind=plateau: ", "validation_fraction"),
    ("training.best_weights=true", "training.best_weights=true: ", "validation_fraction"),
    ("training.schedule.factor=0.5", "training.schedule.factor=0.5: ", "not used"),
    ("training.monitor=validation_loss", "training.monitor=validation_loss: ", "training.best_weights=true"),
    ("training.clipnorm=0", "training.clipnorm=0: ", "above 0"),
    ("training.embedding_l2=-1", "training.embedding_l2=-1: ", "at least 0"),
    ("full_below=-1", "full_below=-1: ", "at least 0"),
    ("task=clicks", "task=clicks: ", "did you mean click?"),
    ("budget=0", "budget=0: ", "above 0 and at most 1"),
    ("budget=2", "budget=2: ", "above 0 and at most 1, or smallest, or a number of bytes, such as 12MB"),
    ("budget=12", "budget=12: ", "such as 12MB"),
    ("budget=12XB", "budget=12XB: ", "such as 12MB"),
    ("budget=0MB", "budget=0MB: ", "such as 12MB"),
    ("seed=-1", "seed=-1: ", "at least 0"),
    ("seed=true", "seed=true: ", "a whole number"),
    ("seed=", "seed='': ", "a whole number"),
    ("seed=4294967296", "seed=4294967296: ", "at most 4294967295"),
    ("resume=2", "resume=2: ", "true or false"),
    ("resume=maybe", "resume=maybe: ", "true or false"),
    ("data_dir=''", "data_dir='': ", "a path"),
    ("tracking.uri=", "tracking.uri='': ", "a text"),
    ("dataset.num_users=0", "dataset.num_users=0: ", "at least 1"),
    ("dataset.num_users=many", "dataset.num_users=many: ", "a whole number"),
    ("dataset.vocabulary=some", "dataset.vocabulary=some: ", "all or train"),
    ("dataset.split.kind=rand", "dataset.split.kind=rand: ", "did you mean random?"),
    ("dataset.split.train_fraction=1", "dataset.split.train_fraction=1: ", "below 1"),
    ("dataset.split.validation_fraction=-0.1", "dataset.split.validation_fraction=-0.1: ", "at least 0"),
    ("dataset.split=null", "dataset.split=null: ", "a group of settings"),
    ("model=neumf model.hidden_units=[]", "model.hidden_units=[]: ", "a list"),
    ("model=neumf model.dropout=1", "model.dropout=1: ", "below 1"),
    ("model.dropout=0.1", "model.dropout=0.1: ", "model.name"),
    ("model.name=neumf", "model.name=neumf: ", "model=NAME"),
    ("seed=${nosuch}", "seed=${nosuch}: ", "give a value"),
    ("seed=${seed}", "seed=${seed}: ", "give a value"),
    ("seed=${oc.env:NO_SUCH_VARIABLE}", "seed=${oc.env:NO_SUCH_VARIABLE}: ", "give a value"),
    ("seed=???", "seed: ", "seed=VALUE"),
    ("seed", "seed: ", "NAME=VALUE"),
    ("seed==", "seed==: ", "NAME=VALUE"),
    ("=1", "=1: ", "NAME=VALUE"),
    ("seed=[1", "seed=[1: ", "NAME=VALUE"),
    ("seed=${", "seed=${: ", "NAME=VALUE"),
    ('seed="1', 'seed="1: ', "NAME=VALUE"),
    ("training..epochs=1", "training..epochs=1: ", "NAME=VALUE"),
    ("seed=1,2", "seed=1,2: ", "-m"),
    ("seed=range(3)", "seed=range(3): ", "-m"),
    ("hydra.foo=1", "hydra.foo=1: ", "--cfg hydra"),
    ("hydra/launcher=nosuch", "hydra/launcher=nosuch: ", "basic"),
    ("hydra.mode=FOO", "hydra.mode=FOO: ", "MULTIRUN"),
    ("hydra.searchpath=[/tmp]", "hydra.searchpath=[/tmp]: ", "--config-dir"),
]


@pytest.mark.parametrize(("given", "start", "holds"), WRONG, ids=[case[0] for case in WRONG])
def test_refused_with_name_value_and_what_works(given: str, start: str, holds: str) -> None:
    message = refusal(*given.split(" "))
    assert message.startswith(start)
    assert holds in message


def test_spaces_and_lines_stay_within_one_line() -> None:
    assert refusal("a b").startswith("a b: cannot be read as NAME=VALUE")
    assert refusal("seed='1\n2'").startswith(r"seed='1\n2': ")


def test_table_without_a_path_is_refused() -> None:
    assert refusal("dataset=table").startswith("dataset.path=null: ")


NAMES = st.sampled_from(["seed", "embedding_dim", "budget", "resume", "training.batch_size", "num_buckets"])
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(max_examples=20, deadline=None)
@given(NAMES, TEXT)
def test_any_text_is_taken_or_refused_in_one_line(name: str, text: str) -> None:
    try:
        compose(["strategy=qr", f"{name}={text}"], LOADER)
    except RequestError as error:
        assert "\n" not in str(error)
        assert name in str(error)


@settings(max_examples=8, deadline=None)
@given(st.integers(-(10**12), 10**12))
def test_whole_numbers(value: int) -> None:
    try:
        made = compose(["strategy=qr", f"num_buckets={value}"], LOADER)
    except RequestError:
        assert value < 1
    else:
        assert made.method("user")[1].num_buckets == value >= 1


@settings(max_examples=8, deadline=None)
@given(st.floats())
def test_shares(value: float) -> None:
    try:
        made = compose([f"budget={value}"], LOADER)
    except RequestError:
        assert not 0 < value <= 1
    else:
        assert made.budget == value


@settings(max_examples=8, deadline=None)
@given(st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12))
def test_unknown_names(name: str) -> None:
    known = {"seed", "budget", "resume"}
    if name not in known:
        assert refusal(f"+{name}=1").startswith((f"{name}=1: ", f"+{name}=1: "))


def test_launcher_that_is_not_installed_names_its_extra() -> None:
    error = MissingConfigException("", missing_cfg_file="hydra/launcher/ray", options=["joblib", "basic"])
    assert str(explain(error, ["hydra/launcher=ray"], Loader())) == (
        'hydra/launcher=ray: needs pip install "embedding-bench[ray]" (there are: basic, joblib)'
    )
