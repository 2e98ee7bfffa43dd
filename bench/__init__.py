"""A benchmark harness for embedding compression in recommender models."""

__version__ = "0.1.0"
