"""The page in a browser, opened as a file: charts, filters, hovering, the phone's width, paper.

Pictures of what was seen stay in the folder that BENCH_SCREENSHOTS names (``outputs/screenshots``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made import made, side_by_side, sixty

from bench.reporting import contents, files

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = Path(os.environ.get("BENCH_SCREENSHOTS") or ROOT / "outputs" / "screenshots")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
MARKS = "figure[data-plot=memory-error] .points_marks path"
RINGS = "figure[data-plot=memory-error] .front_marks path"
NAMES = "figure[data-plot=memory-error] .mark-text.labels text"


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
    # above the fold: what to choose, the front, the legend
    for part in ("#set-1 .choice", "#set-1 figure[data-plot=memory-error] svg", "#set-1 .legend"):
        box = opened.page.locator(part).first.bounding_box()
        assert box["y"] < 500 and box["width"] >= 300


def test_filters(opened: Page) -> None:
    opened.page.uncheck("#set-1 .legend input[value=qr_md]")
    opened.page.uncheck("#set-1 .legend input[value=qr]")
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


def test_the_chart_by_popularity_shows_the_field_that_is_chosen(browser: Any, tmp_path: Path) -> None:
    runs = [
        one.with_(
            val_mae_by_field={
                "user": [0.9] * 10,
                "item": one.val_mae_by_decile,
                "city": [0.5, *[None] * 8, 0.6],
            }
        )
        for one in (made("full"), made("qr", 0, 0.75, 0.2))
    ]
    opened = Page(browser, files.write(files.files(contents.build(runs), "e"), tmp_path))
    figure = opened.page.locator("figure[data-plot=popularity]")
    seen = [figure.locator("svg .mark-line path").last.get_attribute("d")]
    for field in ("user", "city", "item"):
        figure.locator("select.field").select_option(field)
        opened.page.wait_for_timeout(300)
        opened.picture(f"popularity-{field}")
        seen.append(figure.locator("svg .mark-line path").last.get_attribute("d"))
    assert len(set(seen)) == 3 and seen[0] == seen[3] and opened.wrong == []
    opened.page.close()


def test_the_legend_is_the_filter_by_keyboard_too(opened: Page) -> None:
    legend = opened.page.locator("#set-1 .legend")
    family = legend.locator("input[name=family][value='by popularity']")
    family.focus()
    opened.page.keyboard.press("Space")
    opened.page.wait_for_timeout(300)
    assert not any(name.startswith("md") for name in opened.shown()) and opened.marks() == 9
    # a method that is hidden is hidden in every section
    assert opened.shown("#set-2") == ["full"]
    assert not opened.page.locator("#set-2 .legend input[value=md]").is_checked()
    opened.page.keyboard.press("Tab")  # to the family's first method
    opened.page.keyboard.press("Space")
    opened.page.wait_for_timeout(300)
    assert opened.marks() == 13 and family.is_checked()


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


WORSE = 17

OVERLAPS = """(selector) => {
  const boxes = [...document.querySelectorAll(selector)]
    .filter((text) => text.textContent && text.getAttribute("opacity") !== "0")
    .map((text) => text.getBoundingClientRect());
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => meet(a, b))).length;
}"""


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """27 methods at four budgets; some groups are worse than the best constant."""
    found = contents.build(side_by_side())
    assert sum(entry.worse for entry in found.entries) == WORSE
    return files.write(files.files(found, "e"), tmp_path_factory.mktemp("crowded"))


@pytest.mark.parametrize("width", [1280, 390])
def test_27_methods_stay_readable(browser: Any, crowded: Path, width: int) -> None:
    page = Page(browser, crowded, width, 900)
    page.picture(f"crowded-{width}", full_page=True)
    drawn = page.page.locator(f"#set-1 {MARKS}").count()
    assert drawn == 86 - WORSE
    named = [text for text in page.page.locator(f"#set-1 {NAMES}").all_text_contents() if text]
    assert len(named) == page.page.locator(f"#set-1 {RINGS}").count() > 5
    assert page.page.evaluate(OVERLAPS, f"#set-1 {NAMES}") == 0
    axis = "#set-1 figure[data-plot=memory-error] .role-axis-label text"
    assert page.page.evaluate(OVERLAPS, axis) == 0
    # what is not drawn is listed at the edge, and a click on it shows its command
    listed = page.page.locator("#set-1 .beyond button")
    assert listed.count() == WORSE
    listed.first.click()
    assert "strategy=prune" in page.page.locator("#set-1 .picked[role=status] code").inner_text()
    page.page.uncheck("#set-1 .legend input[value=prune]")
    assert page.page.locator("#set-1 .beyond button:visible").count() == WORSE - 4
    assert page.wrong == []


def test_phone(browser: Any, report: Path) -> None:
    page = Page(browser, report, 390, 844)
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    cut = page.page.evaluate(
        "[...document.querySelectorAll('.chart svg')].filter((svg) => "
        "svg.getBoundingClientRect().right > svg.closest('.chart').getBoundingClientRect().right + 1).length"
    )
    assert cut == 0
    outside = page.page.evaluate(
        "[...document.querySelectorAll('.chart svg text')].filter((text) => "
        "text.getBoundingClientRect().right > innerWidth || text.getBoundingClientRect().left < 0).length"
    )
    assert outside == 0
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
        run = base[number % len(base)]
        used = {"user": {**(run.embeddings or {})["user"], "size": number // 5}}
        more = {
            "fingerprint": f"{run.fingerprint} {number}",
            "settings": {**(run.settings or {}), "embedding_dim": 64 + number // 5},
        }
        nbytes = (run.embedding_bytes or 0) + 1000 * number
        runs.append(
            replace(run, embeddings={**(run.embeddings or {}), **used}, embedding_bytes=nbytes, **more)
        )
    path = files.write(files.files(contents.build(runs), "e"), tmp_path)
    start = time.monotonic()
    page = Page(browser, path)
    with capsys.disabled():
        print(f"\n1,000 runs: first chart {page.first - start:.2f} s, all {time.monotonic() - start:.2f} s")
    page.picture("thousand")
    assert len(page.shown()) > 150
    assert page.wrong == []
