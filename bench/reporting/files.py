"""The files of a report. All are made before the first is put into the folder, and each is put there whole."""

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
from bench.reporting import tables, worst
from bench.reporting.contents import Report, Section
from bench.reporting.plots.style import Spec

PAGE, DATA = "index.html", "report.json"

PICTURED = 6
"""Number of sections that get PNG and SVG files: those with the most groups. The page draws all sections."""


def files(report: Report, origin: str, libraries: Callable[[], str] | None = None) -> dict[str, bytes]:
    """Gives the files of a report by name, the page last.

    Args:
        report: the contents of the report.
        origin: the source of the runs, in words.
        libraries: returns the JavaScript of the page. With None, it is made here.
    """
    from bench.reporting import page, plots, render

    specs = {section.key: plots.specifications(section) for section in report.sections}
    drawn = pictures(report)
    script = (libraries or render.libraries)() if report.sections else ""
    made = {
        "table.csv": tables.table(report).encode(),
        "table.md": tables.markdown(report).encode(),
        worst.FILE: worst.table(
            [(entry, section.worst[entry.key]) for section in report.sections for entry in section.entries]
        ).encode(),
        **drawn,
    }
    listed = {"files": [*made, DATA, PAGE], **report.values()}
    made[DATA] = (json.dumps(listed, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    made[PAGE] = page.page(report, origin, page.Drawn(specs, script, frozenset(drawn))).encode()
    return made


def pictures(report: Report) -> dict[str, bytes]:
    """Gives the charts of the largest sections as SVG and PNG, by the names of their files."""
    from bench.reporting import page, plots, render, rows
    from bench.reporting.plots.key import with_key

    def draw(section: Section, name: str, spec: Spec) -> tuple[str, bytes]:
        subtitles = [section.title, page.beyond(section) if name == "memory-error" else ""]
        whole = with_key(spec, section.looks) if name in plots.MARKED else spec
        return render.pictures(whole, drawn[section.key], plots.title(section, name), subtitles)

    pictured = report.sections[:PICTURED]
    drawn = {section.key: rows.data(section) for section in pictured}
    jobs = [(section, *one) for section in pictured for one in plots.specifications(section).items()]
    made: dict[str, bytes] = {}
    with ThreadPoolExecutor(cores()) as beside:
        for (section, name, _), (svg, png) in zip(
            jobs, beside.map(lambda job: draw(*job), jobs), strict=True
        ):
            stem = page.file_stem(report, section, name)
            made |= {f"{stem}.svg": svg.encode(), f"{stem}.png": png}
    for one in report.across[:PICTURED]:
        whole = with_key(plots.side_by_side(one), one.looks)
        svg, png = render.pictures(whole, {}, f"Memory against {one.headline.word}", [one.title, one.note])
        made |= {f"{one.key}.svg": svg.encode(), f"{one.key}.png": png}
    return made


def drawing() -> str:
    """Prepares the drawing of charts, and gives the JavaScript of a page.

    vl-convert needs a second for its first chart. Other work can be done at the same time.
    """
    from bench.reporting import render

    importlib.import_module("bench.reporting.page")
    render.warm_up()
    return render.libraries()


def prepare(folder: Path) -> None:
    """Makes the folder and checks that it can be written to, before anything slow is done.

    Raises:
        RequestError: the folder cannot be made or written to.
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
    """Puts files into a folder, and removes files of an earlier report there that this report does not have.

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
    """Gives the files that an earlier report lists as its own; plain names only."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        found = json.loads((folder / DATA).read_text(encoding="utf-8"))["files"]
        return {name for name in found if Path(name).name == name}
    return set()
