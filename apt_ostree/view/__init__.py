"""A tree to look at, wherever it is: a directory, or a commit that is read without a checkout. Nothing is written."""
