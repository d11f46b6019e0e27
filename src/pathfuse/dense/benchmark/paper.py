"""The benchmark of the paper as one ``grid.yaml``, made of the cards: 17 models, 18 data sets, 5
strategies.
"""

from pathfuse.dense.data.cards import DatasetCard, dataset_cards
from pathfuse.dense.encoders.cards import EncoderCard, encoder_cards
from pathfuse.dense.strategies.registry import STRATEGIES

HEAD = """\
# PFM-DenseBench: {n_models} models x {n_datasets} data sets x {n_strategies} strategies = {n} cells per seed.
# Written from pathfuse's cards. Fill in where the data lie (each as 'pathfuse dense convert KEY
# DOWNLOAD --out data/KEY' writes it) and take out what you do not have. Weights come from the cache
# of the Hugging Face hub unless a model names its own: {{encoder: uni_v1, weights: models/uni}}.
# Run it with:  pathfuse dense run THIS-FILE --devices cuda:0,cuda:1
#          or:  pathfuse dense script THIS-FILE --slurm > job.sh, then: bash job.sh
"""
REST = """
strategies: [{strategies}]
# rank: [4, 16, 64]                  # the ablation of the rank: one label per rank
# size_px: [224, 448, 896]           # of the input: take the sizes above out for it
seeds: [0]                           # the paper had one; three show what a seed is worth

recipe:                              # of 'pathfuse dense train'; what is not said here is as published
  epochs: 150
  # capacity: equal                  # ranks that train as many weights in every architecture
  # parity: paper                    # with the published faults

out: densebench
keep_logits: false                   # logits of all cells would fill a disk
"""


def paper_grid() -> str:
    """The text of the file; it reads as a benchmark."""
    models = encoder_cards().values()
    datasets = [card for card in dataset_cards().values() if card.in_benchmark]
    strategies = [one.name for one in STRATEGIES.values() if one.published]
    head = HEAD.format(
        n_models=len(models),
        n_datasets=len(datasets),
        n_strategies=len(strategies),
        n=f"{len(models) * len(datasets) * len(strategies):,}",
    )
    patches = sorted({card.patch for card in models})
    lines = ["", "models:", *map(_model, models), "", "datasets:"]
    lines += [line for card in datasets for line in _dataset(card, patches)]
    return head + "\n".join(lines) + "\n" + REST.format(strategies=", ".join(strategies))


def _model(card: EncoderCard) -> str:
    """One line; a model of one size has that size on every data set."""
    own = f", size_px: {card.size_px}" if card.size_policy == "fixed" else ""
    pinned = "" if card.revision else "; no revision is known: pin one with revision:"
    return f"  {card.key}: {{encoder: {card.key}{own}}}".ljust(46) + f"# {card.access}{pinned}"


def _dataset(card: DatasetCard, patches: list[int]) -> list[str]:
    by_patch = {8: card.size_8_16_px, 14: card.size_14_px, 16: card.size_8_16_px}
    sizes = ", ".join(f"{patch}: {by_patch[patch]}" for patch in patches)
    return [
        f"  {card.key}:",
        f"    split: data/{card.key}/split.json",
        f"    size_px: {{{sizes}}}",
    ]
