"""How features go together with an outcome: correlations, effect sizes, tests between groups."""

from covidlit.evaluation.associations.association import Association, correct
from covidlit.evaluation.associations.correlation import pearson, spearman
from covidlit.evaluation.associations.effect_sizes import (
    cliffs_delta,
    hedges_g,
    odds_ratio,
    rank_auc,
    risk_difference,
)
from covidlit.evaluation.associations.group_tests import group_test
from covidlit.evaluation.associations.results import Associations, associations
from covidlit.evaluation.associations.rows import rows_of_patients

__all__ = [
    "Association",
    "Associations",
    "associations",
    "cliffs_delta",
    "correct",
    "group_test",
    "hedges_g",
    "odds_ratio",
    "pearson",
    "rank_auc",
    "risk_difference",
    "rows_of_patients",
    "spearman",
]
