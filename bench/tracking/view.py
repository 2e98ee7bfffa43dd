"""The view of an experiment that MLflow's pages offer as saved: memory against error, one mark a run.

MLflow 3.17 keeps such a view in a tag of the experiment, as its pages write it. Older pages do not list it.
"""

from __future__ import annotations

import json

from bench import tasks

KEY = "trade-off"
"""The view's, in the address of a page: ``?viewStateShareKey=trade-off&compareRunsMode=CHART``."""

TAG = f"mlflow.sharedViewState.{KEY}"
NAME = "Trade-off"

HEADLINES = tuple(tasks.find(name).headline for name in tasks.NAMES)
"""The metric that leads in each task. A chart of a metric that no run has is hidden."""

SCATTERS = (
    *(("embedding_bytes", headline) for headline in HEADLINES),
    *(("step_time_ms", headline) for headline in HEADLINES),
    ("params_embedding", "embedding_bytes"),
)
"""Metrics of the horizontal and the vertical axis."""

COLUMNS = (
    "tags.`strategy`", "params.`budget`", "params.`seed`", "metrics.`embedding_bytes`",
    *(f"metrics.`{headline}`" for headline in HEADLINES), "metrics.`step_time_ms`", "attributes.`Dataset`",
)  # fmt: skip


def saved() -> str:
    """Gives the tag's value."""
    scatters = [
        _chart(f"{x}-{y}", "SCATTER", xaxis={"key": x, "type": "METRIC"}, yaxis={"key": y, "type": "METRIC"})
        for x, y in SCATTERS
    ]
    curves = [
        _chart(
            name, "LINE", displayName=f"{name} by epoch", metricKey=name, selectedMetricKeys=[name],
            lineSmoothness=0, xAxisScaleType="linear", scaleType="linear", range={}, xAxisKey="step",
            selectedXAxisMetricKey="", yAxisKey="metric", yAxisExpressions=[], ignoreOutliers=False,
            useGlobalXaxisKey=True, useGlobalLineSmoothing=True,
        )
        for name in HEADLINES
    ]  # fmt: skip
    section = {
        "uuid": KEY, "name": NAME, "display": True, "isReordered": False, "deleted": False, "isGenerated": False
    }  # fmt: skip
    state = {
        # in any order but that of time, runs of sweeps are listed as all others; sweeps themselves have no bytes
        "searchFilter": "metrics.embedding_bytes > 0", "orderByKey": "metrics.`embedding_bytes`", "orderByAsc": True,
        "startTime": "ALL", "lifecycleFilter": "Active", "datasetsFilter": [], "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS), "columnOrder": [], "columnWidths": {}, "runsHiddenMode": "SHOWALL",
        "compareRunCharts": [*scatters, *curves], "compareRunSections": [section],
        "viewMaximized": False, "runListHidden": False, "isAccordionReordered": False,
        "useGroupedValuesInCharts": False, "hideEmptyCharts": True, "groupBy": None, "groupsExpanded": {},
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }  # fmt: skip
    return json.dumps({"name": NAME, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)})


def _chart(name: str, kind: str, **more: object) -> dict[str, object]:
    shown = {"runsCountToCompare": 500, "metricSectionId": KEY, "deleted": False, "isGenerated": False}
    return {"uuid": f"{KEY}-{name}", "type": kind, **shown, **more}
