"""``--plan``: what runs would be, before anything is trained."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Commands, error_line

from bench.cli.plan import lines
from bench.sweeps.plan import Plan

METHODS = "full,md,qr,svd"  # test_run_methods plans all


def made(status: str = "to train", seconds: float | None = None, **more: object) -> Plan:
    sizes = {"user": {"method": "qr", "num_buckets": 9}, "item": {"method": "qr", "num_buckets": 7}}
    return Plan(status, str(more.get("fingerprint", "f")), sizes, 1000, 4000, 250, 3 << 30, seconds)


def test_the_table_by_hand() -> None:
    planned = {
        0: made(seconds=90.0, fingerprint="a"),
        1: made(fingerprint="b"),
        2: made(seconds=90.0, fingerprint="a"),
        3: made("done", 0.0, fingerprint="c"),
        4: Plan("refused", message="budget=1B: cannot be met"),
        5: Plan("refused", message="budget=1B: cannot be met"),
    }
    words = {number: ("model=dot", f"seed={number}") for number in planned}
    found = lines(words, planned)
    assert found[0] == "all runs: model=dot"
    sizes = "user qr: num_buckets=9; item qr: num_buckets=7"
    assert [" ".join(line.split()) for line in found[1:]] == [
        "run settings status sizes bytes smaller parameters memory time",
        f"0 seed=0 to train {sizes} 1,000 4.0x 250 3.00 GiB 90.0 s",
        f"1 seed=1 to train {sizes} 1,000 4.0x 250 3.00 GiB unknown",
        f"2 seed=2 equals 0 {sizes} 1,000 4.0x 250 3.00 GiB -",
        f"3 seed=3 done {sizes} 1,000 4.0x 250 3.00 GiB -",
        "4 seed=4 refused - - - - - -",
        "5 seed=5 refused - - - - - -",
        "refused, run 4, 5: budget=1B: cannot be met",
        "6 runs: 2 to train, 1 done, 1 equal to others, 2 refused; 90.0 s one after the other on this machine; "
        "the time of 1 is unknown",
    ]


def test_many_sizes_are_cut() -> None:
    fields = {f"C{n}": {"method": "qr", "num_buckets": n} for n in range(26)}
    (_, row, _) = lines({0: ()}, {0: Plan("to train", "f", fields, 1000, 4000, 250, 1 << 30)})
    assert "C0 qr: num_buckets=0; C1 qr" in row and "..." in row and len(row) < 140


@pytest.fixture(scope="module")
def here(new_commands: Callable[[str], Commands]) -> Commands:
    return new_commands("planned")


@pytest.mark.slow
def test_what_is_planned_is_what_runs_report(here: Commands) -> None:
    sweep = ("-m", f"strategy={METHODS}", "budget=0.5", "training.epochs=2")
    planned = here.small(*sweep, "--plan")
    assert planned.code == 0, planned.err
    assert not list(here.cwd.glob("outputs/2*")) and not list(here.cwd.glob("outputs/results/*/result.json"))
    rows = {
        line.split()[1].partition("=")[2]: line.split()
        for line in planned.out.splitlines()
        if "to train" in line
    }
    done = here.small(*sweep)
    assert done.code == 0, done.err
    trained = {result["strategy"]: result for result in done.results if result["status"] == "finished"}
    assert trained.keys() == set(METHODS.split(","))
    for strategy, result in trained.items():
        words = [word.replace(",", "") for word in rows[strategy]]
        assert str(result["embedding_bytes"]) in words, strategy
        assert str(result["params_embedding"]) in words, strategy
        assert f"{result['full_embedding_bytes'] / result['embedding_bytes']:.1f}x" in words
    again = here.small(*sweep, "--plan")
    statuses = [line.split()[2] for line in again.out.splitlines() if line.split()[1].startswith("strategy=")]
    assert statuses.count("done") == len(trained)
    more = here.small("-m", f"strategy={METHODS}", "budget=0.5", "training.epochs=2", "seed=7", "--plan")
    assert "unknown" not in more.out.splitlines()[-1] and "one after the other on this machine" in more.out


@pytest.mark.slow
def test_one_run_and_wrong_requests(here: Commands) -> None:
    one = here.small("strategy=qr", "num_buckets=30", "seed=99", "--plan")
    assert (
        one.code == 0
        and "num_buckets=30" in one.out
        and one.out.splitlines()[-1].startswith("1 run: 1 to train")
    )
    refused = here.small("strategy=qr", "budget=10B", "--plan")
    assert refused.code == 0 and "refused, run 0: budget=10B: 10 bytes of" in refused.out
    wrong = here.small("--plan", "strategy=qr", "num_buckets=0")
    assert wrong.code == 2 and "num_buckets=0" in error_line(wrong)
    both = here.small("--plan", "--cfg", "job")
    assert both.code == 2 and "give one of them" in error_line(both)


@pytest.mark.slow
def test_a_plan_imports_no_tensorflow(here: Commands) -> None:
    code = (
        "import sys\nfrom bench.cli.run import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print(sorted({'tensorflow', 'keras', 'mlflow'} & {*sys.modules}))"
    )
    given = ["--plan", "-m", "strategy=qr,svd", "dataset.num_ratings=2000", "dataset.num_users=50",
             "dataset.num_items=40", f"data_dir={here.cwd / 'data'}"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, *given], capture_output=True, text=True, cwd=here.cwd, check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "", "HOME": str(here.cwd)},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.slow
def test_times_that_no_record_tells_are_measured(new_commands: Callable[[str], Commands]) -> None:
    here = new_commands("measured")
    sweep = ("-m", "strategy=full,tt,svd,dpq", "seed=0,1")
    planned = here.small(*sweep, "--plan=measure")
    assert planned.code == 0, planned.err
    assert [line for line in planned.err.splitlines() if line.startswith("measuring ")] == [
        "measuring full", "measuring tt", "measuring svd", "measuring dpq",
    ]  # fmt: skip
    assert planned.out.splitlines()[-1] == "measured by a few steps on this machine: full, tt, svd, dpq"
    assert "unknown" not in planned.out and "8 to train" in planned.out
    assert not list(here.cwd.iterdir())
    # what is recorded is not measured again
    assert here.small("-m", "strategy=full,tt", "seed=0,1").code == 0
    again = here.small(*sweep, "--plan=measure")
    assert again.out.splitlines()[-1] == "measured by a few steps on this machine: svd, dpq"
    assert "4 to train, 4 done" in again.out
    wrong = here.small("--plan=fast", "strategy=qr")
    assert wrong.code == 2 and error_line(wrong).startswith(
        "error: --plan=fast: give --plan or --plan=measure"
    )


@pytest.mark.slow
def test_many_runs_are_planned(here: Commands) -> None:
    many = ("-m", "--plan", "strategy=md,qr,tt", "budget=range(0.1,1,0.1)", "seed=10,11,12")
    planned = here.small(*many)
    assert planned.code == 0 and planned.out.splitlines()[-1].startswith("81 runs: ")
