"""Whether new samples are like those that a fusion was fitted on; arrays only."""
