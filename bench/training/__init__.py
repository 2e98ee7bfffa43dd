"""Training: one compiled program that runs many batches, with exact updates at the cost of a batch's rows."""
