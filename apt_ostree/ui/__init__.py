"""The only importer of rich: tables, progress, JSON."""
