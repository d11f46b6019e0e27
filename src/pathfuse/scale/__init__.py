"""Beyond memory and beyond one machine: large tables in blocks, and the bridge to a cluster.

Predictions of many rows are read from Parquet in sorted order (``sorted_files``; files in another
order are sorted in pieces first), divided into ranges of ``sample_id`` (``partitions``), joined
across experts block by block (``merge``), and what becomes of a range is one part of the output
(``parts``). A range is known by paths and two names, so that any process on any machine can do it.
"""
