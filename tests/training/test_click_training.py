"""Click models in the compiled loop, against plain Keras: fit, and its optimizers step by step."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_trainer import TRAINING, Silent, assert_close, by_rows  # noqa: F401

from bench import models, tasks
from bench.config import compose
from bench.data.interactions import Field, Interactions, Part
from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.embeddings.layer import CompressedEmbedding, embedding_layers
from bench.training.history import History
from bench.training.monitor import Monitor
from bench.training.trainer import Trainer

CLICK = tasks.find("click")
SIZES = {"user": 60, "item": 30, "day": 5}
WHOLE = ["model.linear=own", "model.hidden_units=[8,6]", "model.batch_norm=true"]


def interactions(rows=150, seed=0, validation=80):
    rng = np.random.default_rng(seed)

    def some(n):
        ids = {name: (size * rng.random(n) ** 2).astype(np.int32) for name, size in SIZES.items()}
        clicked = rng.random(n) < np.where(ids["item"] % 3 == 0, 0.8, 0.2)
        return Part(ids, clicked.astype(np.float32), rng.normal(size=(n, 2)).astype(np.float32))

    train = some(rows)
    fields = {n: Field(n, size, np.bincount(train.ids[n], minlength=size)) for n, size in SIZES.items()}
    parts = train, some(validation), some(100)
    return Interactions("made", fields, *parts, (0.0, 1.0), "item", "digest", "user")


def build(data, name="deepfm", given=WHOLE):
    keras.utils.set_random_seed(0)
    layers = {
        n: CompressedEmbedding(find("full")(Vocabulary(n, field.size), 4), seed=0, name=f"{n}_embedding")
        for n, field in data.fields.items()
    }
    keras.utils.set_random_seed(1)
    chosen = compose([f"model={name}", "dataset=synthetic_ctr", *given]).model
    return models.build(chosen, layers, None, data.dense_dim)


def trainer(data, model, seed=0, **training):
    settings = replace(TRAINING, batch_size=16, jit=False, **training)
    return Trainer(model, data, settings, seed, task=CLICK)


def real_batches(run, epoch):
    """The batches of an epoch without what fills them up."""
    for chunk in run.batches.epoch(epoch):
        for step in range(chunk.steps):
            n = chunk.arrays["counts"][step]
            inputs = {name: ids[step, :n] for name, ids in chunk.arrays["ids"].items()}
            yield (
                {**inputs, "dense_columns": chunk.arrays["dense"][step, :n]},
                chunk.arrays["labels"][step, :n],
            )


def plain_steps(model, run, optimizer, rates, l2=0.0):
    """Plain Keras: a tape and an optimizer, whose rate is set for each epoch."""
    tables = [layer.table_variables["table"] for layer in embedding_layers(model)]
    for epoch, rate in enumerate(rates, start=1):
        optimizer.learning_rate = rate
        for inputs, labels in real_batches(run, epoch):
            with tf.GradientTape() as tape:
                logits = model(inputs, training=True)
                loss = keras.losses.binary_crossentropy(labels, logits, from_logits=True)
                if l2:
                    loss += l2 / 2 * sum(tf.reduce_sum(tf.square(table.value)) for table in tables)
            variables = model.trainable_variables
            gradients = tape.gradient(loss, [v.value for v in variables])
            optimizer.apply([tf.convert_to_tensor(g) for g in gradients], variables)


def numbers(model):
    return {v.path: v.numpy() for v in model.variables if "seed" not in v.path}


EPSILON = {"epsilon": 1e-3}
"""Of Adam: biases before a normalization have gradients of mere rounding, which a small one would blow up."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deepfm", pytest.param("wide_deep", marks=pytest.mark.slow)])
def test_training_is_that_of_keras_fit(name):
    data = interactions()
    ours, theirs = build(data, name), build(data, name)
    run = trainer(data, ours, optimizer="sgd", learning_rate=0.3, epochs=1)
    order = list(real_batches(run, 1))
    assert [len(labels) for _, labels in order] == [16] * 9 + [6]
    x = {key: np.concatenate([inputs[key] for inputs, _ in order]) for key in order[0][0]}
    y = np.concatenate([labels for _, labels in order])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    theirs.compile(keras.optimizers.SGD(0.3), loss, jit_compile=False)
    theirs.fit(x, y, batch_size=16, shuffle=False, epochs=1, verbose=0)
    history = run.fit(Silent())
    assert any("moving_variance" in path for path in numbers(ours))
    assert_close(numbers(ours), numbers(theirs), 2e-5)
    part = data.evaluation
    logits = theirs.predict({**part.ids, "dense_columns": part.dense}, verbose=0)
    np.testing.assert_allclose(run.predict(part), logits, rtol=1e-4, atol=2e-4)
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = -np.mean(np.where(part.labels == 1, np.log(p), np.log(1 - p)))
    assert history.epochs[0]["val_logloss"] == pytest.approx(expected, abs=3e-5)
    assert {"val_auc", "val_gauc", "val_ece", "val_auc_by_decile", "validation_auc"} <= history.epochs[
        0
    ].keys()


@pytest.mark.slow
def test_clipping_and_the_norm_of_whole_tables_against_plain_keras():
    data = interactions()
    ours, theirs = build(data), build(data)
    run = trainer(
        data, ours, epochs=2, clipnorm=0.05, embedding_l2=0.3, learning_rate=0.01, optimizer_settings=EPSILON
    )
    assert run.table_updates == "dense"
    plain_steps(theirs, run, keras.optimizers.Adam(global_clipnorm=0.05, **EPSILON), [0.01, 0.01], l2=0.3)
    run.fit(Silent())
    assert_close(numbers(ours), numbers(theirs), 3e-5)


