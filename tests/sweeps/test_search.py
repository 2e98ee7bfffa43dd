"""A search: what it may choose from, what is refused before it starts, and what a kill leaves of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from commands import Commands, Done, client_of, error_line, logged_runs, result_in
from commands import run_here as main
from hydra.core.override_parser.overrides_parser import OverridesParser
from marks import slow_but
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from bench.config import Settings
from bench.errors import RequestError
from bench.records.result import Result, Status
from bench.sweeps import search, space
from bench.sweeps.jobs import Outcome

SEARCH = ("-m", "hydra/sweeper=optuna", "strategy=qr", "training.epochs=1")
VALIDATION = "dataset.split.validation_fraction=0.1"
BUCKETS = "num_buckets=range(20,300)"


def dimension(text: str) -> space.Dimension:
    return space.dimension(OverridesParser.create().parse_override(text))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("combine=sum,product", CategoricalDistribution(("sum", "product"))),
        ("combine=choice(sum,product)", CategoricalDistribution(("sum", "product"))),
        ("x=shuffle(3,1,2)", CategoricalDistribution(("3", "1", "2"))),
        ("block_dims=[64,32],[32,16]", CategoricalDistribution(("[64,32]", "[32,16]"))),
        ("num_buckets=range(80,2000)", IntDistribution(80, 1999)),
        ("num_buckets=range(5)", IntDistribution(0, 4)),
        ("num_buckets=range(10,100,20)", IntDistribution(10, 90, step=20)),
        ("num_buckets=range(100,10,-20)", IntDistribution(20, 100, step=20)),
        ("budget=range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
        ("num_buckets=tag(log,range(8,65))", IntDistribution(8, 64, log=True)),
        ("num_buckets=interval(80,2000)", IntDistribution(80, 2000)),
        ("num_buckets=int(interval(80.0,2000.0))", IntDistribution(80, 2000)),
        ("budget=interval(0.1,1)", FloatDistribution(0.1, 1.0)),
        ("budget=interval(1e-2,1e0)", FloatDistribution(0.01, 1.0)),
        ("budget=tag(log,interval(0.01,0.5))", FloatDistribution(0.01, 0.5, log=True)),
        ("num_buckets=tag(log, interval(8, 64))", IntDistribution(8, 64, log=True)),
    ],
)
def test_sweep_syntax_is_the_search_space(given: str, expected: Any) -> None:
    assert dimension(given).distribution() == expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("num_buckets=range(5,5)", "leaves its end out"),
        ("num_buckets=interval(9,5)", "smaller number first"),
        ("num_buckets=tag(log,interval(0,5))", "above 0"),
        ("num_buckets=tag(log,range(1,50,3))", "no step"),
        ("num_buckets=tag(log,choice(1,2))", "no scale"),
        ("num_buckets=tag(often,interval(1,5))", "the tag log only"),
    ],
)
def test_space_that_is_none_is_refused(given: str, says: str) -> None:
    with pytest.raises(RequestError, match=re.escape(given)) as refused:
        dimension(given)
    assert says in str(refused.value)


class Task:
    """A run that trains nothing: the numbers follow from the settings."""

    def __init__(self, fails: Callable[[int], bool] = lambda buckets: False) -> None:
        self.seen: list[int] = []
        self.fails = fails

    def __call__(self, settings: Settings, output_dir: Path) -> Result:
        buckets = settings.method("user")[1].num_buckets
        self.seen.append(buckets)
        if self.fails(buckets):
            raise RequestError(f"num_buckets={buckets}: refused")
        error = 1 / buckets if buckets % 3 else float("nan") if buckets % 2 else 0.5
        return Result.of(
            Status.FINISHED, run_id=f"r{buckets}", fingerprint=f"f{buckets}", val_mae=0.25,
            embedding_bytes=buckets * 256, validation_mae=error,
        )  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


def sized(settings: Settings) -> int:
    """As a method over a vocabulary would refuse it."""
    buckets = settings.method("user")[1].num_buckets
    if buckets is not None and buckets < 10:
        raise RequestError(f"num_buckets={buckets}: too few; the smallest that works is 10")
    return 0


REFUSED = [
    (("num_buckets=range(20,300)",), "dataset.split.validation_fraction, such as 0.1"),
    ((VALIDATION,), "nothing to search over"),
    ((VALIDATION, "num_buckets=range(1,5)"), "num_buckets=1: too few"),
    ((VALIDATION, "num_bucket=range(20,300)"), "num_bucket=20: no such setting"),
    ((VALIDATION, BUCKETS, "combine=sum,prod"), "combine=prod"),
    ((VALIDATION, BUCKETS, "model=dot,dott"), "dott"),
    ((VALIDATION, BUCKETS, "seed=0,1"), "luck"),
    ((VALIDATION, BUCKETS, "dataset.split.seed=range(3)"), "different rows"),
    ((VALIDATION, BUCKETS, "hydra.sweeper.sampler=best"), "tpe or nsgaii"),
    ((VALIDATION, BUCKETS, "hydra.sweeper.n_trials=0"), "at least 1"),
    ((VALIDATION, BUCKETS, "hydra.sweeper.storage=redis://x"), "sqlite:///outputs/optuna.db"),
    ((VALIDATION, BUCKETS, "hydra.sweeper.trials=3"), "hydra.sweeper.trials=3"),
]


@pytest.mark.parametrize(
    ("given", "says"), slow_but(REFUSED[::2], REFUSED), ids=[" ".join(g) for g, _ in REFUSED]
)
def test_refused_before_the_first_run(
    given: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Task()
    assert main(task, [*SEARCH, *given], memory=sized) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.count("\n") == 1 and says in printed
    assert task.seen == [] and not Path("outputs").exists()


@pytest.mark.slow
def test_one_end_that_works_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    given = [*SEARCH, VALIDATION, "num_buckets=interval(1,301)", "training.learning_rate=interval(1e-3,1e-2)"]
    assert main(Task(), [*given, "hydra.sweeper.n_trials=1"], memory=sized) == 0


def test_without_optuna(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(space.importlib.util, "find_spec", lambda name: None)
    assert main(Task(), [*SEARCH, VALIDATION, BUCKETS]) == 2
    assert capsys.readouterr().err == (
        'error: hydra/sweeper=optuna: needs the package optuna; pip install "embedding-bench[search]"\n'
    )


def study_in(folder: Path) -> Any:
    storage = f"sqlite:///{folder}/outputs/optuna.db"
    (summary,) = optuna.get_all_study_summaries(storage)
    return optuna.load_study(study_name=summary.study_name, storage=storage)


def states(folder: Path) -> list[str]:
    return [trial.state.name for trial in study_in(folder).trials]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "nsgaii"])
def test_goes_on_until_all_have_finished(
    sampler: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*SEARCH, VALIDATION, "num_buckets=range(20,20000)", f"hydra.sweeper.sampler={sampler}"]
    task = Task(fails=lambda buckets: buckets % 5 == 0)
    for n_trials in (4, 12):
        while states(tmp_path).count("COMPLETE") < n_trials if task.seen else True:
            main(task, [*given, f"hydra.sweeper.n_trials={n_trials}", "hydra.sweeper.n_jobs=2"])
        trained = len(task.seen)
        capsys.readouterr()
        assert main(task, [*given, f"hydra.sweeper.n_trials={n_trials}"]) == 0
        assert len(task.seen) == trained  # nothing is left to do
        printed = capsys.readouterr().out
    assert len(set(task.seen)) == len(task.seen)  # nothing is proposed twice
    study = study_in(tmp_path)
    for trial in study.trials:
        buckets = trial.params["num_buckets"]
        if buckets % 5 == 0 or buckets % 6 == 3:
            assert trial.state == TrialState.FAIL and trial.values is None
            assert f"num_buckets={buckets}  failed: " in printed
        else:
            assert trial.values == [buckets * 256, 0.5 if buckets % 3 == 0 else 1 / buckets]
            assert (trial.user_attrs["run_id"], trial.user_attrs["fingerprint"]) == (
                f"r{buckets}", f"f{buckets}",
            )  # fmt: skip
    assert "12 of 12 trials have finished" in printed
    listed = [line.split()[0] for line in printed.splitlines() if "0.2500" in line]
    best = {tuple(trial.values) for trial in study.best_trials}
    assert listed == [f"num_buckets={int(size) // 256}" for size, _ in sorted(best)]


def test_order_of_words_and_what_changes_no_number_is_the_same_study() -> None:
    cfg = OmegaConf.create({"hydra": {"sweeper": {"params": None}}})

    def digest(*words: str) -> str:
        return search.digest(*space.split(cfg, words))

    one = digest("strategy=qr", "seed=1", BUCKETS)
    assert one == digest(BUCKETS, "seed=1", "strategy=qr", "tracking.uri=x", "resume=false")
    assert (
        len(
            {
                one,
                digest("strategy=qr", "seed=2", BUCKETS),
                digest("strategy=qr", "seed=1", "num_buckets=1,2"),
            }
        )
        == 3
    )


def settings(**changed: Any) -> space.SearchSettings:
    values = {
        "n_trials": 5, "n_jobs": 1, "seed": 0, "study_name": "s", "storage": "sqlite:///study.db", "sampler": "tpe"
    }  # fmt: skip
    return space.SearchSettings(**{**values, **changed})


def test_what_a_kill_leaves_has_failed_and_is_proposed_once_more() -> None:
    dimensions = [dimension(BUCKETS)]
    study = search.opened(settings(), "s", "digest")
    left = search.ask(study, settings(), dimensions)
    search.take_up(study)
    assert study.trials[left.number].state == TrialState.FAIL
    again = search.ask(study, settings(), dimensions)
    assert again.params == left.params
    search.take_up(study)  # it has ended the process twice
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL"]
    assert search.ask(study, settings(), dimensions).params != left.params
    assert search.finished(study) == []


def test_study_of_another_search_is_refused() -> None:
    search.opened(settings(), "s", "one")
    search.opened(settings(), "s", "one")
    with pytest.raises(RequestError, match=r"hydra\.sweeper\.study_name=s: .* give another name"):
        search.opened(settings(), "s", "other")


@pytest.mark.parametrize(("given", "meant"), [("~/s.db", "home/s.db"), ("a b/s.db", "a b/s.db")])
def test_storage_is_found_at_home_and_from_where_the_command_began(
    monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    here = Path.cwd()
    monkeypatch.setenv("HOME", str(here / "home"))
    own = {
        **vars(settings(storage=f"sqlite:///{given}")),
        "_target_": "hydra_plugins.bench_searches.OptunaSweeper",
        "params": {},
    }
    read = space.read(OmegaConf.create({"hydra": {"sweeper": own}}))
    assert read.storage == f"sqlite:///{here / meant}"
    search.opened(read, "s", "one")
    assert (here / meant).is_file()


def test_storage_that_is_none_is_refused() -> None:
    Path("study.db").write_text("no database, though it has some length" * 100)
    with pytest.raises(RequestError, match=r"hydra\.sweeper\.storage=sqlite:///study\.db: cannot be opened"):
        search.opened(settings(), "s", "one")


def test_skipped_counts_and_a_number_that_is_none_does_not() -> None:
    study = search.opened(settings(), "s", "one")
    numbers = Result.of(Status.SKIPPED, embedding_bytes=10, validation_mae=0.5)
    for status, result in [
        ("skipped", numbers),
        ("finished", numbers.with_(validation_mae=None)),
        ("finished", numbers.with_(validation_mae=float("nan"))),
        ("refused", None),
    ]:
        search.tell(study, search.ask(study, settings(), [dimension(BUCKETS)]), Outcome(status, (), result))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "FAIL", "FAIL"]


def test_front_has_equal_settings_once_and_nothing_that_is_beaten() -> None:
    trials = [
        SimpleNamespace(number=number, params={"x": x}, values=values)
        for number, (x, values) in enumerate(
            [(1, [10, 0.5]), (1, [10, 0.5]), (2, [10, 0.6]), (3, [20, 0.5]), (4, [20, 0.4]), (5, [5, 0.9])]
        )
    ]
    assert [trial.params["x"] for trial in search.front(trials)] == [5, 1, 4]


SMALL_SEARCH = (*SEARCH, VALIDATION, "num_buckets=range(20,190)", "hydra.sweeper.n_trials=6")


@pytest.fixture(scope="module")
def searched(new_commands: Callable[[str], Commands]) -> Done:
    """A search of six trials."""
    return new_commands("search").small(*SMALL_SEARCH)


def rows(out: str) -> list[tuple[str, ...]]:
    lines = out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("Pareto front"))
    return [tuple(line.split("  ")) for line in lines[start + 1 : -1]]


@pytest.mark.slow
def test_front_is_that_of_the_results(searched: Done) -> None:
    assert searched.code == 0, searched.err
    assert len(searched.results) == 6 and len(logged_runs(client_of(searched.cwd))) == 6
    found = [(r["embedding_bytes"], r["validation_mae"], r["val_mae"], r) for r in searched.results]
    best = [
        one for one in found
        if not any(o[0] <= one[0] and o[1] <= one[1] and o[:2] != one[:2] for o in found)
    ]  # fmt: skip
    expected = []
    for _, error, seen, result in sorted(best, key=lambda one: one[:2]):
        expected.append((result["embeddings"]["user"]["num_buckets"], f"{error:.4f}", f"{seen:.4f}"))
    printed = [[cell for cell in row if cell] for row in rows(searched.out)]
    assert [(int(row[0].partition("=")[2]), row[-2].strip(), row[-1].strip()) for row in printed] == expected
    assert "not looked at for choosing" in searched.out.splitlines()[-1]
    assert all(line.startswith("epoch ") for line in searched.err.splitlines())
    for result in searched.results:
        assert result["history"]["validation_mae"] == [result["validation_mae"]]
        assert result["validation_mae"] != result["val_mae"]
    trials = study_in(searched.cwd).trials
    assert [t.user_attrs["run_id"] for t in trials] == [r["run_id"] for r in searched.results]


@pytest.mark.slow
def test_same_command_trains_nothing(searched: Done) -> None:
    data_dir = Path(searched.results[0]["settings"]["data_dir"])
    again = Commands(searched.cwd, data_dir).small(*SMALL_SEARCH)
    assert again.code == 0, again.err
    assert again.folders == () and rows(again.out) == rows(searched.out)
    assert len(logged_runs(client_of(searched.cwd))) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "beside", [(), ("hydra/launcher=workers", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_jobs=2")]
)
def test_kill_then_the_same_command(commands: Commands, beside: tuple[str, ...]) -> None:
    sweep = (*SMALL_SEARCH, "training.epochs=40", *beside)
    sweep = tuple(word for word in sweep if word != "training.epochs=1")
    running = commands.start_small(*sweep)
    try:
        running.until(lambda: len(list(commands.cwd.glob("outputs/2*/*/*/result.json"))) >= 2)
    finally:
        running.kill()
    done = commands.small(*sweep)
    assert done.code == 0, done.err
    # a record that a kill has kept from MLflow is sent
    assert commands.start(module="bench.track").wait().code == 0
    found = states(commands.cwd)
    assert found.count("COMPLETE") == 6 and set(found) <= {"COMPLETE", "FAIL"}
    runs = logged_runs(client_of(done.cwd))
    finished = [run.data.tags["fingerprint"] for run in runs if run.info.status == "FINISHED"]
    assert len(finished) == len(set(finished))
    assert not [run for run in runs if run.info.status == "RUNNING"]
    ids = {t.user_attrs["run_id"] for t in study_in(done.cwd).trials if t.state == TrialState.COMPLETE}
    assert len(ids) == 6 and ids <= {run.info.run_id for run in runs if run.info.status == "FINISHED"}
    for path in commands.cwd.rglob("result.json"):
        result_in(path.parent)


@pytest.mark.slow
def test_too_few_buckets_are_refused_with_the_smallest(commands: Commands) -> None:
    done = commands.small(*SEARCH, VALIDATION, "num_buckets=range(1,5)")
    assert done.code == 2
    assert "num_buckets=1: too few" in error_line(done) and not (commands.cwd / "outputs").exists()
    assert json.dumps(done.out) == '""'
