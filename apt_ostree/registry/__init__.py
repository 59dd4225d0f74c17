"""Bases that are container images: what their references mean, and what a machine trusts."""

UNREACHED = "pull-failed"  # code of errors that another network may mend
