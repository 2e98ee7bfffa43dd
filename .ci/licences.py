"""Licences of dependencies, from their metadata: checks those of all locked packages, and writes docs/licences.md.

`bash .ci/licences` makes the reports of pip that it reads. Nothing is installed: metadata come from the package index.

usage: python .ci/licences.py check REPORT.json ...    every package has a licence that is accepted
       python .ci/licences.py write REPORT.json ...    docs/licences.md, of the packages that pyproject.toml names
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"

ACCEPTED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "HPND", "ISC", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "NCSA", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
}  # fmt: skip
"""Licences, by SPDX identifier, under which the project may use a package that it does not change."""

NVIDIA = "LicenseRef-NVIDIA-Proprietary"

EXCEPTIONS = {
    r"psycopg(-binary)?": "LGPL-3.0-only",  # of the extra server; imported as it is, as this licence lets any program
    r"nvidia-.+|cuda-toolkit": NVIDIA,  # what PyTorch brings on Linux; of the extra torch, for `make speed` alone
}
"""Packages, by a pattern of their names, that may be used under one more licence."""

CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Zero-Clause BSD (0BSD)": "0BSD",
}
"""SPDX identifiers of the trove classifiers for licences. ``BSD License`` leaves open how many clauses there are."""

TEXTS = {
    "3-clause bsd": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "mit": "MIT",
    "mit license": "MIT",
    "licenseref-nvidia-proprietary": NVIDIA,
    "nvidia proprietary software": NVIDIA,
}
"""SPDX identifiers of what else is written into the field ``License``."""

READ = {"cuda-toolkit": NVIDIA, "huey": "MIT", "namex": "Apache-2.0", "skops": "MIT"}
"""Licences of packages whose metadata name none, as their files say."""


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(metadata: Mapping[str, Any]) -> str:
    """The licence of a package as an SPDX expression. ``unknown`` if the metadata do not say it."""
    if expression := metadata.get("license_expression"):
        return str(expression)
    named = [
        text.rpartition(" :: ")[2] for text in metadata.get("classifier") or () if text.startswith("License")
    ]
    known = sorted({CLASSIFIERS[name] for name in named if name in CLASSIFIERS})
    text = str(metadata.get("license") or "").strip().splitlines()
    first = text[0].removesuffix(" License") if text else ""
    if len(text) == 1 and parts(first) <= ACCEPTED:
        return first
    if known:
        return " AND ".join(known)
    by_text = TEXTS.get(first.lower())
    return by_text or READ.get(canonical(str(metadata.get("name"))), "unknown")


def parts(expression: str) -> set[str]:
    """The licences in an SPDX expression, those that one may choose between included."""
    return set(re.split(r"\s+(?:AND|OR)\s+", expression.replace("(", "").replace(")", "")))


def is_accepted(expression: str) -> bool:
    """True if one may use a package under an expression: one side of an ``OR``, all sides of an ``AND``."""
    bare = expression.replace("(", "").replace(")", "")
    if "(" in expression and " OR " in bare and " AND " in bare:
        return parts(expression) <= ACCEPTED  # mixed: to be on the safe side
    return any(set(re.split(r"\s+AND\s+", side)) <= ACCEPTED for side in re.split(r"\s+OR\s+", bare))


def direct(project: Mapping[str, Any]) -> dict[str, list[str]]:
    """The packages that pyproject.toml names, each with the extras that need it; ``""`` is the project itself."""
    found: dict[str, list[str]] = {}
    for extra, needed in {"": project["dependencies"], **project["optional-dependencies"]}.items():
        for requirement in needed:
            found.setdefault(canonical(re.match(r"[\w.-]+", requirement)[0]), []).append(extra)  # type: ignore[index]
    return found


def read_project() -> dict[str, list[str]]:
    """The packages that this project names."""
    return direct(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def packages(reports: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The metadata of all packages in reports of ``pip install --report``, by name."""
    found = {}
    for report in reports:
        for one in json.loads(Path(report).read_text(encoding="utf-8"))["install"]:
            found[canonical(one["metadata"]["name"])] = one["metadata"]
    return dict(sorted(found.items()))


def check(found: Mapping[str, Mapping[str, Any]]) -> int:
    """Names the packages whose licence is not accepted, and gives the exit code."""
    by_name = {name: licence(one) for name, one in found.items()}
    wrong = {
        name: expression
        for name, expression in by_name.items()
        if not is_accepted(expression)
        and not any(
            re.fullmatch(pattern, name) and other == expression for pattern, other in EXCEPTIONS.items()
        )
    }
    for name, expression in wrong.items():
        print(f"error: {name}: {expression}: not in ACCEPTED of .ci/licences.py", file=sys.stderr)
    print(f"{len(found)} packages, {len(wrong)} with a licence that is not accepted")
    return int(bool(wrong))


def rows(licences: Mapping[str, str]) -> list[str]:
    """The lines of the page's table, from licences by package."""
    return [
        f"| {name} | {', '.join(extra or 'always' for extra in extras)} | {licences[name]} |"
        for name, extras in sorted(read_project().items())
    ]


def write(found: Mapping[str, Mapping[str, Any]]) -> int:
    """Puts the table into the page, in the place of the one there."""
    table = ["| package | needed by | licence |", "| --- | --- | --- |"]
    table += rows({name: licence(one) for name, one in found.items()})
    head = PAGE.read_text(encoding="utf-8").partition("\n| package |")[0]
    PAGE.write_text("\n".join([head, *table, ""]), encoding="utf-8")
    return 0


def main(arguments: list[str]) -> int:
    """Runs the program and gives its exit code."""
    if len(arguments) < 2 or arguments[0] not in ("check", "write"):
        print(__doc__, file=sys.stderr)
        return 2
    found = packages(arguments[1:])
    return check(found) if arguments[0] == "check" else write(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
