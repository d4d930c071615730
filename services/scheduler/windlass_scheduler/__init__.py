"""The scheduler: the only service that decides who gets what, and when. Talks to nobody but the store."""
