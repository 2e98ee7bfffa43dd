"""The view of an experiment that MLflow's pages offer as saved: memory against error, one mark a run.

MLflow 3.17 keeps such a view in a tag of the experiment, as its pages write it. Older pages do not list it.
"""

from __future__ import annotations

import json
from typing import Any

KEY = "trade-off"
"""The view's, in the address of a page: ``?viewStateShareKey=trade-off&compareRunsMode=CHART``."""

TAG = f"mlflow.sharedViewState.{KEY}"
NAME = "Trade-off"
MOST_RUNS = 500

SCATTERS = (
    ("embedding_bytes", "val_mae"),
    ("step_time_ms", "val_mae"),
    ("params_embedding", "embedding_bytes"),
)
"""Metrics of the horizontal and the vertical axis."""

COLUMNS = (
    "tags.`strategy`", "params.`budget`", "params.`seed`", "metrics.`embedding_bytes`", "metrics.`val_mae`",
    "metrics.`step_time_ms`", "attributes.`Dataset`",
)  # fmt: skip


def saved() -> str:
    """The tag's value."""
    state = {
        # in any order but that of time, runs of sweeps are listed as all others; sweeps themselves have no error
        "searchFilter": "metrics.val_mae > 0",
        "orderByKey": "metrics.`val_mae`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS),
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "SHOWALL",
        "compareRunCharts": [*(_scatter(*axes) for axes in SCATTERS), _curves("val_mae")],
        "compareRunSections": [
            {
                "uuid": KEY,
                "name": NAME,
                "display": True,
                "isReordered": False,
                "deleted": False,
                "isGenerated": False,
            }
        ],
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": False,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
    return json.dumps({"name": NAME, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)})


def _chart(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "uuid": f"{KEY}-{name}",
        "type": kind,
        "runsCountToCompare": MOST_RUNS,
        "metricSectionId": KEY,
        "deleted": False,
        "isGenerated": False,
        **more,
    }


def _scatter(x: str, y: str) -> dict[str, Any]:
    return _chart(
        f"{x}-{y}", "SCATTER", xaxis={"key": x, "type": "METRIC"}, yaxis={"key": y, "type": "METRIC"}
    )


def _curves(metric: str) -> dict[str, Any]:
    return _chart(
        metric,
        "LINE",
        displayName=f"{metric} by epoch",
        metricKey=metric,
        selectedMetricKeys=[metric],
        lineSmoothness=0,
        xAxisScaleType="linear",
        scaleType="linear",
        range={},
        xAxisKey="step",
        selectedXAxisMetricKey="",
        yAxisKey="metric",
        yAxisExpressions=[],
        ignoreOutliers=False,
        useGlobalXaxisKey=True,
        useGlobalLineSmoothing=True,
    )
