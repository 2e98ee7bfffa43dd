"""What ``RESULTS.md`` and the tables of ``docs/methods.md`` are made of: studies, their numbers as kept, tables."""
