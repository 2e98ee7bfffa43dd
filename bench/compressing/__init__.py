"""Compresses a table that the user already has, without training: reads it, fits a method, measures, and exports it."""
