"""Consent to train: who may withhold it, what follows from that, and the only way out for what may leave.

Effective consent is the most restrictive of five layers: the installation, the tenant (in one env), the user who
brought a record in, what the record itself was declared as, and all its ancestors. Rows keep two values: the declared
one where there is one, and the effective one, which follows from the layers and is made to again whenever one of them
flips.

    gate        what the chain asks before a deed, and the labels of what is kept
    changing    opt out, opt in, give or take back consent for one record; everything below it follows at once
    following   what follows when somebody brings in the same file again and withholds it
    releasing   from a record that may leave to an `Exportable`, which nobody else can make
"""

from nexus_graph.safeguards.consent.gate import effective, refusal

__all__ = ["effective", "refusal"]
