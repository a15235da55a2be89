"""Pages of markup, HTML and XHTML alike: what a reader of the page sees, in blocks, each with the place of its source.

In: elements and texts in the order of the page, told by `html` (the rules of the HTML standard) or `xhtml` (those of
XML). Out: blocks, and word of what a reader does not see. Style sheets and scripts are not run: what only they would
hide is read.
"""
