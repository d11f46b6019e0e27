"""A whole benchmark: models x data sets x strategies x seeds."""
