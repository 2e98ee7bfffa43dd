"""What happens around the runs of a sweep: how they are shown, and run beside each other."""
