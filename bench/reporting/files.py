"""The files of a report: all made before the first is put into its folder, and each put there whole."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.errors import BenchError, RequestError
from bench.measure.environment import cores
from bench.reporting import tables
from bench.reporting.contents import Report, Section

PAGE, DATA = "index.html", "report.json"

PICTURED = 6
"""Sections that get PNG and SVG files, those of the most groups first; the page draws all."""


def files(report: Report, experiment: str, libraries: Callable[[], str] | None = None) -> dict[str, bytes]:
    """The files of a report by name, the page last.

    Args:
        report: what it says.
        experiment: where the runs are from.
        libraries: gives the JavaScript of the page; None makes it.
    """
    from bench.reporting import page, plots, render, rows

    specs = {section.key: plots.specifications(section) for section in report.sections}
    drawn = {section.key: rows.data(section) for section in report.sections[:PICTURED]}
    pictured = [(section, name) for section in report.sections[:PICTURED] for name in specs[section.key]]

    def pictures(section: Section, name: str) -> tuple[str, bytes]:
        return render.pictures(specs[section.key][name], drawn[section.key], plots.PLOTS[name], section.title)

    made: dict[str, bytes] = {}
    with ThreadPoolExecutor(cores()) as beside:
        for (section, name), (svg, png) in zip(
            pictured, beside.map(lambda one: pictures(*one), pictured), strict=True
        ):
            stem = page.file_stem(report, section, name)
            made |= {f"{stem}.svg": svg.encode(), f"{stem}.png": png}
    script = (libraries or render.libraries)() if report.sections else ""
    html = page.page(report, specs, script, experiment, set(made))
    texts = {"table.csv": tables.table(report), "table.md": tables.markdown(report)}
    made |= {name: text.encode() for name, text in texts.items()}
    listed = {"files": [*made, DATA, PAGE], **report.values()}
    made[DATA] = (json.dumps(listed, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    made[PAGE] = html.encode()
    return made


def drawing() -> str:
    """Makes ready what draws, and gives the JavaScript of a page.

    That is a second of imports, and one until vl-convert has drawn its first plot: time to do something beside it.
    """
    from bench.reporting import render

    for name in ("bench.reporting.plots", "scipy.special"):
        importlib.import_module(name)
    render.warm_up()
    return render.libraries()


def prepare(folder: Path) -> None:
    """Makes the folder and sees that it can be written to, before anything slow is done.

    Raises:
        RequestError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RequestError(
            f"output_dir={folder}: cannot be written to ({error.strerror}); give a folder where you may write"
        ) from error


def write(made: dict[str, bytes], folder: Path) -> Path:
    """Puts files into ``folder``, and takes away those of an earlier report there that are no part of this one.

    Returns:
        The page.

    Raises:
        BenchError: the disk is full, or the folder has gone.
    """
    earlier = _earlier(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".report.", dir=folder) as name:
            for file, content in made.items():
                (Path(name) / file).write_bytes(content)
            for file in made:
                os.replace(Path(name) / file, folder / file)  # noqa: PTH105 - as everywhere, one disk
        for file in earlier - made.keys():
            (folder / file).unlink(missing_ok=True)
    except OSError as error:
        raise BenchError(f"output_dir={folder}: the report cannot be written ({error.strerror})") from error
    return folder / PAGE


def _earlier(folder: Path) -> set[str]:
    """The files that an earlier report says it left; plain names only."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        found = json.loads((folder / DATA).read_text(encoding="utf-8"))["files"]
        return {name for name in found if Path(name).name == name}
    return set()
