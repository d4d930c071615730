"""The bare path: what this design costs with no features at all, the bound for our own figures.

Five processes as in the product (api, scheduler, dispatcher, worker, client), the product's own
messages, everything batched, lists in the store and one script per hop. No retries, no slots, no
definitions, no heartbeats, no reconnects: nothing to be used, only to be measured against.
"""
