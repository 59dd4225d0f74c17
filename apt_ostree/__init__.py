"""Atomic package layering for image-based Debian and Ubuntu."""

__version__ = "0.1.0"
