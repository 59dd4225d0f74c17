"""The only importer of typer."""
