"""Tables with a score for each of two classes."""

from collections.abc import Callable

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from covidlit.evaluation import evaluate


@pytest.mark.parametrize("classes", [("covid", "other"), ("other", "covid")])
def test_of_two_classes_the_score_says_which_is_of_interest(
    predictions: Callable[..., pd.DataFrame], classes: tuple[str, str]
) -> None:
    table = predictions()
    covid, score = table["target"] == 1, table["score"]
    table["target"] = (covid == (classes[1] == "covid")).astype(int)
    for name in classes:
        table[f"score_{name}"] = score if name == "covid" else 1 - score
    metrics = evaluate(table, n_bootstrap=100).to_dict()
    test = table["part"] == "test"
    expected = roc_auc_score(covid[test], score[test])
    assert metrics["parts"]["test"]["auc"]["value"] == pytest.approx(expected)
    assert metrics["parts"]["test"]["n_positive"] == covid[test].sum()
