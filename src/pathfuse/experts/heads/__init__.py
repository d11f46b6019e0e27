"""One head per file: packed tiles in, outputs of each bag and the attention of each tile out."""
