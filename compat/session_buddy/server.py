"""``python -m session_buddy.server``, as the guide's ``.mcp.json`` names it (1.5)."""

from session_buddy.relay import main

if __name__ == "__main__":
    main()
