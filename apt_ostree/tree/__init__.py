"""What happens to an unpacked tree, one concern a file."""
