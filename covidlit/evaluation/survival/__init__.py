"""Times to an event with censoring: pure functions on arrays, tables of a run, its report."""
