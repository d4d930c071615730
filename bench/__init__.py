"""The benchmark: this engine and its peers on the same machine, store and task, in one run.

README.md says how to repeat it and what each figure means. Nothing here is imported by the product.
"""
