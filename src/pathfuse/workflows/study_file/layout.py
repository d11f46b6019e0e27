"""What lies where in the output folder of ``pathfuse run``."""

KIND = "study"
"""In its manifest."""
SAMPLES, MANIFEST = "samples.csv", "manifest.json"
EXPERTS, FUSED = "experts", "fused"
"""A folder per trained expert, and the result of the fusion."""
ENCODERS_OF = "encoders_of"
"""Key of the manifest: the encoders that each expert reads."""
