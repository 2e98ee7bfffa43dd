"""MLflow's pages in a real browser, as ``make ui`` shows them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import tracking
from bench.measure.apart import this_process
from bench.records.result import METRICS, Result, Status
from bench.records.sweeps import Member, SweepRecord

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip
PATIENCE_MS = 60_000
SWEEP = "strategy=full,qr budget=0.05,0.1,0.2 seed=0,1"
FULL_BYTES = 2_494_976
POINTS = (
    ("full", None, 1.0, 0.70),
    ("qr", 0.05, 0.05, 0.76),
    ("qr", 0.1, 0.1, 0.745),
    ("qr", 0.2, 0.2, 0.73),
)
RUNS = [(*point, seed) for point in POINTS for seed in (0, 1)]
NOT_OURS = (
    "/mlflow/users/current",  # MLflow's pages ask for it, and its own server has none
    "ResizeObserver loop completed",  # a browser's remark on slow machines
)


def screenshots() -> Path:
    folder = Path(os.environ.get("BENCH_SCREENSHOTS", "outputs/screenshots")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def log_sweep(target: tracking.Target, folder: Path) -> None:
    """A sweep with invented numbers, logged as a real one is, with a report."""
    sweep = SweepRecord("key", SWEEP, f"python -m bench.run -m {SWEEP}", str(folder), this_process(), {})
    source = json.dumps({"tags": {"mlflow.source.name": "bench.data.synthetic"}})
    columns = [{"type": "long", "name": name, "required": True} for name in ("user", "item")]
    schema = json.dumps({"mlflow_colspec": columns})
    profile = json.dumps({"num_rows": 1_000_209, "train_rows": 850_177})
    data = tracking.Data("synthetic", "0123456789ab", "code", source, schema, profile)
    found = []
    for number, (strategy, budget, share, mae, seed) in enumerate(RUNS):
        overrides = (f"strategy={strategy}", *([f"budget={budget}"] if budget else []), f"seed={seed}")
        place = folder / str(number)
        (place / ".hydra").mkdir(parents=True)
        (place / ".hydra" / "overrides.yaml").write_text("".join(f"- {text}\n" for text in overrides))
        head = Result.of(
            Status.FINISHED,
            fingerprint=str(number),
            strategy=strategy,
            dataset="synthetic",
            seed=seed,
            settings={"strategy": strategy, "budget": budget, "seed": seed},
            embeddings={field: {"method": strategy} for field in ("user", "item")},
        )
        error = mae + 0.002 * seed
        with tracking.in_sweep(sweep), tracking.start(target, head, place, data) as run:
            result = head.with_(
                run_id=run.ready(),
                val_mae=error,
                embedding_bytes=int(FULL_BYTES * share),
                params_embedding=int(FULL_BYTES * share / 4),
                compression_ratio=1 / share,
                step_time_ms=0.2 + number / 100,
                history={"val_mae": [error + 0.05, error + 0.01, error]},
            )
            result.write(place)
            run.log_result(result, place)
        found.append(result)
        sweep = sweep.with_job(Member(number, overrides, "finished", str(number)))
    report = folder / "report"
    report.mkdir()
    (report / "index.html").write_text("<p>the trade-off</p>")
    own = tracking.Sweep(target, sweep)
    own.upload(report)
    own.end(replace(sweep, status="finished"), found)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of MLflow's pages over the sweep."""
    folder = tmp_path_factory.mktemp("pages")
    uri = f"sqlite:///{folder}/outputs/mlflow.db"
    log_sweep(tracking.check(uri), folder / "outputs" / "sweep")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--host", "127.0.0.1",
             "--port", str(port)],
            cwd=folder, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    try:
        address, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
        while not healthy(address):
            assert server.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        pytest.skip("no chromium: apt-get install chromium")
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("no playwright: pip install playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of a new user's; the test fails on what its console calls an error."""
    context = browser.new_context(viewport={"width": 1400, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []

    def listen(message: Any) -> None:
        text = f"{message.text} {message.location['url']}"
        if message.type == "error" and not any(known in text for known in NOT_OURS):
            errors.append(text)

    page.on("console", listen)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def opened(page: Any, pages: str) -> Any:
    """The experiment's page with nothing before it."""
    page.goto(f"{pages}/#/experiments/1?workflowType=machine_learning")
    page.get_by_role("link", name=SWEEP).first.wait_for()
    close = page.get_by_label("Close").last  # MLflow's assistant, open for a new user
    with contextlib.suppress(Exception):
        close.click(timeout=3000)
    return page


def test_a_sweep_is_a_line_with_its_runs_below(page: Any, pages: str) -> None:
    opened(page, pages)
    run = page.get_by_role("link", name="qr budget=0.1 seed=0")
    assert run.count() == 0
    page.locator(".ag-row button").first.click()
    run.first.wait_for()
    for strategy, budget, _, _, seed in RUNS:
        name = f"{strategy} budget={budget} seed={seed}" if budget else f"{strategy} seed={seed}"
        assert page.get_by_role("link", name=name).count() == 1
    assert page.get_by_text("synthetic").count() >= len(RUNS)  # the data set of each
    page.screenshot(path=screenshots() / "mlflow-runs.png")


def test_three_clicks_give_the_trade_off(page: Any, pages: str) -> None:
    opened(page, pages)
    page.get_by_role("button", name="Views").click()
    page.get_by_text("Trade-off", exact=True).first.click()
    page.get_by_text("viewing a shared view").first.wait_for()
    page.get_by_role("link", name=SWEEP).first.wait_for(state="detached")  # it has no error to plot
    chart(page).click()
    points = page.locator(".scatterlayer .point")
    page.wait_for_function(f"document.querySelectorAll('.scatterlayer .point').length >= {2 * len(RUNS)}")
    assert page.get_by_text("embedding_bytes vs. val_mae").first.is_visible()
    points.first.hover(force=True)
    page.screenshot(path=screenshots() / "mlflow-trade-off.png")


def chart(page: Any) -> Any:
    """The button that shows charts in place of the list."""
    return page.locator("label:has([value=CHART])").first


def test_a_link_gives_the_trade_off(page: Any, pages: str) -> None:
    query = "workflowType=machine_learning&viewStateShareKey=trade-off&compareRunsMode=CHART"
    page.goto(f"{pages}/#/experiments/1/runs?{query}")
    page.wait_for_function(f"document.querySelectorAll('.scatterlayer .point').length >= {2 * len(RUNS)}")


def test_a_run_says_what_it_is(page: Any, pages: str) -> None:
    opened(page, pages)
    page.locator(".ag-row button").first.click()
    page.get_by_role("link", name="qr budget=0.1 seed=0").first.click()
    page.get_by_text("python -m bench.run strategy=qr budget=0.1 seed=0 resume=false").first.wait_for()
    page.get_by_role("cell", name="249,497 (244 KiB)").first.wait_for()
    page.get_by_text("val_mae").first.wait_for()
    page.get_by_role("link", name=SWEEP).first.wait_for()  # its parent
    page.screenshot(path=screenshots() / "mlflow-run.png")


def test_the_sweep_has_the_report(page: Any, pages: str) -> None:
    opened(page, pages).get_by_role("link", name=SWEEP).first.click()
    page.get_by_text("8 runs: 8 finished.").first.wait_for()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("runs.csv").first.wait_for()
    page.get_by_text("report", exact=True).first.click()
    page.get_by_text("index.html").first.wait_for()
    page.screenshot(path=screenshots() / "mlflow-sweep.png")


def test_the_experiment_says_what_its_numbers_mean(page: Any, pages: str) -> None:
    opened(page, pages)
    for name, one in METRICS.items():
        if one.main:
            assert page.get_by_text(one.meaning.replace("`", ""), exact=True).count() == 1, name
