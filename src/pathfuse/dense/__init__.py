"""Dense prediction: segmentation with frozen or adapted foundation models, evaluated per image and
fused per pixel.
"""
