"""What models of tables look at: of all rows by permutation, of one row by Shapley values."""
