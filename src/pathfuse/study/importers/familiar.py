"""Names of models and of data sets that everybody in the field knows.

They tell which level of nested names is which, and nothing else.
"""

from collections.abc import Sequence

from pathfuse.study.importers.metric_names import squashed, words_of

MODELS = (
    *("uni", "uni2", "conch", "gigapath", "virchow", "phikon", "hoptimus", "optimus", "hibou", "kaiko"),
    *("lunit", "ctranspath", "retccl", "titan", "prism", "chief", "plip", "musk", "quilt", "midnight"),
    *("gpfm", "exaone", "exaonepath", "h0mini", "keep", "pathorchestra", "resnet", "vit", "dino"),
    *("dinov2", "dinov3", "clip", "biomedclip", "imagenet", "swin", "convnext", "densenet", "efficientnet"),
    *("atlas", "rudolfv", "genbio", "pathoduet", "remedis", "hipt", "madeleine", "threads", "feather"),
    *("abmil", "transmil", "clam", "dsmil", "deepset", "logitprod", "fused", "ensemble", "openmidnight"),
)  # fmt: skip
STUDIES = (
    *("bach", "bracs", "panda", "camelyon", "camelyon16", "camelyon17", "pcam", "patchcamelyon", "mhist"),
    *("crc", "crc100k", "nct", "breakhis", "gleason", "consep", "monusac", "monuseg", "pannuke", "lizard"),
    *("tcga", "cptac", "luad", "lusc", "brca", "coad", "read", "coadread", "kirc", "kirp", "kich", "blca"),
    *("gbm", "lgg", "gbmlgg", "stad", "hnsc", "skcm", "prad", "paad", "lihc", "ucec", "ucs", "nsclc", "rcc"),
    *("ebrains", "dhmc", "hest", "esca", "thca", "ov", "cesc", "idc", "ccrcc", "lung", "breast", "prostate"),
    *("colon", "kidney", "skin", "liver", "glas", "bcss", "crag", "puma", "segpath", "unitopatho", "wsss4luad"),
    *("tp53", "kras", "egfr", "braf", "msi", "idh", "idh1", "her2", "er", "pr", "pik3ca", "survival", "grade"),
)  # fmt: skip

LONG = 5
"""Letters of names that are also recognised inside a word."""


def model_signs(names: Sequence[str]) -> float:
    """How much names look like those of models: 1 where all do, -1 where all look like data sets.

    Examples:
        >>> model_signs(["UNI2-h", "virchow_2", "mine"]), model_signs(["tcga_luad", "bracs"]), model_signs(["a", "b"])
        (0.6666666666666666, -1.0, 0.0)
    """
    return (
        sum(_among(MODELS, one) for one in names) - sum(_among(STUDIES, one) for one in names)
    ) / len(names)


def _among(known: Sequence[str], name: str) -> bool:
    """Whether a word of a name (without a number behind it, too) or the whole name is known."""
    small = [word for part in (name.lower(), name) for word in words_of(part)]
    bare = {word.rstrip("0123456789") for word in small}
    whole = squashed(name)
    inside = any(one in whole for one in known if len(one) >= LONG)
    return inside or bool(({*small, *bare, whole} - {""}) & set(known))
