"""Exports: what may leave for training.

In: a request, and whatever consent allows at that moment.
Out: JSON Lines in object storage with a manifest of every record that is in it, and of every one that is not and why.
Never: a record without consent, or personal data that redaction would have replaced.
"""
