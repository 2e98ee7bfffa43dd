"""Faults that are put into a copy of the code, one at a time: for each, a test has to fail."""
