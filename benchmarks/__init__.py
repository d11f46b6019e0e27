"""Speed and quality against simpler methods and other packages, run by ``make bench``: one run per table."""
