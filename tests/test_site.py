"""The documentation as a site: it builds strictly, its links lead somewhere, and it loads nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from commands import ROOT

PLACES = {"href", "src", "srcset", "data", "poster", "action", "xlink:href"}
NOT_LOADED = {"canonical", "prev", "next", "alternate", "author", "license"}
"""The kinds of ``<link>`` that a browser follows only when the reader does."""

needs_mkdocs = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None,
    reason="no mkdocs: pip install -r requirements-docs.lock",
)


class Page(HTMLParser):
    """A built page.

    Attributes:
        ids: its anchors.
        links: what its reader can follow.
        loaded: what a browser loads with it.
        classes: the classes of its elements.
        loose: lines of its paragraphs that should have become lists, tables or code.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.ids, self.links, self.loaded = path, set[str](), list[str](), list[str]()
        self.classes, self.loose, self._within = set[str](), list[str](), list[str]()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.ids.update(values[name] for name in ("id", "name") if name in values)
        self.classes.update(values.get("class", "").split())
        self.loaded += re.findall(r"url\(\s*['\"]?([^'\")]+)", values.get("style", ""))
        followed = tag in ("a", "area") or (tag == "link" and values.get("rel") in NOT_LOADED)
        for name in PLACES & values.keys():
            one = (
                [part.split()[0] for part in values[name].split(",")] if name == "srcset" else [values[name]]
            )
            (self.links if followed else self.loaded).extend(one)
        if tag in ("p", "pre", "code", "strong", "a", "style"):
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if self._within == ["p"]:
            self.loose += re.findall(r"(?m)^(?:[-*] |\d+\. |\| |```).*", data)
        if self._within == ["style"]:
            self.loaded += in_style(data)


def in_style(text: str) -> list[str]:
    """What a style sheet loads."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    found = re.findall(r"url\(\s*['\"]?(?!data:)([^'\")]+)|@import\s+['\"]([^'\"]+)", text)
    return [one or other for one, other in found]


def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def wrong_links(site: Path) -> Iterator[str]:
    """The links between pages that lead nowhere."""
    found = pages(site)
    for path, page in found.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            start = site if parts.path.startswith("/") else path.parent
            target = (start / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and anchor not in found[target].ids):
                yield f"{path.relative_to(site)}: {link}"


def from_outside(site: Path) -> Iterator[str]:
    """What pages and style sheets load that is not a file of the site."""
    loaded = [(path, one) for path, page in pages(site).items() for one in page.loaded]
    loaded += [(path, one) for path in site.rglob("*.css") for one in in_style(path.read_text("utf-8"))]
    for path, one in loaded:
        parts = urlsplit(one)
        if parts.scheme == "data" or (parts.fragment and not (parts.path or parts.netloc)):
            continue
        start = site if parts.path.startswith("/") else path.parent
        if parts.scheme or parts.netloc or not (start / unquote(parts.path).lstrip("/")).is_file():
            yield f"{path.relative_to(site)}: {one}"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built where nothing can be reached. With --quiet, warnings would not count."""
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@needs_mkdocs
def test_links_lead_somewhere_and_nothing_comes_from_outside(site: Path) -> None:
    built = pages(site)
    names = {str(path.relative_to(site)) for path in built}
    sources = {
        str(path.relative_to(ROOT / "docs").with_suffix(".html")) for path in ROOT.glob("docs/**/*.md")
    }
    assert sources - {"README.html"} <= names and {"index.html", "pages.html", "contributing.html"} <= names
    assert sum(len(page.links) for page in built.values()) > 1000
    assert [*wrong_links(site)] == []
    assert [*from_outside(site)] == []
    assert {path.name: page.loose for path, page in built.items() if page.loose} == {}
    # what the theme's own script would load from elsewhere
    assert not any({"mermaid", "md-source"} & page.classes for page in built.values())


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text('<h2 id="there">There</h2>')
    (tmp_path / "page.html").write_text(
        '<link rel="stylesheet" href="own.css"><link rel="preconnect" href="https://fonts.example">'
        '<script src="https://cdn.example/a.js"></script><img src="gone.png">'
        '<div style="background: url(//x.example/b)">'
        '<a href="other.html#there">a</a><a href="other.html#gone">b</a><a href="gone.html">c</a><a href="#no">d</a>'
        '<a href="https://example.org">e</a><p>one\n- two\n| three |</p><pre><p>- no</p></pre>'
    )
    (tmp_path / "own.css").write_text(
        "@import 'https://css.example/c'; a { src: url(\"data:x\"); b: url(d.woff) }"
    )
    assert [*wrong_links(tmp_path)] == [
        "page.html: other.html#gone",
        "page.html: gone.html",
        "page.html: #no",
    ]
    assert [*from_outside(tmp_path)] == [
        "page.html: https://fonts.example",
        "page.html: https://cdn.example/a.js",
        "page.html: gone.png",
        "page.html: //x.example/b",
        "own.css: https://css.example/c",
        "own.css: d.woff",
    ]
    assert Page(tmp_path / "page.html").loose == ["- two", "| three |"]


def test_the_list_of_pages_has_the_order_of_the_navigation() -> None:
    folder = ROOT / "docs"
    listed = re.findall(r"\]\(([\w/-]+\.md)\)", (folder / "README.md").read_text("utf-8"))
    navigation = re.findall(r"^ +- ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*.md") if path.name != "README.md"
    )
    assert [name for name in navigation if name in listed] == listed


@pytest.mark.browser
@needs_mkdocs
def test_a_browser_asks_for_nothing_outside_and_finds_words(site: Path) -> None:
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    wrong: list[Any] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(error))
        for name in ("index.html", "methods/codes.html", "contributing.html"):
            page.goto((site / name).as_uri())
            page.wait_for_load_state("networkidle")
        page.fill("input[name=query]", "quotient")
        page.wait_for_selector(".md-search-result__item a[href*='sharing.html']", state="attached")
        browser.close()
    own = (site.as_uri(), "data:", "blob:", "about:")
    assert [url for url in asked if not url.startswith(own)] == [] and wrong == []
    assert any(url.endswith("search_index.js") for url in asked)
