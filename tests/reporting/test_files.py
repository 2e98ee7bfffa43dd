"""The page and its files: whole or not at all, and complete without a network."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made import made, sixty

from bench.errors import BenchError, RequestError
from bench.reporting import contents, files, page, plots
from bench.reporting.contents import Report

LIBRARIES = "/* libraries */"


@pytest.fixture(scope="module")
def report() -> Report:
    return contents.build(
        [*sixty(), made("qr", 7, None, 0.1, "movielens_1m", status="failed", error="<b>why</b>")]
    )


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    specs = {section.key: plots.specifications(section) for section in report.sections}
    return page.page(report, "my <experiment>", page.Drawn(specs, LIBRARIES, frozenset({"memory-error.png"})))


class Parser(HTMLParser):
    """Collects the attributes that load something, tags, and the text of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[tuple[str, str]] = []
        self.links: list[str] = []
        self.rows = 0
        self.figures: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.loads += [(tag, values[name]) for name in ("src", "srcset", "data", "poster") if name in values]
        if tag == "link":
            self.loads.append((tag, values["href"]))
        if tag == "a":
            self.links.append(values["href"])
        self.rows += tag == "tr" and "data-id" in values
        if tag == "figure":
            self.figures.append(values["data-plot"])


def parsed(html: str) -> Parser:
    parser = Parser()
    parser.feed(html)
    return parser


def test_page_loads_nothing(html: str) -> None:
    found = parsed(html)
    assert found.loads == [("link", "data:,")]
    assert not re.search(r"@import|url\(", html)
    without = html.replace(LIBRARIES, "")
    assert not re.findall(r"https?://", without)
    assert all(not link.startswith(("http", "/", "file:")) for link in found.links)


def test_page_has_a_row_a_group_and_every_plot(html: str, report: Report) -> None:
    found = parsed(html)
    assert found.rows == 12
    assert found.figures == list(plots.CHARTS)
    assert "memory-error.png" in found.links and "memory-error.svg" not in found.links
    assert report.sections[0].sentences[0] in html
    assert html.count(LIBRARIES) == 1


def test_page_escapes_what_runs_say(html: str) -> None:
    assert "<b>why</b>" not in html and "&lt;b&gt;why&lt;/b&gt;" in html
    assert "my &lt;experiment&gt;" in html
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert text is not None and "<" not in text[1]
    values = json.loads(text[1])
    assert list(values["sets"]) == ["set-1"] and len(values["sets"]["set-1"]["rows"]) == 12


def test_page_without_a_finished_run() -> None:
    found = contents.build([made(mae=None, status="failed", error="why", embeddings=None)])
    html = page.page(found, "e", page.Drawn({}, ""))
    assert "No run here has finished" in html and "1 failed: full, seed 0: why" in html
    assert parsed(html).figures == [] and "vegaEmbed" not in html


@pytest.mark.slow
def test_all_files(report: Report, tmp_path: Path) -> None:
    made_files = files.files(report, "e")
    assert list(made_files)[-1] == "index.html"
    for name in plots.CHARTS:
        assert made_files[f"{name}.png"].startswith(b"\x89PNG\r\n")
        assert b"<svg" in made_files[f"{name}.svg"][:200]
    html = made_files["index.html"].decode()
    assert html.count("window.vegaEmbed=") == 1
    assert parsed(html).loads == [("link", "data:,")]
    assert files.write(made_files, tmp_path / "a" / "b") == tmp_path / "a" / "b" / "index.html"
    listed = json.loads((tmp_path / "a" / "b" / "report.json").read_text())
    assert set(listed["files"]) == {path.name for path in (tmp_path / "a" / "b").iterdir()}


def content(*names: str) -> dict[str, bytes]:
    data = json.dumps({"files": [*names, "report.json"]}).encode()
    return {**{name: name.encode() for name in names}, "report.json": data}


def test_an_earlier_reports_files_go_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    files.write(content("set-2-bytes.png", "index.html"), tmp_path)
    files.write(content("index.html"), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", "index.html", "report.json"}
    (tmp_path / "report.json").write_text('{"files": ["../mine.txt", "mine.txt", 3]}')
    files.write(content("index.html"), tmp_path)
    assert (tmp_path / "index.html").exists()


def test_a_disk_that_is_full_leaves_the_earlier_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(content("index.html"), tmp_path)

    def full(self: Path, data: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BenchError, match="No space left"):
        files.write({"index.html": b"new"}, tmp_path)
    assert (tmp_path / "index.html").read_text() == "index.html"
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "report.json"}


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="cannot be written to"):
        files.prepare(tmp_path / "file" / "report")
