"""What a sweep says that it will take, against sweeps whose runs' times are known."""

import heapq
import io
import itertools
import random

import pytest
from rich.console import Console

from bench.records.result import Result, Status
from bench.sweeps.board import SweepBoard
from bench.sweeps.estimate import Estimate
from bench.sweeps.jobs import Outcome

SECONDS = {"full": 10.0, "qr": 14.0, "md": 12.0, "tt": 95.0, "dhe": 60.0, "mgqe": 400.0}
OVERHEAD = 2.0


def settings(strategy, seed, epochs=3, **more):
    return {
        "strategy": strategy,
        "seed": seed,
        "dataset": {"name": "synthetic"},
        "training": {"epochs": epochs, "optimizer": "adam"},
        "embeddings": {"default": {"method": strategy}},
        **more,
    }


def result(strategy, seed, seconds, epochs=3, jobs=1, **more):
    """A run of which a tenth is compilation and the rest grows with the epochs."""
    phases = {"compile_s": seconds * 0.1, "train_s": seconds * 0.8, "eval_s": seconds * 0.1}
    return Result.of(
        Status.FINISHED,
        strategy=strategy,
        settings=settings(strategy, seed, epochs),
        environment={"jobs": jobs},
        total_s=seconds + OVERHEAD,
        **{**phases, **more},
    )


class Simulated:
    """A sweep on some workers whose clock this is. The runs' times vary by a tenth."""

    def __init__(self, runs, workers, records=(), seconds=SECONDS, first=0.0):
        drawn = random.Random(0)
        self.now, self.workers, self.begun, self.out = 0.0, workers, [], io.StringIO()
        self.runs = runs
        self.takes = [seconds[s] * epochs / 3 * drawn.uniform(0.9, 1.1) for s, _, epochs in runs]
        self.first = first
        values = {n: settings(*run) for n, run in enumerate(runs)}
        self.board = SweepBoard(
            [(f"strategy={s}", f"seed={seed}") for s, seed, _ in runs],
            console=Console(file=self.out, width=40, highlight=False, soft_wrap=True),
            estimate=Estimate(values, records, workers > 1),
            clock=lambda: self.now,
        )

    def start(self, waiting, busy):
        number = self.board.choose(waiting, self.workers) if self.workers > 1 else waiting[0]
        waiting.remove(number)
        extra = OVERHEAD + (self.first if len(self.begun) < self.workers else 0.0)
        self.begun.append(number)
        self.board.started(number, (f"strategy={self.runs[number][0]}",))
        heapq.heappush(busy, (self.now + self.takes[number] + extra, number))

    def run(self):
        """Returns the time of each end with what the board then says is left, and the whole time."""
        waiting, busy, seen = list(range(len(self.runs))), [], []
        for _ in range(self.workers):
            self.start(waiting, busy)
        while busy:
            self.now, number = heapq.heappop(busy)
            strategy, seed, epochs = self.runs[number]
            one = result(strategy, seed, self.takes[number], epochs)
            self.board.ended(number, Outcome("finished", (f"strategy={strategy}",), one))
            if waiting:
                self.start(waiting, busy)
            seen.append((self.now, self.board.left()))
        return seen, self.now


def runs(strategies, seeds, epochs=(3,)):
    return list(itertools.product(strategies, range(seeds), epochs))


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("earlier", [True, False])
def test_time_left_is_right_after_the_first_third(workers, earlier):
    records = [result(name, 7, seconds, epochs=3) for name, seconds in SECONDS.items()] if earlier else []
    # in one process the order is the user's: without records, what has not run yet is not known
    order = list(itertools.product(range(8), SECONDS)) if workers == 1 else None
    planned = [(s, seed, 3) for seed, s in order] if order else runs(SECONDS, 8)
    seen, whole = Simulated(planned, workers, records, first=6.0).run()
    late = [(now, left) for now, left in seen if whole / 3 <= now <= 0.9 * whole]
    assert len(late) >= 3
    for now, left in late:
        assert not left.unknown
        assert left.seconds == pytest.approx(whole - now, rel=0.3), (now, whole)


def test_epochs_of_other_runs_count():
    planned = runs(["full", "tt"], 3, epochs=(3, 12))
    seen, whole = Simulated(planned, 2, [result("tt", 0, 95.0), result("full", 0, 10.0)]).run()
    now, left = seen[0]
    assert left.seconds == pytest.approx(whole - now, rel=0.2)


def test_slow_strategies_start_first_where_their_time_is_known():
    records = [result(name, 0, seconds) for name, seconds in SECONDS.items()]
    planned = runs(SECONDS, 2)
    simulated = Simulated(planned, 2, records)
    _, whole = simulated.run()
    order = [planned[number][0] for number in simulated.begun]
    assert order == [s for s in sorted(SECONDS, key=lambda s: -SECONDS[s]) for _ in range(2)]
    least = max(sum(simulated.takes) / 2, max(simulated.takes))
    assert whole < 1.1 * least + 12 * OVERHEAD


