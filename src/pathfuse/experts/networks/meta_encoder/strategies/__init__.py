"""One strategy per file: the models' tokens in, one vector per sample and the models' weights out."""
