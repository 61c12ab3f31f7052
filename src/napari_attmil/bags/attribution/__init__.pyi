from .measures import (
    CURVE_STEPS as CURVE_STEPS,
    TOP_CELLS as TOP_CELLS,
    instance_ranking as instance_ranking,
    rank_agreement as rank_agreement,
    removal as removal,
    top_contribution as top_contribution,
    top_overlap as top_overlap,
)
from .subsets import (
    MOST_CELLS_LEFT_OUT as MOST_CELLS_LEFT_OUT,
    SCORES as SCORES,
    ScoreName as ScoreName,
    SubsetClassifier as SubsetClassifier,
    cell_scores as cell_scores,
)
from .vectors import cell_embeddings as cell_embeddings
from .what_if import RemovalCurve as RemovalCurve, WhatIf as WhatIf
