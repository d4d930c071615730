"""What the three services share: the domain, the store, and how to be a service.

Owns nothing that only one service needs. Never imports a service.
"""
