"""What lies where in the folder of a trained expert."""

EXPERT, MANIFEST, HISTORY, SAMPLES = "expert.json", "manifest.json", "history.csv", "samples.csv"
FIGURES = "figures"
