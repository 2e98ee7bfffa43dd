"""Programs that the harness is measured against."""
