"""The README's picture and table: bytes against error, from the results that a sweep left.

``python -m benchmarks.tradeoff SWEEP_FOLDER ... PICTURE.png`` prints a table and draws the picture.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from bench import results
from bench.tracking import run_name

Groups = dict[str, list[dict[str, Any]]]


def groups_of(folders: list[Path]) -> Groups:
    """Finished results by name, in which only the seed may differ."""
    groups: Groups = defaultdict(list)
    seen = set()
    for path in sorted(file.parent for folder in folders for file in folder.rglob(results.FILE)):
        result = results.read(path)
        if result["status"] not in ("finished", "skipped"):
            continue
        name = run_name(result["strategy"], result["embeddings"], 0, result["settings"]["budget"])
        # An equal run counts once, however often it was asked for.
        if (name, result["seed"]) not in seen:
            seen.add((name, result["seed"]))
            groups[name.removesuffix(" seed=0")].append(result)
    return groups


def mean_sd(results: list[dict[str, Any]], key: str) -> tuple[float, float]:
    """Mean and standard deviation over a group; the latter 0 with one seed."""
    values = [result[key] for result in results]
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def table(groups: Groups) -> str:
    """A Markdown table, a line a group."""
    lines = [
        "| run | embedding memory | smaller by | val MAE, mean ± sd | seeds |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in sorted(groups.items(), key=lambda item: -item[1][0]["embedding_bytes"]):
        mean, sd = mean_sd(runs, "val_mae")
        memory = results.short_size(runs[0]["embedding_bytes"])
        ratio = f"{runs[0]['compression_ratio']:.1f}x"
        lines.append(f"| {name} | {memory} | {ratio} | {mean:.4f} ± {sd:.4f} | {len(runs)} |")
    return "\n".join(lines)


def draw(groups: Groups, path: Path) -> None:
    """Error against memory, a line a strategy, bars of one standard deviation."""
    points: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for runs in groups.values():
        points[runs[0]["strategy"]].append(
            (runs[0]["embedding_bytes"] / 1024, *mean_sd(runs, "val_mae"))
        )  # fmt: skip
    figure, axes = plt.subplots(figsize=(7.2, 4.2), dpi=150)
    for number, (strategy, found) in enumerate(sorted(points.items())):
        x, y, sd = np.array(sorted(found)).T
        axes.errorbar(
            x, y, yerr=sd, label=strategy, marker="osD^v"[number % 5], markersize=5, capsize=3, linewidth=1.4
        )
    if "full" in points:
        axes.axhline(points["full"][0][1], color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    first = next(iter(groups.values()))[0]
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: results.short_size(value * 1024))
    axes.set_xticks([32 * 2**i for i in range(8)], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("memory to serve the embeddings")
    axes.set_ylabel("MAE on rows held out")
    counts = sorted({len(runs) for runs in groups.values()})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    axes.set_title(
        f"{first['dataset']}, model {first['settings']['model']['name']}: mean ± sd of {seeds} seeds"
    )
    axes.grid(alpha=0.25)
    axes.legend(title="strategy")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def main(arguments: list[str]) -> int:
    """Prints the table and draws the picture."""
    if len(arguments) < 2:
        print("error: give the folders of sweeps, then the picture's file", file=sys.stderr)
        return 2
    groups = groups_of([Path(argument) for argument in arguments[:-1]])
    if not groups:
        print(f"error: no finished result in {' '.join(arguments[:-1])}", file=sys.stderr)
        return 2
    print(table(groups))
    draw(groups, Path(arguments[-1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
