"""The api: the public door. Checks what comes in, stores it, and tells how it ended."""
