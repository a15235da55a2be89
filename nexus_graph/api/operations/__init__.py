"""An operation on its way, whichever transport brought it.

operation                 what was asked, as it came
persisted, trusted        its document, when it was named by a digest
documents, extent, flaws  read, measured, checked against the schema
introspection, lists      what this caller may ask, and how long its lists are
costing, charging         its price, taken before anything runs
execution                 all of that in order, then its answers
"""
