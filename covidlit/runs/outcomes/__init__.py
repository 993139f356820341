"""What a run is after: the tables that it makes of scores, and the report of them."""
