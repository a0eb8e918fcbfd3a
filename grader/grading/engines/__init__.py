"""Who works on the parts of a run: `local`, processes of this machine; `dask`, workers of a cluster of any size.

All engines have one interface, `values.Engine`. They know nothing of what a part is, and keep nothing: what has come
out belongs to whoever asked for it. A process that dies costs its own part at most, and that only when it dies twice.
"""
