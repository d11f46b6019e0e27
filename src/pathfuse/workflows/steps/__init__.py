"""What the protocols share: fitting, evaluating, calibration, costs, the report's curves."""
