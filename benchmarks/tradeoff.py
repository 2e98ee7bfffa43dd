"""The pictures and tables of the README and of docs/methods.md, from the results that sweeps left.

``python -m benchmarks.tradeoff SWEEP_FOLDER ... PICTURE.png`` prints a table of the groups and draws the picture.
``python -m benchmarks.tradeoff SWEEP_FOLDER ...`` prints a table of strategies by budget.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from bench import results
from bench.tradeoff import Comparable, tradeoff
from bench.tradeoff.showing import names


def read(folders: list[Path]) -> tuple[Comparable, ...]:
    """What the results below some folders say, a set for each data set, split, model and training."""
    paths = sorted(file.parent for folder in folders for file in folder.rglob(results.FILE))
    return tradeoff(map(results.read, paths)).sets


def table(one: Comparable) -> str:
    """A Markdown table, a line a group."""
    lines = [
        "| run | embedding memory | smaller by | val MAE, mean ± sd | seeds |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, group in zip(names(one), one.groups, strict=True):
        mae = group.statistics["val_mae"]
        memory = results.short_size(group.embedding_bytes)
        error = f"{mae.mean:.4f} ± {mae.sd or 0:.4f}"
        lines.append(f"| {name} | {memory} | {group.compression_ratio:.1f}x | {error} | {mae.n} |")
    return "\n".join(lines)


def by_budget(one: Comparable) -> str:
    """A Markdown table, a line a strategy: its error at each budget, or at the one size that it has."""
    budgets = sorted({group.budget for group in one.groups if group.budget is not None}, reverse=True)
    cells: dict[str, dict[float | None, str]] = defaultdict(dict)
    for group in one.groups:
        mae = group.statistics["val_mae"]
        cells[group.strategy][group.budget] = f"{mae.mean:.4f} ± {mae.sd or 0:.4f}"
    lines = [
        f"| method | {' | '.join(f'budget={budget:g}' for budget in budgets)} | at its own size |",
        f"| --- |{' ---: |' * (len(budgets) + 1)}",
    ]
    ratio = {group.strategy: group.compression_ratio for group in one.groups if group.budget is None}
    best = {
        budget: min((own[budget] for own in cells.values() if budget in own), default="")
        for budget in budgets
    }
    for strategy, own in sorted(cells.items()):
        found = [own.get(budget, "-") for budget in budgets]
        marked = [
            f"**{cell}**" if cell == best[budget] else cell
            for cell, budget in zip(found, budgets, strict=True)
        ]
        alone = f"{own[None]} ({ratio[strategy]:.2f}x)" if None in own else ""
        lines.append(f"| {strategy} | {' | '.join(marked)} | {alone} |")
    return "\n".join(lines)


def draw(one: Comparable, path: Path) -> None:
    """Error against memory, a line a strategy, bars of one standard deviation."""
    points: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for group in one.groups:
        mae = group.statistics["val_mae"]
        points[group.strategy].append((group.embedding_bytes / 1024, mae.mean, mae.sd or 0.0))
    figure, axes = plt.subplots(figsize=(7.2, 4.2), dpi=150)
    for number, (strategy, found) in enumerate(sorted(points.items())):
        x, y, sd = np.array(sorted(found)).T
        axes.errorbar(
            x, y, yerr=sd, label=strategy, marker="osD^v"[number % 5], markersize=5, capsize=3, linewidth=1.4
        )
    if "full" in points:
        axes.axhline(points["full"][0][1], color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: results.short_size(value * 1024))
    axes.set_xticks([32 * 2**i for i in range(8)], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("memory to serve the embeddings")
    axes.set_ylabel("MAE on rows held out")
    counts = sorted({len(group.runs) for group in one.groups})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    name, model = one.settings["dataset.name"], one.settings["model.name"]
    axes.set_title(f"{name}, model {model}: mean ± sd of {seeds} seeds")
    axes.grid(alpha=0.25)
    axes.legend(title="strategy")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def main(arguments: list[str]) -> int:
    """Prints a table, and draws the picture where one is named."""
    *folders, last = arguments or [""]
    pictured = last.endswith(".png")
    folders = folders if pictured else arguments
    if not folders:
        print("error: give the folders of sweeps, and the picture's file (.png) if any", file=sys.stderr)
        return 2
    sets = read([Path(folder) for folder in folders])
    if len(sets) != 1:
        found = f"{len(sets)} sets that cannot be compared" if sets else "no finished result"
        print(f"error: {found} in {' '.join(folders)}; give the folders of one sweep", file=sys.stderr)
        return 2
    print(table(sets[0]) if pictured else by_budget(sets[0]))
    if pictured:
        draw(sets[0], Path(last))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
