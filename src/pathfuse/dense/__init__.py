"""Dense prediction: segmentation with frozen or adapted foundation models, judged per image and
fused per pixel.
"""
