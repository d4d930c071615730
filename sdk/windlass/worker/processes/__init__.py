"""Children that execute for a worker: from the nursery that they are forked from to who gets which attempt.

`children` stands where a runner does in a worker without them; `nursery` and `child` are the other processes.
"""
