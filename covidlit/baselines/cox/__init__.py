"""Cox's proportional hazards model behind the same seam as the classical models."""
