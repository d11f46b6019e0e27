"""Speed and quality beside the rivals, run by ``make bench``: every table is measured in one run."""
