"""Benchmarks of the harness, and the programs that it is compared with."""
