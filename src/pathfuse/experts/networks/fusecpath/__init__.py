"""FuseCPath: tiles selected over several encoders, a student on them, slide encoders distilled into
it.
"""
