"""Words just before a number that say that it is anything but a person's: an order, a part, a serial number."""

from __future__ import annotations

import re

_THINGS = frozenset(
    (
        "account", "accounts", "article", "articles", "asin", "barcode", "batch", "batches", "campaign",
        "case", "cases", "catalog", "catalogue", "charge", "claim", "contract", "coupon", "docket", "ean",
        "gtin", "iccid", "imei", "imsi", "invoice", "invoices", "isbn", "issn", "item", "items", "lot", "lots",
        "matrikel", "model", "mpn", "order", "orders", "p.o", "pallet", "parcel", "part", "parts", "po",
        "policy", "postcode", "product", "products", "ref", "reference", "room", "rooms", "row", "rows", "s/n",
        "serial", "serials", "shipment", "sku", "snowflake", "ticket", "tickets", "tracking", "transaction",
        "transactions", "upc", "version", "vin", "voucher", "waybill", "zip", "aktenzeichen", "artikel",
        "artikelnummer", "auftrag", "auftragsnummer", "bestellnummer", "bestellung", "kundennummer",
        "rechnung", "rechnungsnummer", "seriennummer", "steuernummer", "commande", "dossier", "facture",
        "factura", "pedido", "fattura", "ordine", "faktura", "zamówienie", "заказ", "счёт", "счет",
    )
)  # fmt: skip
_BETWEEN = frozenset(["id", "ids", "is", "n", "nos", "no", "nr", "num", "number", "numbers", "of", "was", "№"])
_REACH = 40  # characters before a number in which such a word is looked for
_SIGNS = " \u00a0\t:#=.,;°\"'(-_|"
_WORD_BACKWARDS = re.compile(r"[^\W\d_]+(?:[./][^\W\d_]+)*|№")
_WORDS = 3


def is_named_otherwise(text: str, start: int) -> bool:
    """Whether the words before `start` say that an order, a part, a serial number or the like follows."""
    before = text[max(0, start - _REACH) : start].lower()
    for _ in range(_WORDS):
        before = before.rstrip(_SIGNS)
        word = _WORD_BACKWARDS.match(before[::-1])
        named = word[0][::-1] if word else ""
        if named in _THINGS:
            return True
        if named not in _BETWEEN:
            return False
        before = before[: -len(named)]
    return False
