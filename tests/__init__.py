"""The tests of apt-ostree."""
