"""``python -m session_buddy``: becomes the relay of the deployment."""

from session_buddy.relay import main

if __name__ == "__main__":
    main()
