"""Feature files of one encoder as bags: which slides there are, their tiles, their coordinates."""
