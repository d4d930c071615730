"""The dispatcher: the only service that talks to workers. Decides nothing but what a failure means."""
