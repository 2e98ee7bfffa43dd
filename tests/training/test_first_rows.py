"""``training.rows``: an epoch over the first training rows is one over a data set that has no others."""

from dataclasses import replace

import numpy as np
import pytest

from bench.config import Loader, compose
from bench.data.interactions import Part
from bench.errors import RequestError
from bench.experiment import Experiment
from bench.measure import machine
from bench.records.checkpoint import Checkpoint
from bench.records.result import Result, Status
from bench.sizing import peak_bytes
from bench.sweeps.estimate import kind
from bench.sweeps.plan import Times

GIVEN = (
    "dataset.num_users=80", "dataset.num_items=60", "dataset.num_ratings=2000", "training.epochs=2",
    "training.batch_size=64", "training.jit=false", "training.progress=false",
)  # fmt: skip


class Silent:
    def chunk(self, *_):
        pass

    def epoch(self, *_):
        pass


def experiment(tmp_path, *overrides):
    return Experiment(compose([*GIVEN, f"data_dir={tmp_path}", *overrides], Loader()), tmp_path)


def trained(run):
    with machine.Presence() as run.presence:
        run.build()
        history = run.trainer.fit(Silent())
    return history.epochs, [np.array(v) for v in run.trainer.model.variables], run.trainer


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", ["full", pytest.param("blocks", marks=pytest.mark.slow)])
def test_equal_to_data_that_end_there(tmp_path, shuffle):
    run = experiment(tmp_path, "training.rows=700", f"training.shuffle={shuffle}")
    other = experiment(tmp_path, f"training.shuffle={shuffle}")
    whole = other.data
    ids = {name: np.array(column[:700]) for name, column in whole.train.ids.items()}
    other.data = replace(whole, train=Part(ids, np.array(whole.train.labels[:700])))
    epochs, weights, trainer = trained(run)
    same, others, _ = trained(other)
    assert trainer.batches.steps == 11  # 700 rows in batches of 64
    assert epochs == same
    for one, two in zip(weights, others, strict=True):
        np.testing.assert_array_equal(one, two)


def test_fields_stay_those_of_all_rows(tmp_path):
    run, whole = experiment(tmp_path, "training.rows=10"), experiment(tmp_path)
    assert len(run.data.train) == 10 and len(run.data.evaluation) == len(whole.data.evaluation)
    assert run.data.fields["user"].counts.sum() == len(whole.data.train) == 1700
    assert run.data.digest == whole.data.digest and run.fingerprint != whole.fingerprint
    assert np.shares_memory(run.data.train.labels, run.data.train.first(3).labels)


def test_more_rows_than_there_are(tmp_path):
    with pytest.raises(
        RequestError, match=r"^training.rows=1701: synthetic has 1700 training rows; give at most"
    ):
        _ = experiment(tmp_path, "training.rows=1701").data
    assert len(experiment(tmp_path, "training.rows=1700").data.train) == 1700


@pytest.mark.parametrize("rows", ["0", "-1", "1.5", "many"])
def test_wrong_numbers(rows):
    with pytest.raises(RequestError, match=f"^training.rows={rows}: "):
        compose([f"training.rows={rows}"])


def test_rows_beyond_are_never_looked_at(tmp_path):
    run = experiment(tmp_path)
    whole = run.data
    ids = {name: np.array(column) for name, column in whole.train.ids.items()}
    for column in ids.values():
        column[700:] = 10**6  # outside every vocabulary
    wrong = replace(whole, train=Part(ids, np.array(whole.train.labels)))
    run.data = wrong.training_on(700)
    assert len(trained(run)[0]) == 2
    other = experiment(tmp_path)
    other.data = wrong
    with pytest.raises(RequestError, match="training rows: field user has id 1000000"):
        trained(other)


@pytest.mark.slow
def test_steps_and_checkpoints_go_by_these_rows(tmp_path):
    run = experiment(tmp_path, "training.rows=130", "training.epochs=3")
    kept = Checkpoint(tmp_path / "state", True)
    with machine.Presence() as run.presence:
        run.build()
        history = run.trainer.fit(Silent(), kept)
    steps = [steps for _, steps, _ in history.chunks]
    assert len(history.epochs) == 3 and sum(steps) == 9  # 64, 64 and 2 rows
    assert {examples for _, _, examples in history.chunks} == {130}
    assert kept.load().steps[0] == sum(steps)


def test_a_plan_goes_by_these_rows(tmp_path, monkeypatch):
    few, whole = experiment(tmp_path, "training.rows=700"), experiment(tmp_path)
    sizes = [peak_bytes(run.settings, run.methods, run.data) for run in (few, whole)]
    assert sizes[0] < sizes[1]
    assert kind(few.settings.values) != kind(whole.settings.values)

    def seconds(recorded):
        result = Result.of(
            Status.FINISHED, strategy="full", settings=recorded.settings.values, data_digest=recorded.data.digest,
            environment={}, total_s=9.0, train_s=5.0, eval_s=1.0, embedding_bytes=1,
        )  # fmt: skip
        monkeypatch.setattr("bench.sweeps.plan.recorded", lambda folders: [result])
        return Times([]).alone(few, 1)

    assert (seconds(few), seconds(whole)) == (9.0, None)
