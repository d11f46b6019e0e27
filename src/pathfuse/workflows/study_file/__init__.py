"""From features to the report in one file: ``study.yaml`` and the steps that it names."""
