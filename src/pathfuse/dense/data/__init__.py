"""Images with masks: what a data set is, how it is read, varied and converted."""
