"""Light heads on frozen embeddings: bags in, held-out predictions in the contract's tables out
(extra ``torch``).
"""
