"""Meta-Encoder: one token per foundation model, joined into one vector per sample (bioRxiv
2025.06.05.657960).
"""
