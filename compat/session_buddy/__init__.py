"""The name under which the published session emitters look for their tracker.

Finds the ``session-buddy`` command of the deployment and becomes ``session-buddy mcp stdio``. Knows
nothing of the rest of the project: it must run where nothing of it is installed.
"""
