"""The page in a browser, opened as a file: charts, filters, hovering, the phone's width, paper.

Pictures of what was seen stay in the folder that BENCH_SCREENSHOTS names (``outputs/screenshots``).
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made import made, sixty

from bench.reporting import contents, files

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = Path(os.environ.get("BENCH_SCREENSHOTS") or ROOT / "outputs" / "screenshots")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
MARKS = "figure[data-plot=memory-error] .mark-symbol.role-mark path"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets, a group of one seed, and a failed run."""
    other = [
        made(s, seed, mae, size)
        for s, mae, size in (("full", 0.7, 1.0), ("md", 0.72, 0.2))
        for seed in (0, 1)
    ]
    failed = made("qr", 9, None, 0.1, status="failed", error="the loss is nan at step 3", embeddings=None)
    runs = [*sixty(), made("md", 0, 0.69, 0.5, "movielens_1m"), *other, failed]
    return files.write(files.files(contents.build(runs), "e"), tmp_path_factory.mktemp("report"))


class Page:
    """A page that has drawn all its charts, and what went wrong on it."""

    def __init__(self, browser: Any, path: Path, width: int = 1280, height: int = 900) -> None:
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": height})
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("figure[data-drawn]")
        self.first = time.monotonic()
        self.page.wait_for_selector("body[data-complete]")

    def picture(self, name: str, **options: Any) -> None:
        self.page.screenshot(path=SCREENSHOTS / f"report-{name}.png", **options)

    def shown(self, section: str = "#set-1") -> list[str]:
        return [
            text.strip() for text in self.page.locator(f"{section} tbody tr:visible th").all_inner_texts()
        ]

    def marks(self, section: str = "#set-1") -> int:
        count: int = self.page.locator(f"{section} {MARKS}").count()
        return count


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Page]:
    page = Page(browser, report)
    yield page
    assert page.wrong == []
    # nothing but the page itself: no network
    assert {url for url in page.asked if not url.startswith(("data:", "blob:"))} == {report.as_uri()}
    page.page.close()


def test_all_is_drawn(opened: Page) -> None:
    opened.picture("screen")
    opened.picture("whole", full_page=True)
    assert (
        opened.page.locator("figure[data-drawn] svg").count() == opened.page.locator("figure").count() == 12
    )
    assert opened.marks() == 13 and len(opened.shown()) == 13
    # above the fold: what to choose, the front, the table
    for part in ("#set-1 .choice", "#set-1 figure[data-plot=memory-error] svg", "#set-1 table"):
        box = opened.page.locator(part).first.bounding_box()
        assert box["y"] < 500 and box["width"] > 300


def test_filters(opened: Page) -> None:
    opened.page.uncheck("input[value=qr_md]")
    opened.page.uncheck("input[value=qr]")
    opened.page.wait_for_timeout(300)
    assert all(name.startswith(("full", "md")) for name in opened.shown()) and len(opened.shown()) == 7
    assert opened.marks() == 7
    opened.page.select_option("select[name=budget]", "0.1")
    opened.page.wait_for_timeout(300)
    assert opened.shown() == ["md budget=0.05"] and opened.marks() == 1
    assert opened.page.locator("#set-1 tbody tr:visible .star").inner_text() == "★"
    # what is no run stays: the line of four bytes a number
    assert opened.page.locator("#set-1 figure[data-plot=parameters-memory] .mark-line path").count() == 1
    opened.picture("filtered", full_page=True)
    opened.page.select_option("select[name=dataset]", "synthetic")
    assert not opened.page.locator("#set-1").is_visible() and opened.page.locator("#set-2").is_visible()
    assert opened.page.locator("#set-2 .nothing").is_visible()
    opened.page.click("button[type=reset]")
    opened.page.wait_for_timeout(300)
    assert len(opened.shown()) == 13 and opened.marks() == 13


def test_hovering_shows_the_command(opened: Page) -> None:
    opened.page.locator(f"#set-1 {MARKS}").nth(2).hover(force=True)
    tooltip = opened.page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    text = tooltip.inner_text()
    assert "python -m bench.run" in text and "val MAE" in text and "dataset=movielens_1m" in text
    opened.picture("hover")


def test_a_click_keeps_the_command(opened: Page) -> None:
    opened.page.locator("#set-1 tbody button.run").nth(1).click()
    picked = opened.page.locator("#set-1 .picked[role=status]")
    assert "python -m bench.run -m dataset=movielens_1m" in picked.inner_text()
    opened.page.locator(f"#set-1 {MARKS}").nth(5).click(force=True)
    assert opened.page.locator("#set-1 tr.picked").count() == 1


def test_phone(browser: Any, report: Path) -> None:
    page = Page(browser, report, 390, 844)
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    cut = page.page.evaluate(
        "[...document.querySelectorAll('.chart svg')].filter((svg) => "
        "svg.getBoundingClientRect().right > svg.closest('.chart').getBoundingClientRect().right + 1).length"
    )
    assert cut == 0
    page.picture("phone", full_page=True)
    assert page.wrong == []


def test_paper(opened: Page) -> None:
    opened.page.emulate_media(media="print")
    opened.page.set_viewport_size({"width": 720, "height": 1000})
    assert not opened.page.locator("#filters").is_visible()
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.page.pdf(path=SCREENSHOTS / "report.pdf", format="A4")


def test_a_thousand_runs(browser: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = sixty()
    runs = list(base)
    for number in range(len(base), 1000):
        run = copy.deepcopy(base[number % len(base)])
        run["embeddings"]["user"]["size"] = number // 5
        run["settings"]["embedding_dim"] = 64 + number // 5
        run["fingerprint"] += str(number)
        runs.append({**run, "embedding_bytes": run["embedding_bytes"] + 1000 * number})
    path = files.write(files.files(contents.build(runs), "e"), tmp_path)
    start = time.monotonic()
    page = Page(browser, path)
    with capsys.disabled():
        print(f"\n1,000 runs: first chart {page.first - start:.2f} s, all {time.monotonic() - start:.2f} s")
    page.picture("thousand")
    assert len(page.shown()) > 150
    assert page.wrong == []
