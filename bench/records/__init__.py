"""The typed result of a run, its record on disk, and its fingerprint."""
