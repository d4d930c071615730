"""Owns all that passes between this process and the engine over gRPC."""

import os

# gRPC's own handling of fork() crashes a child now and then, even one that never touches gRPC; ours is
# to refuse in the child (`ForkedClient`). gRPC reads this when it is first used.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