@pytest.mark.slow
def test_each_of_them_counts():
    data = interactions()
    found = []
    for more in ({}, {"clipnorm": 0.05}, {"embedding_l2": 0.3}):
        model = build(data)
        trainer(data, model, epochs=1, optimizer="sgd", learning_rate=0.1, **more).fit(Silent())
        found.append(np.concatenate([v.ravel() for v in numbers(model).values()]))
    assert all(np.abs(found[0] - other).max() > 1e-3 for other in found[1:])


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_rate_falls_on_a_plateau_by_rows_and_dense_as_in_plain_keras(by_rows, optimizer):  # noqa: F811
    data = interactions()
    schedule = replace(TRAINING.schedule, kind="plateau", factor=0.2, patience=1, min_delta=100.0)
    more = {"momentum": 0.9} if optimizer == "sgd" else EPSILON
    given = {"optimizer": optimizer, "optimizer_settings": more, "learning_rate": 0.02, "epochs": 4}
    kinds = {}
    for updates in ("deferred", "dense"):
        model = build(data)
        run = trainer(data, model, schedule=schedule, table_updates=updates, **given)
        assert run.table_updates == updates
        run.fit(Silent())
        kinds[updates] = numbers(model)
    theirs = build(data)
    plain = keras.optimizers.get(optimizer).__class__(**more)
    plain_steps(theirs, run, plain, [0.02, 0.02, 0.004, 0.0008])
    assert_close(kinds["dense"], numbers(theirs), 5e-5)
    assert_close(kinds["deferred"], numbers(theirs), 5e-5)


def monitor(task="click", **settings):
    return Monitor(replace(TRAINING, **settings), tasks.find(task))


def test_a_monitor_by_hand():
    both = monitor(
        monitor="validation_auc",
        best_weights=True,
        schedule=replace(TRAINING.schedule, kind="plateau", factor=0.1, patience=1, min_delta=1e-3),
        early_stopping=replace(TRAINING.early_stopping, patience=2, min_delta=1e-3),
    )
    seen = []
    for number, auc in enumerate([0.7, 0.8, 0.8005, 0.81, 0.80, 0.805], start=1):
        better = both.see(number, {"validation_auc": auc})
        seen.append((better, round(both.scale, 6), both.ends))
    assert seen == [
        (True, 1, False), (True, 1, False), (True, 0.1, False), (True, 0.1, False), (False, 0.01, False),
        (False, 0.001, True),
    ]  # fmt: skip
    assert both.best == 4


def test_a_monitor_of_a_loss_waits_as_long_as_it_is_told():
    loss = monitor("rating", schedule=replace(TRAINING.schedule, kind="plateau", patience=2))
    scales = []
    for number, value in enumerate([3.0, 4.0, 2.0, 2.0, 2.0, 2.5, 2.5, 1.0], start=1):
        loss.see(number, {"validation_loss": value})
        scales.append(round(loss.scale, 6))
    assert scales == [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01] and not loss.ends


@pytest.mark.parametrize(
    "metric", [pytest.param("validation_loss", marks=pytest.mark.slow), "validation_auc"]
)
def test_the_best_weights_are_kept_and_reported(metric):
    data = interactions()
    rng = np.random.default_rng(3)
    data.train.labels[:] = rng.integers(0, 2, len(data.train)).astype(np.float32)  # nothing to learn
    model = build(data)
    run = trainer(data, model, epochs=6, learning_rate=0.05, best_weights=True, monitor=metric)
    history = run.fit(Silent())
    values = [epoch[metric] for epoch in history.epochs]
    best = int(np.argmax(values) if metric == "validation_auc" else np.argmin(values))
    assert best != 5 and history.best == best + 1 and history.kept is history.epochs[best]
    part = data.validation
    assert CLICK.validate(part.labels, run.predict(part))[metric] == pytest.approx(values[best], abs=1e-6)
    again = {key: [epoch[key] for epoch in history.epochs] for key in history.kept}
    assert run.adopt(again).best == history.best
    assert History(epochs=history.epochs).kept is history.epochs[-1]


@pytest.mark.slow
def test_dropout_follows_the_seed_and_is_off_in_evaluation():
    data = interactions()
    found = []
    for _ in range(2):
        model = build(data, given=[*WHOLE, "model.dropout=0.5"])
        run = trainer(data, model, epochs=1)
        run.fit(Silent())
        found.append(numbers(model))
        np.testing.assert_array_equal(run.predict(data.evaluation), run.predict(data.evaluation))
    assert_close(*found, 0.0)
    without = build(data)
    trainer(data, without, epochs=1).fit(Silent())
    assert any(np.abs(found[0][path] - value).max() > 1e-4 for path, value in numbers(without).items())


@pytest.mark.slow
def test_own_linear_tables_are_updated_by_rows_as_dense(by_rows):  # noqa: F811
    data = interactions()
    one, other = build(data, "fm", ["model.linear=own"]), build(data, "fm", ["model.linear=own"])
    run = trainer(data, one, epochs=2, learning_rate=0.02)
    run.fit(Silent())
    assert {key for key, tables in run._deferred.items() if tables} == set(run._layers)
    assert len(run._layers) == 6
    plain_steps(other, run, keras.optimizers.Adam(), [0.02, 0.02])
    assert_close(numbers(one), numbers(other), 3e-5)


@pytest.mark.slow
def test_xla_gives_the_same():
    data = interactions()
    found = []
    for jit in (True, False):
        model = build(data)
        settings = replace(
            TRAINING,
            batch_size=16,
            jit=jit,
            epochs=2,
            embedding_l2=0.01,
            clipnorm=1.0,
            optimizer_settings=EPSILON,
        )
        Trainer(model, data, settings, 0, task=CLICK).fit(Silent())
        found.append(numbers(model))
    assert_close(*found, 2e-5)
