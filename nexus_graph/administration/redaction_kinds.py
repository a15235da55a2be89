"""What the page of the rules says of each kind: how it is validated, and what changed since the ruleset before."""

from __future__ import annotations

VALIDATED = {
    "private_key": "PEM, PGP, SSH2 or PuTTY frame with key material; also cut short",
    "credential_url": "a password before `@` or in the query of a URL; stand-ins are left",
    "bearer_token": "`Bearer`, `Basic`, `Token`, `ApiKey` in a header, `access_token=`; plain words are left",
    "json_web_token": "the header decodes to JSON and names an algorithm (RFC 7515)",
    "secret_key": "published shapes of keys; by its name what is no stand-in or looks random; signatures of addresses",
    "email": "RFC 5321 lengths, a dotted domain; file names, versions and `git@` are left",
    "crypto_wallet": "Bitcoin and its kin: Base58Check, Bech32, Bech32m; Ethereum: EIP-55 where the case is mixed",
    "iban": "length by country and modulus 97 (ISO 13616)",
    "credit_card": "ranges and lengths of the networks and Luhn (ISO/IEC 7812); a valid EAN-13 is left",
    "birth_date": "a label beside it, and a day of the calendar from 1900 to 2099",
    "us_ssn": "areas, groups and serials that the SSA gives out; without hyphens only beside a label",
    "us_itin": "groups that the IRS gives out; without hyphens only beside a label",
    "uk_nhs": "modulus 11; unlabelled only as it is printed, in the ranges of England and Wales",
    "mac_address": "no group's address; a letter among the digits, or a label",
    "ip_address": "a valid address of somebody; version numbers and headings are left",
    "phone": "the numbering plans: `+` or `00`, United States and mobile forms, national forms after a label",
}
"""How a finding of each kind is told from what only looks like it."""

CHANGES: tuple[tuple[str, str, str], ...] = (
    (
        "`private_key`",
        "PEM and PGP frames",
        "also SSH2 and PuTTY files, and an RSA key in PKCS #8 without its frame",
    ),
    (
        "`credential_url`",
        "`user:password@`",
        "also a long key alone before `@`, and `password=` in the query of an address",
    ),
    (
        "`bearer_token`",
        "`Bearer`; `Basic` and `Token` after `:` or `=`",
        "also `ApiKey`, `=>`, quoted headers, and `access_token=`",
    ),
    (
        "`json_web_token`",
        "a header and a payload at least",
        "also unsigned with its last dot, without an encrypted key, cut in its header",
    ),
    (
        "`secret_key`",
        "36 shapes of keys",
        "158 shapes of keys; passwords, keys and tokens by their names; what signs an address",
    ),
    (
        "`email`",
        "dotted domains",
        "also a local part in quotes, `＠`, spelled out with `at` and `dot`; never `host:/path`",
    ),
    (
        "`crypto_wallet`",
        "Bitcoin, Ethereum",
        "also Litecoin, Dogecoin, Tron; not what is named a contract",
    ),
    (
        "`iban`",
        "groups of four",
        "groups of any size, and lower case",
    ),
    (
        "`credit_card`",
        "four digits at first; separators of one sort",
        "more networks, dots, six and more digits in a group; not what is named an order or a part",
    ),
    (
        "`birth_date`",
        "labels of five languages",
        "labels and months of many more languages, a place between, a label in brackets behind",
    ),
    (
        "`us_ssn`, `us_itin`",
        "with hyphens, or right after the label with spaces or nothing between",
        "also with dots, a label up to 28 characters away, or behind",
    ),
    (
        "`uk_nhs`",
        "as it is printed, or right after `NHS`",
        "also a patient or a hospital before, `NHS` behind; not what is named otherwise",
    ),
    (
        "`mac_address`",
        "one device's address with a letter",
        "any first byte but those of groups; digits alone or twelve in a row by a label",
    ),
    (
        "`ip_address`",
        "v6 without zone, from four digits on",
        "v6 with its zone, mapped, translated and embedded v4; not `fe80::/10` or chapters",
    ),
    (
        "`phone`",
        "`+`, `00`, United States, 16 countries by a label",
        "also mobile numbers in their groups, 43 countries by a label",
    ),
)
"""Kind, the ruleset before, this one."""
