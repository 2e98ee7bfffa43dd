"""The parts of a sweep around its runs: the display on the terminal, the launch in processes, and the search."""
