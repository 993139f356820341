"""The coefficients of a Cox model as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from covidlit.baselines.cox.fitted import CoxFit
from covidlit.baselines.cox.proportional_hazards import HazardCheck

_Z = 1.959963984540054


def coefficient_table(
    names: Sequence[str], fit: CoxFit, check: HazardCheck, features: pd.DataFrame
) -> pd.DataFrame:
    """One row per prepared feature: hazard ratio per unit with 95% interval, and the check.

    Args:
        names: of the prepared features.
        fit: the model.
        check: of proportional hazards.
        features: table of the raw features: name, description.

    Returns:
        feature, description, coefficient, standard_error, hazard_ratio, hazard_ratio_low,
        hazard_ratio_high, p_value, ph_statistic, ph_p_value, ph_p_holm (over the features that
        could be tested), ph_correlation; a unit is that of the prepared feature, such as a standard
        deviation.
    """
    described = dict(zip(features["name"], features["description"], strict=True))
    error = fit.standard_errors
    with np.errstate(over="ignore"):
        ratio = np.exp(fit.coefficients + np.array([[-_Z], [0.0], [_Z]]) * error)
    holm = np.full(len(names), np.nan)
    tested = np.isfinite(check.p_value)
    if tested.any():
        holm[tested] = multipletests(check.p_value[tested], method="holm")[1]
    return pd.DataFrame(
        {
            "feature": list(names),
            "description": [described.get(name, "") for name in names],
            "coefficient": fit.coefficients,
            "standard_error": error,
            "hazard_ratio": np.exp(fit.coefficients),
            "hazard_ratio_low": ratio[0],
            "hazard_ratio_high": ratio[2],
            "p_value": fit.p_values,
            "ph_statistic": check.statistic,
            "ph_p_value": check.p_value,
            "ph_p_holm": holm,
            "ph_correlation": check.correlation,
        }
    )
