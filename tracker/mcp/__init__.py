"""The tracker as an MCP server: the same sessions as over HTTP, for agents and emitters.

Only ``server`` imports the MCP library, which costs more memory than the tracker itself; ``mount``
brings it in with the first request.
"""
