"""What experts say, as arrays: log-probabilities of outcomes, and hazards of bins."""
