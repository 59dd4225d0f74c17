"""A treefile: what a base image is made of, as TOML."""

from __future__ import annotations

from apt_ostree.treefile.model import VARIANTS, Account, File, Layer, Mirror, Treefile
from apt_ostree.treefile.parser import load, parse, resolved_ref

__all__ = ["VARIANTS", "Account", "File", "Layer", "Mirror", "Treefile", "load", "parse", "resolved_ref"]
