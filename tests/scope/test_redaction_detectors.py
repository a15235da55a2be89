"""What is personal data or a secret, exactly where it begins and ends, and what only looks like it."""

from __future__ import annotations

import pytest

from nexus_graph.scope.redaction import find, redact_text

# Provider keys are written in two parts, so that scanners don't take this file for a leak.
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKc=\n-----END RSA PRIVATE KEY-----"
PEM_WITH_HEADERS = PEM.replace("MII", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\nMII", 1)
PGP = (
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2 (GNU/Linux)\n\nlQOYBFuTz0gBCADKxZ1\n=aB3d\n"
    "-----END PGP PRIVATE KEY BLOCK-----"
)
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + "dBjftJeZ4CVP-mB92K27uhbUJU1p1r"

POSITIVES = [
    # e-mail
    ("write to «email:john.doe+list@example.co.uk», please"),
    ("John Doe <«email:john@example.com»>"),
    ("«email:john@example.com»."),
    ("(«email:john@example.com»)"),
    ("'«email:john@example.com»'"),
    ("_«email:john@example.com»_"),
    ("mailto:«email:a@b.io»?subject=hello"),
    ("«email:o'brien@example.org»"),
    ("«email:müller@bücher.de»"),
    ("«email:иван@почта.рф»"),
    ("请联系«email:john@example.com»谢谢"),
    ("«email:john@example.com»-2024"),
    ("«email:a@b.co»;«email:c@d.co»"),
    ("«email:x@xn--bcher-kva.xn--p1ai»"),
    # phone
    ("call «phone:+1 212 555 1234» 2024"),
    ("«phone:+1 212-555-1234»"),
    ("call «phone:+1-555-123-4567»."),
    ("«phone:+14155552671»"),
    ("(«phone:+44 (0)20 7946 0958»)"),
    ("«phone:+44 7700 900123»"),
    ("Tel.«phone:+49 30 901820», Berlin"),
    ("«phone:+33 1 23 45 67 89»"),
    ("«phone:(212) 555-1234»)"),
    ("«phone:212-555-1234»x12"),
    ("«phone:212.555.1234» ext. 5"),
    ("«phone:212‑555‑1234»"),
    ("«phone:212 555-1234»"),
    ("«phone:1-800-555-1234»"),
    ("phone: «phone:212 555 1234»"),
    # cards
    ("«credit_card:4111111111111111»,12/27"),
    ("«credit_card:4111 1111 1111 1111» 123"),
    ("«credit_card:4111-1111-1111-1111»"),
    ("«credit_card:4111\u00a01111\u00a01111\u00a01111»"),
    ("卡«credit_card:5555555555554444»。"),
    ("«credit_card:2223003122003222»"),
    ("«credit_card:3782 822463 10005»"),
    ("«credit_card:378282246310005»"),
    ("«credit_card:30569309025904»"),
    ("«credit_card:6011111111111117»"),
    ("«credit_card:3530111333300000»"),
    ("«credit_card:6200000000000005»"),
    ("«credit_card:4222222222222»"),
    # IBAN
    ("«iban:DE89 3704 0044 0532 0130 00» EUR"),
    ("«iban:DE89370400440532013000»."),
    ("IBAN:«iban:GB29 NWBK 6016 1331 9268 19»"),
    ("«iban:NO9386011117947»"),
    ("«iban:MT84MALT011000012345MTLCAST001S»"),
    # social security numbers
    ("«us_ssn:123-45-6789»."),
    ("SSN «us_ssn:123456789»"),
    ("Social Security Number: «us_ssn:123 45 6789»"),
    # IP addresses
    ("«ip_address:10.1.2.3»:8080"),
    ("http://«ip_address:8.8.4.4»/path"),
    ("«ip_address:192.168.1.0»/24"),
    ("«ip_address:203.0.113.7»."),
    ("«ip_address:10.0.0.1»-«ip_address:10.0.0.5»"),
    ("ip=«ip_address:93.184.216.34»"),
    ("«ip_address:2001:db8::1»: refused"),
    ("[«ip_address:2001:db8:85a3::8a2e:370:7334»]:443"),
    ("«ip_address:fe80::1ff:fe23:4567:890a%eth0» is a neighbour"),
    # URLs with credentials
    ("postgres://«credential_url:user:p4ss»@db.example.com:5432/d?e=f#g"),
    ("postgres://«credential_url:user:p@ss»@db/d"),
    ("redis://«credential_url::pw123»@cache"),
    ("(https://«credential_url:user:p4ss»@example.com)"),
    # bearer tokens
    ("Authorization: Bearer «bearer_token:abc.def123GHI-456»."),
    (f"authorization: bearer «bearer_token:{JWT}»"),
    ('"Authorization": "Basic «bearer_token:dXNlcjpwYXNzd29yZA==»"'),
    # provider keys
    ("key=«secret_key:" + "AKIA" + "IOSFODNN7EXAMPLE»;"),
    ("aws_secret_access_key = «secret_key:" + "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY»"),
    ("«secret_key:" + "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345»."),
    ("«secret_key:" + "github_pat_" + "11ABCDEFG0123456789_abcdefghijkl»"),
    ("«secret_key:" + "glpat-" + "0123456789abcdefghij»"),
    ("«secret_key:" + "xoxb-" + "123456789012-abcdefABCDEF»"),
    ("https://hooks.slack.com/services/«secret_key:" + "T00000000/B00000000/" + "X0X0X0X0X0X0X0X0X0X0X0X0»"),
    ("«secret_key:" + "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc»"),
    ("«secret_key:" + "AIza" + "SyA-1234567890abcdefghijklmnopqrstu»"),
    ("«secret_key:" + "sk-" + "abcdefghij0123456789ABCDEFGHIJ»"),
    ("«secret_key:" + "sk-proj-" + "abcDEF_123-xyz7890abcde»"),
    (f"token «json_web_token:{JWT}»."),
    # private keys
    (f"before\n«private_key:{PEM}»\nafter"),
    (f"«private_key:{PEM_WITH_HEADERS}»"),
    (f"«private_key:{PGP}»"),
    ('{"key": "«private_key:' + PEM.replace("\n", "\\n") + '»\\n"}'),
    ("cut: «private_key:-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkq" * 4 + "» and then it ends."),
    # people
    ("«us_itin:912-70-1234», not 912-66-1234"),
    ("ITIN: «us_itin:912701234»"),
    ("NHS number: «uk_nhs:943 476 5919»; NHS number: 943 476 5918"),
    ("patient «uk_nhs:450 557 7104» came"),
    ("DOB: «birth_date:1980-01-31», age 44"),
    ("born on «birth_date:3rd March 1975» in Rome"),
    ("Geburtsdatum: «birth_date:31.01.1980»."),
    # hardware and wallets
    ("mac «mac_address:00:1a:2b:3c:4d:5e»,"),
    ("«mac_address:001a.2b3c.4d5e»"),
    ("to «crypto_wallet:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa»."),
    ("«crypto_wallet:bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq»"),
    ("(«crypto_wallet:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed»)"),
    # phones that are no international ones
    ("call «phone:0049 30 901820»."),
    ("Tel: «phone:020 7946 0958», London"),
    ("phone: «phone:2125550123»"),
    # several in one
    ("«email:a@b.co» «phone:+14155552671» «us_ssn:123-45-6789»"),
]

TRAPS = [
    "git@github.com:owner/repository.git",
    "ssh://git@example.com/x",
    "https://john@example.com/x",
    "npm i lodash@4.17.21 @babel/core@7.1.0 x@1.2.3-beta.rc",
    "icon@2x.png logo@3x.webp getty@tty1.service",
    "user@localhost @mention a@b",
    "v1.2.3.4",
    "version 1.2.3.4",
    "Version: 1.2.3.4",
    "from version 1.2.3.4 to 1.2.3.5",
    "pkg==1.2.3.4 other>=1.2.3.4",
    "Mozilla/5.0 Chrome/120.0.0.0 Safari/537.36",
    "## 3.1.2.4 Scope of this section",
    "1.2.3 1.2.3.4.5 999.1.1.1 10.0.19041.1234 01.02.03.04",
    "127.0.0.1 0.0.0.0 255.255.255.0 ::1",
    "2020-2024 10-20 1-1-1-1-1 100 200 3000",
    "2024-01-15 15.01.2024 2024-01-15T12:30:45.123456+02:00 12:30:45",
    "1700000000 1700000000000 1700000000000000 1700000000000000000",
    "550e8400-e29b-41d4-a716-446655440000",
    "11114111-1111-4111-8111-111111111111",
    "asset_019c2f41111111111111aabbccddeeff",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "$1,234,567.89 EUR 1.234.567,89 0.4111111111111111",
    "INV-2024-001234 INV-212-555-1234 PO-123-45-6789 112-3456789-1234567",
    "EAN 4006381333931 4006381330060 SKU 100-200-30",  # the second passes the Luhn check too
    "4111 1111 1111 1112",  # wrong check digit
    "4111-1111-1111-1111-2222",  # a longer number
    "DE88 3704 0044 0532 0130 00",  # wrong check digits
    "DE89 3704 0044 0532 0130 0",  # too short
    "XX89 3704 0044 0532 0130 00",  # no such country
    "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000",
    "2125551234 123456789 555-1234",
    "+15000000 users, +100 points, 1 + 12345678",
    "ff:ff:ff:ff:ff:ff 00-11-22-33-44-55 std::vector a::b dead::beef cafe::add",
    "sk-learn-pipeline-with-a-long-name task-sk-abcdef risk-0123456789abcdefghijklm",
    "the bearer authentication-required of bad news",
    "https://user:***@example.com https://user:${PASSWORD}@example.com http://host:8080/@x",
    "look for -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY----- lines",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",  # wrong checksums
    "call (401 023 2138) in 1980-01-31, DOB: 1980-02-31, stillborn 1980-01-31",
    "[email] and [credit_card] were here",
    "",
]


def labelled(marked: str) -> tuple[str, list[tuple[str, str]]]:
    """The text without its «kind:...» marks, and what they mark."""
    pieces = [piece.split("»", 1) for piece in marked.split("«")]
    marks = [(piece[0].split(":", 1)[0], piece[0].split(":", 1)[1]) for piece in pieces[1:]]
    text = pieces[0][0] + "".join(found + piece[1] for (_, found), piece in zip(marks, pieces[1:], strict=True))
    return text, marks


@pytest.mark.parametrize("marked", POSITIVES)
def test_each_labelled_span_is_found_exactly(marked: str) -> None:
    """Kind, beginning and end are as marked, and nothing else is found: no neighbour is eaten."""
    text, marks = labelled(marked)
    assert [(finding.kind, text[finding.start : finding.end]) for finding in find(text)] == marks


@pytest.mark.parametrize("trap", TRAPS)
def test_business_text_raises_no_alarm(trap: str) -> None:
    """Ids, versions, hashes, times, prices, ranges and stand-ins stay as they are."""
    assert redact_text(trap) == trap


def test_the_rest_of_a_url_stays() -> None:
    """Only user and password go; scheme, host, port, path, query and fragment remain."""
    assert redact_text("x://u:p4ss@h:1/a?b=c#d") == "x://[credential_url]@h:1/a?b=c#d"


def test_the_earlier_kind_has_precedence() -> None:
    """A JSON Web Token after `Bearer` is a bearer token, and a key hides the digits in it."""
    assert [finding.kind for finding in find(f"Bearer {JWT}")] == ["bearer_token"]
    assert [finding.kind for finding in find("xoxb-" + "4111111111111111-abc")] == ["secret_key"]


def test_offsets_are_code_points() -> None:
    """Characters outside the basic plane count as one."""
    (finding,) = find("😀 a@b.co")
    assert (finding.start, finding.end) == (2, 8)
