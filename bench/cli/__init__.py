"""The commands: their options, their runs and sweeps, their error lines and their exit codes."""
