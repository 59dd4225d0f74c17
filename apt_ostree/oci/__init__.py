"""Commits and trees as container images, and container images as commits."""
