"""The CSAC-Net paper's tables and figures (Yao et al. 2021) from predictions tables."""

from covidlit.papers.csacnet.cases import typical_and_misdiagnosed
from covidlit.papers.csacnet.page import Galleries, check_own_paper, write_paper
from covidlit.papers.csacnet.published_numbers import Published, published
from covidlit.papers.csacnet.results import Paper, paper
from covidlit.papers.csacnet.subsets import Subsets
from covidlit.papers.methods import read_methods, run_rule

__all__ = [
    "Galleries",
    "Paper",
    "Published",
    "Subsets",
    "check_own_paper",
    "paper",
    "published",
    "read_methods",
    "run_rule",
    "typical_and_misdiagnosed",
    "write_paper",
]
