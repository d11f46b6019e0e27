"""The works that more than one fusion method rests on; a work of one method stands in its file."""

from pathfuse.references import Reference, article

LOGITPROD_2026 = Reference(
    "logitprod2026",
    "misc",
    {
        "author": "Huang, G. and Li, A. and Tan, Y. and Zhao, B. and Wang, G. and Gao, Z. and Li, X.",
        "title": "Plug-and-play logit fusion for heterogeneous pathology foundation models",
        "howpublished": "arXiv 2604.07779",
        "year": "2026",
    },
)
GENEST_1984 = article(
    "genest1984",
    "Genest, C.",
    "A characterization theorem for externally Bayesian groups",
    "Annals of Statistics",
    "12",
    "1100--1105",
    "1984",
)
WOLPERT_1992 = article(
    "wolpert1992",
    "Wolpert, D. H.",
    "Stacked generalization",
    "Neural Networks",
    "5",
    "241--259",
    "1992",
)
VANDERLAAN_2007 = article(
    "vanderlaan2007",
    "van der Laan, M. J. and Polley, E. C. and Hubbard, A. E.",
    "Super learner",
    "Statistical Applications in Genetics and Molecular Biology",
    "6",
    "Article 25",
    "2007",
)
