"""Measurements of a run: errors, bytes, seconds, and the machine that they were taken on."""
