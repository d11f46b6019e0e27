"""TransMIL: attention between tiles in linear time, positions by convolution, and exact attention as
an alternative.
"""
