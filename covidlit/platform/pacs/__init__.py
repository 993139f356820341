"""Archives of the hospital: how they are reached, by DICOMweb or by DIMSE.

Only those that stand in `platform.toml` are ever asked; nothing that a browser sends is an address.
"""
