"""``predict`` over Parquet files larger than memory."""
