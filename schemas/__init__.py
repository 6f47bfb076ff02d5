"""Ground floor: what every file and message looks like, and where files are kept."""
