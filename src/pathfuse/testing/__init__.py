"""Made-up cohorts with a known truth, for tests and for trying things out."""
