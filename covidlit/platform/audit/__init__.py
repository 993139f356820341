"""Who did what, appended and never changed, each entry chained to the one before."""
