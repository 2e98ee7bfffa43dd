"""The studies that are published. Each is one sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SEEDS, MORE_SEEDS = (0, 1, 2), (0, 1, 2, 3, 4)
ALL = "strategy=glob(*,exclude=qr_md)"
"""One method for all fields; ``qr_md`` has one for users and another for items."""


@dataclass(frozen=True)
class Study:
    """A sweep, and what is said of it.

    Attributes:
        name: its name on the command line, and of its files.
        title: its heading.
        about: a paragraph about data, model and training.
        overrides: the settings of the sweep, without seeds.
        data: the data set that the user has to bring, or that is downloaded.
        more_seeds: True repeats the leading strategies with more seeds.
    """

    name: str
    title: str
    about: str
    overrides: tuple[str, ...]
    data: str = ""
    more_seeds: bool = False

    def command(self, seeds: Sequence[int], strategies: Sequence[str] = ()) -> list[str]:
        """Gives the arguments of ``python -m bench.run``; with ``strategies``, for these alone."""
        chosen = [f"strategy={','.join(strategies)}"] if strategies else []
        own = [one for one in self.overrides if not (strategies and one.startswith("strategy="))]
        return ["-m", *own, *chosen, f"seed={','.join(map(str, seeds))}"]


STUDIES = (
    Study(
        "ratings",
        "Ratings: MovieLens 1M",
        "A dot product of width 64, three epochs, Adam, batches of 128: the training of Keras's example "
        "“Memory-efficient embeddings for recommendation systems”.",
        ("dataset=movielens_1m", ALL, "budget=0.2,0.1,0.05,0.02"),
        "movielens_1m",
        more_seeds=True,
    ),
    Study(
        "sizes",
        "Ratings: methods of one size",
        "As above, without a budget.",
        (
            "dataset=movielens_1m",
            "strategy=full,float16,float8,trained_float8,int8,int16,dqrm,ptq_int8,ptq_int4,ptq_int2",
        ),
        "movielens_1m",
    ),
    Study(
        "frappe",
        "Clicks: Frappe",
        "DeepFM as BARS trains it, on Frappe_x1's published split; the linear part reads the vectors.",
        ("experiment=sweep_frappe", ALL),
        "frappe_x1",
    ),
    Study(
        "clicks",
        "Clicks: 26 generated fields",
        "DLRM on a million generated clicks with a hundredth of Criteo's ids, one pass.",
        (
            "experiment=sweep_clicks",
            "strategy=full,hash,unified,cafe,adaembed,qr,robe,lowrank,tt,dhe,dpq,pq,recjpq,mec,cce,sparse_coding,dqrm,"
            "cerp,autosrh,pep",
        ),
    ),
    Study(
        "extreme",
        "Clicks: a thousandth of the bytes",
        "DLRM on a million generated clicks with a tenth of Criteo's ids, one pass.",
        (
            "experiment=sweep_clicks",
            "dataset.scale=0.1",
            "strategy=full,hash,unified,cafe,adaembed,tt,dhe",
            "budget=0.001",
        ),
    ),
    Study(
        "partitions",
        "Clicks: a thousandth of the bytes, three tables a field",
        "As above; with two tables `qr` cannot be as small.",
        ("experiment=sweep_clicks", "dataset.scale=0.1", "strategy=qr", "num_partitions=3", "budget=0.001"),
    ),
    Study(
        "shared",
        "Clicks: one table for all fields",
        "DLRM on a million generated clicks with a hundredth of Criteo's ids, one pass.",
        (
            "experiment=sweep_clicks",
            "strategy=full,unified,cafe,adaembed,adapt,qr",
            "share=all",
            "budget=0.01",
        ),
    ),
    Study(
        "shared_extreme",
        "Clicks: one table for all fields, a thousandth of the bytes",
        "DLRM on a million generated clicks with a tenth of Criteo's ids, one pass.",
        (
            "experiment=sweep_clicks",
            "dataset.scale=0.1",
            "strategy=full,unified,cafe,adaembed,adapt",
            "share=all",
            "budget=0.001",
        ),
    ),
    Study(
        "shared_partitions",
        "Clicks: one table for all fields, a thousandth of the bytes, `qr` with three tables",
        "As above.",
        (
            "experiment=sweep_clicks",
            "dataset.scale=0.1",
            "strategy=qr",
            "num_partitions=3",
            "share=all",
            "budget=0.001",
        ),
    ),
    Study(
        "one_epoch",
        "Clicks: four bits, one epoch",
        "DLRM on a million generated clicks with a hundredth of Criteo's ids; `dqrm` has four bits a number.",
        ("experiment=sweep_clicks", "strategy=full,dqrm", "budget=0.16"),
    ),
    Study(
        "five_epochs",
        "Clicks: four bits, five epochs",
        "As above, but five epochs: full tables overfit after the first.",
        ("experiment=sweep_clicks", "strategy=full,dqrm", "budget=0.16", "training.epochs=5"),
    ),
)
