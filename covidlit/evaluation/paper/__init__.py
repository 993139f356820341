"""The CSAC-Net paper's tables and figures (Yao et al. 2021) from predictions tables."""

from covidlit.evaluation.paper.cases import typical_and_misdiagnosed
from covidlit.evaluation.paper.methods import read_methods, run_rule
from covidlit.evaluation.paper.page import Galleries, write_paper
from covidlit.evaluation.paper.published_numbers import Published, published
from covidlit.evaluation.paper.results import Paper, paper
from covidlit.evaluation.paper.subsets import Subsets

__all__ = [
    "Galleries",
    "Paper",
    "Published",
    "Subsets",
    "paper",
    "published",
    "read_methods",
    "run_rule",
    "typical_and_misdiagnosed",
    "write_paper",
]