def test_each_unknown_strategy_starts_once_before_any_other_run():
    simulated = Simulated(runs(SECONDS, 4), 2)
    simulated.run()
    first = [simulated.runs[number][0] for number in simulated.begun[: len(SECONDS)]]
    assert sorted(first) == sorted(SECONDS)
    assert sorted(simulated.begun) == list(range(24)) and list(simulated.board.outcomes) != sorted(
        simulated.begun
    )


def test_one_process_keeps_the_order():
    simulated = Simulated(runs(SECONDS, 2), 1)
    simulated.run()
    assert simulated.begun == list(range(12))


def test_what_is_said_by_hand():
    simulated = Simulated(runs(["full", "mgqe"], 2), 1, seconds={"full": 10.0, "mgqe": 400.0})
    simulated.takes = [10.0, 10.0, 400.0, 400.0]
    simulated.run()
    said = [line for line in simulated.out.getvalue().splitlines() if not line.startswith("run ")]
    assert said == [
        "full: 12.0 s a run, 1 more; 1 of 4 runs ended, about 36.0 s left (the time of mgqe is not known yet)",
        "mgqe: 6 min 42 s a run, 1 more; 3 of 4 runs ended, about 6 min 42 s left",
    ]


def test_records_say_it_before_the_first_run():
    records = [result("full", 0, 10.0), result("mgqe", 0, 400.0), result("tt", 0, 1.0)]
    simulated = Simulated(runs(["full", "mgqe"], 2), 1, records)
    simulated.run()
    assert simulated.out.getvalue().splitlines()[0] == "0 of 4 runs ended, about 13 min 44 s left"


def test_records_of_runs_beside_others_count_first_for_workers():
    records = [result("full", 0, 10.0), result("full", 1, 30.0, jobs=2)]
    for beside, seconds in ((False, 11.0), (True, 31.0)):
        estimate = Estimate({0: settings("full", 5)}, records, beside)
        assert estimate.seconds(0) == pytest.approx(seconds, abs=1.01)


def test_records_of_other_data_or_training_do_not_count():
    other = [
        result("full", 0, 10.0).with_(settings={**settings("full", 0), "dataset": {"name": "mine"}}),
        result("full", 0, 10.0).with_(settings={**settings("full", 0), "embedding_dim": 8}),
        result("qr", 0, 10.0),
    ]
    assert Estimate({0: settings("full", 5)}, other).seconds(0) is None


def test_a_parent_is_trained_once_a_seed():
    planned = {
        n: settings(s, seed) for n, (s, seed) in enumerate(itertools.product(["float16", "pq"], (0, 1)))
    }
    estimate = Estimate(planned)
    # 100 s of training in the parent, then 3 s of its own
    first = result("float16", 0, 3.0, parent_fingerprint="p")
    estimate.started(0)
    assert estimate.ended(0, first, 103.0 + 1.0)
    assert estimate.seconds(1) == pytest.approx(104.0, abs=1.1)  # another seed, another parent
    estimate.started(1)
    estimate.ended(1, first, 104.0)
    estimate.started(2)
    estimate.ended(2, result("pq", 0, 3.0, parent_fingerprint="p"), 4.0)
    assert estimate.seconds(3) == pytest.approx(4.0, abs=1.1)
    assert estimate.left({}, [3], 1).seconds == pytest.approx(4.0, abs=1.1)


def test_the_shortest_compilation_is_the_usual_one():
    estimate = Estimate({number: settings("full", number) for number in range(3)})
    for number, compiling in enumerate([50.0, 1.0]):  # the second run has the program of the first
        phases = {"compile_s": compiling, "train_s": 8.0, "eval_s": 1.0}
        estimate.started(number)
        estimate.ended(number, result("full", number, 0.0, **phases), compiling + 9.0 + OVERHEAD)
    assert estimate.seconds(2) == pytest.approx(1.0 + 9.0 + OVERHEAD)


def test_failed_and_unknown_runs_show_nothing():
    estimate = Estimate({0: settings("full", 0), 1: settings("full", 1)})
    assert not estimate.ended(0, Result.of(Status.FAILED), 50.0)
    assert not estimate.ended(5, result("full", 0, 1.0), 1.0)
    assert estimate.left({}, [1], 2).seconds is None


def test_a_silent_time_is_told():
    now, out = [0.0], io.StringIO()
    board = SweepBoard(
        [("strategy=mgqe", "seed=0"), ("strategy=mgqe", "seed=1")],
        console=Console(file=out, highlight=False),
        clock=lambda: now[0],
        apart=True,
    )
    board.started(1, ("strategy=mgqe", "seed=1"))
    now[0] = 90.0
    assert board._going() == "0 of 2 runs ended; under way: run 1 (seed=1) for 90.0 s"
