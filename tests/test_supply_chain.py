"""What is installed: locked with hashes, looked over every week, under licences that are accepted."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import ROOT

LOCKS = {
    path.relative_to(ROOT).as_posix(): path
    for path in sorted([*ROOT.glob("requirements*.lock"), *(ROOT / ".ci").glob("*.lock")])
}
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

_SPEC = importlib.util.spec_from_file_location("licences", ROOT / ".ci" / "licences.py")
assert _SPEC is not None and _SPEC.loader is not None
licences: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(licences)


def locked(lock: Path) -> dict[str, int]:
    """The number of hashes of each package in a lock file."""
    found: dict[str, int] = {}
    name = ""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if start := re.match(r"([\w.-]+)(?:\[[\w, -]+\])?==[\w.]+", line):
            name = licences.canonical(start[1])
            found.setdefault(name, 0)
        elif line.strip().startswith("--hash=sha256:"):
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line), line
            found[name] += 1
        else:
            assert line.lstrip().startswith("#"), line  # no index, no address, no package without a version
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_its_hashes(lock: str) -> None:
    found = locked(LOCKS[lock])
    assert len(found) > 20 and all(found.values()), [name for name, hashes in found.items() if not hashes]


def test_every_extra_is_locked() -> None:
    there = set[str]().union(*map(locked, LOCKS.values()))
    assert set(licences.direct(PROJECT)) - there == set()
    assert set(licences.direct({**PROJECT, "optional-dependencies": {}})) <= set(
        locked(ROOT / "requirements.lock")
    )


def test_make_lock_renews_every_lock() -> None:
    recipe = re.search(
        r"^lock:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert recipe and set(re.findall(r"--output-file (\S+)", recipe[1])) == set(LOCKS)


# Workflows


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_may_only_read(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action, _ in used), used
    assert all(re.match(r"  # v\d+\.\d+\.\d+", version) for _, version in used), used
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


def test_every_lock_is_audited_each_week_and_when_it_changes() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "supply.yml").read_text(encoding="utf-8"))
    when = workflow[True]  # YAML reads the word on as true
    assert len(when["schedule"]) == 1 and when["schedule"][0]["cron"].endswith("* * 1")
    assert (
        "requirements*.lock" in when["push"]["paths"]
        and "requirements*.lock" in when["pull_request"]["paths"]
    )
    audit = workflow["jobs"]["audit"]
    assert sorted(audit["strategy"]["matrix"]["lock"]) == sorted(LOCKS)
    assert any("pip_audit --require-hashes" in step.get("run", "") for step in audit["steps"])


def test_every_python_is_tried() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    tried = workflow["jobs"]["test"]["strategy"]["matrix"]["python-version"]
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
    assert tried == [f"3.{minor}" for minor in range(int(low), int(high))]


# Licences


def test_the_page_of_licences_is_what_packages_say() -> None:
    page = licences.PAGE.read_text(encoding="utf-8")
    written = {name: own for name, _, own in re.findall(r"^\| (\S+) \| (.+) \| (.+) \|$", page, re.MULTILINE)}
    rows = licences.rows({name: written.get(name, "missing") for name in licences.read_project()})
    assert page.endswith("\n".join(["| --- | --- | --- |", *rows, ""]))
    seen = 0
    for name in licences.read_project():
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of an extra
        said = licences.licence(metadata.json)
        assert said == written[name], name
        seen += 1
    assert seen > 25 and "unknown" not in written.values()


@pytest.mark.parametrize(("metadata", "expected", "accepted"), [
    ({"license_expression": "MIT OR GPL-3.0-only"}, "MIT OR GPL-3.0-only", True),
    ({"license_expression": "MIT AND GPL-3.0-only"}, "MIT AND GPL-3.0-only", False),
    ({"license_expression": "(MIT OR GPL-3.0-only) AND ISC"}, "(MIT OR GPL-3.0-only) AND ISC", False),
    ({"license": "Apache 2.0"}, "Apache-2.0", True),
    ({"license": "BSD-3-Clause"}, "BSD-3-Clause", True),
    ({"license": "Copyright 2026\nAll rights reserved", "classifier": ["License :: OSI Approved :: MIT License"]},
     "MIT", True),
    ({"license": "Copyright 2026\nAll rights reserved"}, "unknown", False),
    ({"classifier": ["License :: OSI Approved :: GNU Affero General Public License v3"]}, "unknown", False),
    ({"name": "x"}, "unknown", False),
])  # fmt: skip
def test_licences_are_read(metadata: dict[str, Any], expected: str, accepted: bool) -> None:
    assert licences.licence({"name": "x", **metadata}) == expected
    assert licences.is_accepted(expression=expected) is accepted


def test_a_licence_that_is_not_accepted_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    mine = [
        {"name": "Good_One", "license_expression": "MIT"},
        {"name": "bad", "license_expression": "SSPL-1.0"},
        {"name": "psycopg", "license_expression": "LGPL-3.0-only"},
        {"name": "psycopg2", "license_expression": "LGPL-3.0-only"},
    ]
    report.write_text(json.dumps({"install": [{"metadata": one} for one in mine]}))
    assert licences.main(["check", str(report)]) == 1
    said = capsys.readouterr()
    assert [line.partition(": not in")[0] for line in said.err.splitlines()] == [
        "error: bad: SSPL-1.0", "error: psycopg2: LGPL-3.0-only",
    ]  # fmt: skip
    assert said.out == "4 packages, 2 with a licence that is not accepted\n"
    assert licences.main(["check"]) == 2


# What the page of security promises


def test_the_page_of_security_says_the_servers_bounds() -> None:
    from bench.measure.units import short_size
    from bench.server import receiving, running
    from bench.server.options import Options

    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", page, re.MULTILINE))
    assert said["bytes of a body"].startswith(f"`max_bytes=` ({Options.max_bytes // 10**6} MB)")
    assert said["ids or rows of a request"] == f"`max_ids=` ({Options.max_ids:,})"
    assert said["time for a body to arrive"] == f"{receiving.SECONDS:.0f} seconds"
    dropped = short_size(receiving.DROPPED).replace(".0", "")
    assert said["bytes of a refused body that are read and dropped"] == dropped
    assert said["bytes of a request's headers"] == short_size(running.MOST_OF_HEADERS).replace(".0", "")
    assert said["connections at once"] == f"{running.CONNECTIONS:,}"
    assert said["time that a connection is open without a request"] == f"{running.IDLE_SECONDS} seconds"
    assert said["time to end what has begun"] == f"{running.LAST_SECONDS} seconds"
    assert Options.host == "127.0.0.1"


def test_no_file_of_a_user_is_unpickled() -> None:
    """Workers of a sweep read pickled objects from pipes, and the loader of settings its own from memory."""
    reads = re.compile(r"pickle\.loads?\(|Unpickler|joblib\.load|allow_pickle=True|torch\.load|yaml\.load\(")
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "bench").rglob("*.py")
        if reads.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"bench/config/composing.py", "bench/config/hydra.py", "bench/sweeps/workers.py"}
