"""Feature files: one encoder's slides and tiles, several encoders side by side.

Reading only, without torch.
"""
