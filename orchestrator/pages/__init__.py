"""Renders runbooks and tasks as Markdown pages for people. Connects to no host and runs nothing."""
