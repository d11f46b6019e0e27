"""The works that a methods paragraph may cite in addition to those of the fusion
methods, which name their own.
"""

from pathfuse.references import Reference
from pathfuse.references import article as _article

WORKS = {
    work.key: work
    for work in (
        _article("cox1958", "Cox, D. R.", "Two further applications of a model for binary regression", "Biometrika",
                 "45", "562--565", "1958"),
        _article("vancalster2019", "Van Calster, B. and McLernon, D. J. and van Smeden, M. and Wynants, L. and "
                 "Steyerberg, E. W.", "Calibration: the Achilles heel of predictive analytics", "BMC Medicine", "17",
                 "230", "2019"),
        _article("guo2017", "Guo, C. and Pleiss, G. and Sun, Y. and Weinberger, K. Q.",
                 "On calibration of modern neural networks", "Proceedings of Machine Learning Research", "70",
                 "1321--1330", "2017"),
        Reference("efron1993", "book", {"author": "Efron, B. and Tibshirani, R. J.",
                  "title": "An Introduction to the Bootstrap", "publisher": "Chapman and Hall", "year": "1993"}),
        _article("holm1979", "Holm, S.", "A simple sequentially rejective multiple test procedure",
                 "Scandinavian Journal of Statistics", "6", "65--70", "1979"),
        _article("delong1988", "DeLong, E. R. and DeLong, D. M. and Clarke-Pearson, D. L.",
                 "Comparing the areas under two or more correlated receiver operating characteristic curves",
                 "Biometrics", "44", "837--845", "1988"),
        _article("nadeau2003", "Nadeau, C. and Bengio, Y.", "Inference for the generalization error",
                 "Machine Learning", "52", "239--281", "2003"),
        _article("kaplan1958", "Kaplan, E. L. and Meier, P.", "Nonparametric estimation from incomplete observations",
                 "Journal of the American Statistical Association", "53", "457--481", "1958"),
        _article("mantel1966", "Mantel, N.",
                 "Evaluation of survival data and two new rank order statistics arising in its consideration",
                 "Cancer Chemotherapy Reports", "50", "163--170", "1966"),
        _article("uno2011", "Uno, H. and Cai, T. and Pencina, M. J. and D'Agostino, R. B. and Wei, L. J.",
                 "On the C-statistics for evaluating overall adequacy of risk prediction procedures with censored "
                 "survival data", "Statistics in Medicine", "30", "1105--1117", "2011"),
        _article("graf1999", "Graf, E. and Schmoor, C. and Sauerbrei, W. and Schumacher, M.",
                 "Assessment and comparison of prognostic classification schemes for survival data",
                 "Statistics in Medicine", "18", "2529--2545", "1999"),
        _article("lin1991", "Lin, J.", "Divergence measures based on the Shannon entropy",
                 "IEEE Transactions on Information Theory", "37", "145--151", "1991"),
        Reference("vovk2005", "book", {"author": "Vovk, V. and Gammerman, A. and Shafer, G.",
                  "title": "Algorithmic Learning in a Random World", "publisher": "Springer", "year": "2005"}),
        _article("pedregosa2011", "Pedregosa, F. and Varoquaux, G. and Gramfort, A. and others",
                 "Scikit-learn: machine learning in Python", "Journal of Machine Learning Research", "12",
                 "2825--2830", "2011"),
    )
}  # fmt: skip


def software(version: str) -> Reference:
    """The entry of pathfuse itself."""
    title = f"pathfuse {version}: fusing the predictions of pathology foundation models"
    return Reference(
        "pathfuse", "misc", {"title": title, "howpublished": "software", "year": "2026"}
    )
