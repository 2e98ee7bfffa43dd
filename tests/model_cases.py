"""Every model, with the settings that change what it computes."""

from __future__ import annotations

from typing import Any

SIZES = {"user": 20, "item": 10, "hour": 5}
NETWORK = {"hidden_units": [6, 4], "batch_norm": True, "dropout": 0.2}
CASES: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "bias": ("bias", {}, 3, 0),
    "dot": ("dot", {}, 2, 0),
    "dot_bias": ("dot_bias", {}, 2, 0),
    "neumf": ("neumf", {"hidden_units": [6, 4], "dropout": 0.1}, 3, 2),
    "neumf of two": ("neumf", {"hidden_units": [5]}, 2, 0),
    "lr": ("lr", {}, 3, 2),
    "lr without numbers": ("lr", {}, 1, 0),
    "fm": ("fm", {}, 3, 2),
    "fm with numbers of its own": ("fm", {"linear": "own"}, 2, 2),
    "wide_deep": ("wide_deep", NETWORK, 3, 2),
    "wide_deep with numbers of its own": ("wide_deep", {"linear": "own", "hidden_units": [3]}, 3, 0),
    "deepfm": ("deepfm", NETWORK, 3, 2),
    "dcn_v2": ("dcn_v2", NETWORK, 3, 2),
    "dcn_v2 stacked": ("dcn_v2", {**NETWORK, "structure": "stacked", "cross_layers": 2}, 2, 0),
    "dlrm": ("dlrm", {**NETWORK, "bottom_units": [5]}, 3, 2),
    "dlrm without numbers": ("dlrm", {"hidden_units": [5]}, 3, 0),
    "dlrm joined": ("dlrm", {"hidden_units": [5], "bottom_units": [4, 3], "interaction": "cat"}, 1, 2),
}
"""Name and settings of the model, number of fields and of numeric columns, by the name of the case."""
