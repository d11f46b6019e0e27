"""Whether new samples are like those that a model was fitted on."""
