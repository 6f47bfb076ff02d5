"""The commands of ``mahavishnu``, by subject; each parses, calls and prints."""
