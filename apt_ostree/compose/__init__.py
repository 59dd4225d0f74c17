"""compose: from a treefile to a base commit. What is to be in it, the tree, and the commit."""
