"""The command ``python -m bench.export``: writes what a finished run serves, as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cli import keeping, shell
from bench.cli.registering import Registering
from bench.cli.values import values
from bench.config.paths import absolute, refuse_long
from bench.config.schema import FINDS_DATA
from bench.errors import RequestError
from bench.exporting import formats
from bench.measure import units
from bench.serving.layout import MANIFEST

USAGE = """\
Writes what a finished run serves into a folder: compressed tables, ids and the model, for bench.serving.

usage: python -m bench.export run=RECORD output_dir=FOLDER [NAME=VALUE ...]
       python -m bench.export run=EXPORT register=NAME

  run=             a result.json, an output folder, the first letters of a fingerprint, or MLflow's id of a run
  output_dir=      the folder to make; it may be there if it is empty
  formats=         further formats, as formats=onnx or formats=[onnx,keras]: onnx, keras, savedmodel, litert (none)
  train=           true trains a run again whose weights were not kept, and adds them to its record (false)
  register=        puts the export into MLflow's registry as the newest version of this model; run= may then be the
                   folder of an export, which is registered as it is
  alias=           name in the registry that points to the new version, such as champion
  tracking.uri=    MLflow's address (that of the run)
  results_dir=     folder of the records (outputs/results; the environment variable BENCH_RESULTS_DIR where set)
  data_dir=        folder of archives and prepared data (the run's own; BENCH_DATA_DIR where set)
  dataset.path=    where the run's data lie now, if they were moved; likewise dataset.train_path= and the others

The folder is read again in a fresh process and compared with the trained model before it is put in place. It is there
whole or not at all.
exit codes: 0 done; 1 the export differs from the model, or cannot be written; 2 the request is wrong; 130 stopped.
Standard error then has one line that starts with "error:"."""

NAMES = (
    "run", "output_dir", "formats", "train", "register", "alias", "results_dir", "data_dir", "tracking.uri",
    *FINDS_DATA,
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit code.

    Args:
        argv: the command's arguments. None for the process's own.
    """
    return shell.run(_export, argv, "nothing was written")


def _export(arguments: Sequence[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    given = _parsed(arguments)
    wanted = formats.parsed(given.get("formats", ""))
    place = Registering.of(given) if "register" in given else None
    if "output_dir" not in given:
        assert place is not None
        print(place.register(Path(given["run"])))
        return 0
    from bench.exporting.run import Request, export

    asked = Request(
        given["run"],
        absolute(given["output_dir"], Path.cwd(), "output_dir"),
        keeping.folder("results_dir", given.get("results_dir")),
        keeping.folder("data_dir", given["data_dir"]) if "data_dir" in given else None,
        keeping.folder("data_dir", None),
        {name.removeprefix("dataset."): given[name] for name in FINDS_DATA if name in given},
        given.get("train") == "true",
        wanted,
    )
    for line in lines(given["output_dir"], export(asked)):
        print(line)
    if place is not None:
        print(place.register(asked.output_dir), flush=True)
    return 0


def lines(folder: str, tree: dict[str, Any]) -> list[str]:
    """Tells what was written, as lines for a terminal."""
    size, promise = tree["bytes"], tree["promise"]
    served, ids, head = (units.short_size(size[name]) for name in ("served", "ids", "head"))
    found = [f"wrote {folder}: embeddings {served}, ids {ids}, model {head}"]
    found += [
        f"{name}: {units.short_size(own['bytes'])}, {_differs(own['promise'])}"
        for name, own in tree["formats"].items()
    ]
    found += [f"left out: {name}, because {why}" for name, why in tree["left_out"].items()]
    return [*found, _differs(promise)]


def _differs(promise: Mapping[str, float]) -> str:
    worst = max(promise, key=promise.__getitem__)
    return f"largest difference from Keras: {promise[worst]:.2g} ({worst.removeprefix('fields.')})"


def _parsed(arguments: Sequence[str]) -> dict[str, str]:
    given = values(arguments, NAMES)
    refuse_long(given.get("run", ""), "run")
    for name, example in (("run", "run=outputs/DATE/TIME"), ("output_dir", "output_dir=shop")):
        registers = (
            name == "output_dir" and "register" in given and (Path(given.get("run", "")) / MANIFEST).is_file()
        )
        if name not in given and not registers:
            raise RequestError(f"{name}=: missing; give {example}")
    if "alias" in given and "register" not in given:
        raise RequestError(f"alias={given['alias']}: a name in the registry; give register=NAME too")
    if "formats" in given and "output_dir" not in given:
        raise RequestError(
            f"formats={given['formats']}: an export is registered as it is; give output_dir=, and the run in run="
        )
    if given.get("train", "false") not in ("true", "false"):
        raise RequestError(f"train={given['train']}: give true or false")
    return given
