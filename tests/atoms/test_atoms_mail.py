"""E-mail: what a reader sees of it is in the atoms, the files are whole, and everything else is told."""

from __future__ import annotations

import base64
import json
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.atoms import kind_of
from nexus_graph.atoms.model import Limits, Reading, collect
from nexus_graph.atoms.recipes import RECIPES, mail_parts, recipe_for
from nexus_graph.scope.errors import Invalid

INPUTS = Path(__file__).parent / "inputs"
EXPECTED = json.loads((INPUTS / "EXPECTED.mail.json").read_text("utf-8"))
RECIPE = RECIPES["mail.parts"]
HEAD = b"From: anna@example.org\r\nSubject: Offer\r\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def read(data: bytes) -> Reading:
    """All that the recipe makes of a message; places are apart, in order, and tell the lengths of their texts."""
    reading = collect(RECIPE, data, {}, Limits())
    before = -1
    for ordinal, draft in enumerate(reading.drafts):
        assert draft.ordinal == ordinal
        assert draft.span.start == before + 1
        assert draft.span.end - draft.span.start == len(draft.text)
        assert draft.text.strip()
        before = draft.span.end
    places = [attachment.place for attachment in reading.attachments]
    assert len(places) == len(set(places))
    return reading


def texts(data: bytes) -> list[str]:
    """The texts after the headers."""
    return [draft.text for draft in read(data).drafts if draft.kind != "header"]


def header(data: bytes) -> list[str]:
    """The lines of the header."""
    return [line for draft in read(data).drafts if draft.kind == "header" for line in draft.text.split("\n")]


def told(data: bytes) -> set[str]:
    """What was left out, apart from technical headers."""
    return {omitted.what for omitted in read(data).left_out} - {"technical header"}


def message(body: bytes, content_type: str = "text/plain; charset=utf-8", encoding: str = "8bit") -> bytes:
    """A message of one text."""
    return HEAD + f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


def parts(*each: str, kind: str = "mixed") -> bytes:
    """A message of several parts, each with its own headers."""
    body = "".join(f"--b\n{part}\n" for part in each)
    return (HEAD.decode() + f"Content-Type: multipart/{kind}; boundary=b\n\n{body}--b--\n").encode()


@pytest.mark.parametrize("name", EXPECTED)
def test_what_a_reader_sees_of_each_input_is_in_the_atoms_or_told(name: str) -> None:
    """The kind is found, no text is missing, and what is left out is exactly what was expected."""
    data, expected = (INPUTS / name).read_bytes(), EXPECTED[name]
    for filename in (name, "unknown.bin"):
        recipe = recipe_for(kind_of(data, filename, "application/octet-stream"))
        assert recipe is not None
        assert recipe.op == expected["op"]
    reading = read(data)
    whole = "\n".join(draft.text for draft in reading.drafts)
    assert [text for text in expected["texts"] if text not in whole] == []
    assert {omitted.what for omitted in reading.left_out} == set(expected["left_out"])


def test_a_message_of_outlook_is_read_once_and_its_files_are_whole() -> None:
    """The plain form, not the HTML that says the same; picture, table and winmail.dat with their names and types."""
    reading = read((INPUTS / "mail-outlook.eml").read_bytes())
    assert [draft.kind for draft in reading.drafts] == ["header", *["paragraph"] * 3, *["attachment"] * 3]
    assert [(one.filename, one.content_type) for one in reading.attachments] == [
        ("image001.png", "image/png"),
        ("Preise übersicht.csv", "text/csv"),
        ("winmail.dat", "application/ms-tnef"),
    ]
    assert reading.attachments[1].data == b"artikel;preis\r\nzelt;120\r\n"
    assert reading.drafts[5].span.part == "attachment 'Preise übersicht.csv'"


def test_a_forwarded_message_keeps_every_byte() -> None:
    """It is not parsed and written again: line ends, folding and odd headers stay as they are."""
    inner = b"Subject:odd\r\n\tfolded \r\nX:  y\r\n\r\nbody \r\n\r\nwith a boundary --b\r\n"
    data = MIXED + b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
    [attachment] = read(data).attachments
    assert attachment.data == inner
    assert (attachment.filename, attachment.content_type) == ("odd folded.eml", "message/rfc822")
    assert texts(data) == ["odd folded.eml"]
    [whole] = read(HEAD + b"Content-Type: message/rfc822\r\n\r\n" + inner).attachments
    assert whole.data == inner


@given(
    st.lists(st.tuples(st.text("abc äß", min_size=1, max_size=9), st.binary(min_size=1, max_size=200)), max_size=4),
    st.sampled_from(["base64", "quoted-printable"]),
)
def test_whatever_is_attached_comes_out_as_it_went_in(files: list[tuple[str, bytes]], encoding: str) -> None:
    """Names and bytes of what Python's own library has written, in either transfer encoding."""
    written = EmailMessage(policy=SMTP)
    written["Subject"] = "files"
    written.set_content("text")
    for name, data in files:
        if encoding == "base64":
            written.add_attachment(data, maintype="application", subtype="octet-stream", filename=f"x{name}x.bin")
        else:
            written.add_attachment(
                data, maintype="application", subtype="octet-stream", filename=f"x{name}x.bin", cte=encoding
            )
    found = read(written.as_bytes()).attachments
    if encoding == "base64":
        assert [one.data for one in found] == [data for _, data in files]
    assert [one.filename for one in found] == [" ".join(f"x{name}x.bin".split()) for name, _ in files]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=80))
def test_a_subject_is_read_as_it_was_written(subject: str) -> None:
    """Whatever encoded words Python's own library makes of it; blanks count once."""
    written = EmailMessage(policy=SMTP)
    written["Subject"] = subject
    written.set_content("text")
    expected = " ".join(subject.split())
    assert header(written.as_bytes()) == ([f"Subject: {expected}"] if expected else [])


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        (b"=?utf-8?q?A=C3=A4?= =?utf-8?q?b?=", "Aäb"),
        (b"=?utf-8?b?w4M=?=\r\n =?utf-8?b?wqQ=?=", "Ã¤"),
        (b"=?utf-8?q?cut=C3?= =?utf-8?q?=A4?=", "cutä"),
        (b"=?utf-8?q?under_score?= and more", "under score and more"),
        (b"=?iso-8859-1?q?M=F6?= =?utf-8?q?=C3=B6?=", "Möö"),
        (b"=?utf-8*de?q?sch=C3=B6n?=", "schön"),
        (b"=?x-unknown?q?=E4?= stays", "=?x-unknown?q?=E4?= stays"),
        (b"=?utf-8?b?not base64 at all?=", None),
        (b"=?utf-8?q?Bcc=3A?=\r\n =?utf-8?q?=0D=0ABcc:_eve@example.org?=", "Bcc: Bcc: eve@example.org"),
        ("roh als UTF-8: ä".encode(), "roh als UTF-8: ä"),
        ("roh als Latin-1: ä".encode("latin-1"), "roh als Latin-1: ä"),
        (b"a\r\n b\r\n\tc", "a b c"),
        (b"nul\0here", "nul\ufffdhere"),
    ],
)
def test_encoded_words_are_decoded_and_never_break_a_line(raw: bytes, subject: str | None) -> None:
    """Blanks between two of them are none, cut characters are joined, unknown charsets stay as written."""
    lines = header(b"Subject: " + raw + b"\r\nFrom: anna@example.org\r\n\r\nx")
    assert len(lines) == 2
    if subject is not None:
        assert lines[0] == f"Subject: {subject}"


def test_headers_that_programs_show_are_one_atom_and_others_are_told() -> None:
    """In the order of the file, whatever their case, repeated ones each; a line that is none is told."""
    data = (
        b"received: by x\r\nTO: a@example.org\r\nfrom: b@example.org\r\nTo: c@example.org\r\nX-Spam: no\r\n"
        b"Cc: friends: d@example.org, e@example.org;\r\n: no name\r\n\r\nHi\r\n"
    )
    assert header(data) == [
        "To: a@example.org",
        "From: b@example.org",
        "To: c@example.org",
        "Cc: friends: d@example.org, e@example.org;",
    ]
    assert told(data) == {"damaged header"}
    [technical, _] = sorted(read(data).left_out, key=lambda one: one.count, reverse=True)
    assert technical.places == ("received", "X-Spam")
    assert RECIPE.leaves_out["technical header"].intended


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "expected", "what"),
    [
        (b"Gr\xc3\xbc\xc3\x9fe", "text/plain; charset=utf-8", "8bit", "Grüße", None),
        (b"Gr\xfc\xdfe", "text/plain; charset=iso-8859-1", "8bit", "Grüße", None),
        (b"Gr\xc3\xbc\xc3\x9fe", "text/plain; charset=us-ascii", "8bit", "Grüße", None),
        (b"Gr\xfc\xdfe", "text/plain", "8bit", "Grüße", None),
        (b"Gr\xfc\xdfe \x81", "text/plain", "8bit", "Grüße \ufffd", "undecodable text"),
        (b"Gr\xfc\xdfe", "text/plain; charset=x-mystery", "8bit", "Grüße", "unknown charset"),
        (b"plain", "text/plain; charset=x-mystery", "8bit", "plain", None),
        (b"\x1b$B;~\x1b(B", "text/plain; charset=ISO-2022-JP", "7bit", "時", None),
        (b"Hi +AOQ-", "text/plain; charset=utf-7", "7bit", "Hi ä", None),
        (b"bad +2AA- end", "text/plain; charset=utf-7", "7bit", "bad \ufffd end", "undecodable text"),
        (b"a\0b", "text/plain", "8bit", "a\ufffdb", "undecodable text"),
        (b"Preis =3D 5=\r\n Euro", "text/plain", "quoted-printable", "Preis = 5 Euro", None),
        (b"R3LDvMOfZQ==", "text/plain; charset=utf-8", "BASE64 ", "Grüße", None),
        (b"R3LDvMOfZQ", "text/plain; charset=utf-8", "base64", "Grüße", None),
        (b"SGkg\r\n*R3Jf*\r\n", "text/plain", "base64", "Hi Gr_", "damaged part"),
        (b"SGkA", "text/plain", "base64", "Hi\ufffd", "undecodable text"),
        (b"SGk=IQ==", "text/plain", "base64", "Hi!", None),
        (b"SGkgd", "text/plain", "base64", "Hi", "damaged part"),
        (b"left alone", "text/plain", "x-pressed", "left alone", "unknown encoding"),
        (b"<p>Gr\xfc\xdfe</p>", "text/html; charset=iso-8859-1", "8bit", "Grüße", None),
        (b"<meta charset=koi8-r><p>\xc1</p>", "text/html", "8bit", "а", None),
        (b"<p>Gr\xc3\xbc\xc3\x9fe</p><meta charset=koi8-r>", "text/html; charset=utf-8", "8bit", "Grüße", None),
        (b"<p>\x81</p>", "text/html", "8bit", "\ufffd", "undecodable text"),
    ],
)
def test_a_text_is_decoded_or_it_is_told(
    body: bytes, kind: str, encoding: str, expected: str, what: str | None
) -> None:
    """Whatever charset and transfer encoding are declared, and whether they are right."""
    data = message(body, kind, encoding)
    assert texts(data) == [expected]
    assert told(data) == ({what} if what else set())
    if what:
        assert not RECIPE.leaves_out[what].intended


def test_flowed_text_has_its_paragraphs_back() -> None:
    """Soft breaks are undone within one depth of quotation; stuffed blanks go, a signature mark is no soft break."""
    body = "one \ntwo\n\n> q \n> r\n>> s \n> t\n>stuffed\n From here\n-- \nname"
    kind = "text/plain; format=flowed"
    assert texts(message(body.encode(), kind)) == [
        "one two",
        "> q r\n>> s \n> t\n> stuffed\nFrom here\n-- \nname",
    ]
    assert texts(message(b"ein \nwort", f"{kind}; delsp=yes")) == ["einwort"]
    assert texts(message(b"one \ntwo")) == ["one \ntwo"]


PLAIN = "Content-Type: text/plain\n\nThe price is 90."


@pytest.mark.parametrize(
    ("forms", "expected", "what"),
    [
        ((PLAIN, "Content-Type: text/html\n\n<p>The price is <b>90</b>."), ["The price is 90."], {"other form"}),
        (
            (PLAIN, "Content-Type: text/html\n\n<p>The price is 100."),
            ["The price is 90.", "The price is 100."],
            set(),
        ),
        ((PLAIN, "Content-Type: text/html\n\n<p>The price is 90. More."), ["The price is 90. More."], {"other form"}),
        (("Content-Type: text/plain\n\n  ", "Content-Type: text/html\n\n<p>All."), ["All."], set()),
        ((PLAIN, PLAIN), ["The price is 90."], {"other form"}),
        ((PLAIN, "Content-Type: text/html\n\n<p>the PRI&shy;CE is 90"), ["The price is 90."], {"other form"}),
    ],
)
def test_one_of_two_forms_is_read_where_it_says_all(
    forms: tuple[str, ...], expected: list[str], what: set[str]
) -> None:
    """The plain one where HTML says no more; HTML where it does; both where each has words of its own."""
    data = parts(*forms, kind="alternative")
    assert texts(data) == expected
    assert told(data) == what
    assert RECIPE.leaves_out["other form"].intended


def test_files_inside_a_form_that_is_passed_over_are_kept() -> None:
    """The picture of the HTML form and the calendar beside it: attachments, whichever text is read."""
    picture = "Content-Type: image/png\nContent-ID: <a>\nContent-Transfer-Encoding: base64\n\niVBORw=="
    related = (
        f"Content-Type: multipart/related; boundary=r\n\n--r\nContent-Type: text/html\n\n<p>Hi.\n--r\n{picture}\n--r--"
    )
    calendar = "Content-Type: text/calendar; charset=utf-8; method=REQUEST\n\nBEGIN:VCALENDAR"
    reading = read(parts("\nHi.", related, calendar, kind="alternative"))
    assert [draft.text for draft in reading.drafts][1:] == ["Hi."]
    assert [(one.filename, one.content_type) for one in reading.attachments] == [
        ("attachment-1.png", "image/png"),
        ("attachment-2.ics", "text/calendar; charset=utf-8"),
    ]
    assert [one.place for one in reading.attachments] == ["attachment 1", "attachment 2"]


def test_a_text_with_a_name_is_a_file_and_one_without_is_read() -> None:
    """Footers of mailing lists and text between pictures belong to the body; named or marked texts are files."""
    data = parts(
        "\nBody.",
        'Content-Type: text/plain; name="notes.txt"\n\nNotes.',
        "Content-Disposition: attachment\n\nMarked.",
        "Content-Disposition: inline\n\nFooter.",
    )
    assert texts(data) == ["Body.", "notes.txt", "Footer."]
    assert [one.data for one in read(data).attachments] == [b"Notes.", b"Marked."]


def test_what_nothing_reads_is_told() -> None:
    """S/MIME, winmail.dat, bodies elsewhere, PGP in a text; signatures are for programs."""
    smime = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\nMIAG"
    assert told(parts(smime)) == {"encrypted part"}
    assert told(parts("Content-Type: application/ms-tnef; name=winmail.dat\n\nx")) == {"packed by Outlook"}
    assert told(parts("Content-Type: message/external-body; access-type=URL\n\nContent-Type: image/png\n")) == {
        "content elsewhere"
    }
    armour = message(b"Hi.\n\n-----BEGIN PGP MESSAGE-----\nabc\n-----END PGP MESSAGE-----\n")
    assert told(armour) == {"encrypted part"}
    assert texts(armour)[1].startswith("-----BEGIN PGP MESSAGE-----")
    signed = parts("\nHi.", "Content-Type: application/pgp-signature; name=signature.asc\n\nx", kind="signed")
    assert (told(signed), texts(signed)) == ({"signature"}, ["Hi."])
    assert read(signed).attachments == []
    empty = parts("Content-Type: application/pdf; name=a.pdf\n\n")
    assert (told(empty), read(empty).attachments, texts(empty)) == ({"empty attachment"}, [], ["a.pdf"])


@pytest.mark.parametrize(
    ("data", "expected", "what"),
    [
        (HEAD + b"Content-Type: multipart/mixed\r\n\r\nAll in one.", ["All in one."], {"damaged part"}),
        (MIXED + b"No boundary ever comes.", ["No boundary ever comes."], {"damaged part"}),
        (MIXED + b"--b\r\n\r\nNo end.", ["No end."], {"cut off"}),
        (MIXED + b"before\r\n--b\r\n\r\nx\r\n--b--\r\nafter", ["x"], {"text around parts"}),
        (HEAD + b"no separator at all\r\nmore", ["no separator at all\nmore"], set()),
        (HEAD.replace(b"\r\n", b"\n") + b"\nline feeds\n", ["line feeds"], set()),
        (HEAD.replace(b"\r\n", b"\r") + b"\rcarriage returns\r", ["carriage returns"], set()),
        (b"Subject: only headers\r\n\r\n", [], set()),
        (HEAD + b"Content-Type: nonsense\r\n\r\nText.", ["Text."], set()),
        (HEAD + b"Content-Type: text/plain; charset*9*9=x; charset*0*=''%\r\n\r\nText.", ["Text."], set()),
    ],
)
def test_a_damaged_message_is_read_and_told(data: bytes, expected: list[str], what: set[str]) -> None:
    """As mail programs take it."""
    assert texts(data) == expected
    assert told(data) == what


@pytest.mark.parametrize(
    ("parameter", "filename", "shown"),
    [
        ('filename="a b.txt"', "a b.txt", "a b.txt"),
        ("filename*=utf-8''%C3%A4.txt", "ä.txt", "ä.txt"),
        ("filename*0=a; filename*1=b.txt", "ab.txt", "ab.txt"),
        ('filename="=?utf-8?q?=C3=A4.txt?="', "ä.txt", "ä.txt"),
        ('filename="C:\\\\secret\\\\x.txt"', "x.txt", None),
        ('filename="../../etc/passwd"', "passwd", "../../etc/passwd"),
        ('filename="a\u202egpj.exe"', "a gpj.exe", "a gpj.exe"),
        (f'filename="{"x" * 400}.txt"', f"{'x' * 196}.txt", f"{'x' * 400}.txt"),
        ("filename*=x-none''%ff", None, None),
        ('filename="  "', "attachment-1.bin", None),
        (f"filename*{'1' * 5000}*=a", "attachment-1.bin", None),
        ('filename="Übersicht.csv"', "Übersicht.csv", "Übersicht.csv"),
    ],
)
def test_a_file_has_the_name_that_it_was_given(parameter: str, filename: str | None, shown: str | None) -> None:
    """Of whatever notation, without folders and control characters; one of its own where nothing is left."""
    reading = read(parts(f"Content-Type: application/octet-stream\nContent-Disposition: attachment; {parameter}\n\nx"))
    [attachment] = reading.attachments
    if filename is not None:
        assert attachment.filename == filename
    if shown is not None:
        assert reading.drafts[-1].text == shown


def test_equal_names_are_told_apart() -> None:
    """By a number in their place; both are kept."""
    same = "Content-Disposition: attachment; filename=a.bin\n\n"
    reading = read(parts(f"{same}1", f"{same}2"))
    assert [(one.filename, one.place, one.data) for one in reading.attachments] == [
        ("a.bin", "attachment 'a.bin'", b"1"),
        ("a.bin", "attachment 'a.bin' (2)", b"2"),
    ]


def test_a_box_has_its_messages_one_after_the_other() -> None:
    """Each with its number in every place; a line of a text that begins with From is no message."""
    data = (INPUTS / "mail-box.mbox").read_bytes()
    assert [draft.span.part for draft in read(data).drafts] == [
        "message 1, header",
        "message 1, body",
        "message 2, header",
        "message 2, body",
    ]
    assert texts(data)[0] == "Hallo,\nFrom hier an wird gequotet."
    single = b"From anna@example.org Mon Jun  1 10:00:00 2026\n" + HEAD + b"\r\nHi.\n\nFrom the desk of Anna\n"
    assert [draft.span.part for draft in read(single).drafts] == ["header", "body", "body"]
    forwarded = HEAD + b"\r\nSee:\n\nFrom anna@example.org Mon Jun  1 10:00:00 2026\nSubject: x\n"
    assert len(texts(forwarded)) == 2


def test_what_has_no_headers_is_no_message() -> None:
    """Text under a wrong name is refused, not half read."""
    for data in (b"", b"\r\n", b"just a text\r\n", b"\x00\x01\x02"):
        with pytest.raises(Invalid, match="it has no headers"):
            read(data)


def test_parts_are_bounded_in_number_and_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after the last attachment that is kept is told; parts within parts within parts are refused."""
    monkeypatch.setattr(mail_parts, "MOST_ATTACHMENTS", 3)
    many = parts(*[f"Content-Type: image/png\n\n{number}" for number in range(5)])
    reading = read(many)
    assert [one.data for one in reading.attachments] == [b"0", b"1", b"2"]
    [omitted] = [one for one in reading.left_out if one.what == "too many attachments"]
    assert omitted.places == ("attachment 4", "attachment 5")
    nested = HEAD
    for level in range(150):
        nested += f"Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n".encode()
    for data in (nested, nested * 20):
        with pytest.raises(Invalid, match="nested more than 100 deep"):
            read(data)


def test_outlooks_own_format_is_told_as_a_kind_that_nothing_reads() -> None:
    """A msg file is no eml."""
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "__properties_version1.0".encode("utf-16-le")
    kind = kind_of(old, "offer.msg", "application/octet-stream")
    assert kind.media_type == "application/vnd.ms-outlook"
    assert recipe_for(kind) is None


def test_no_more_comes_out_of_a_file_than_was_in_it() -> None:
    """Attachments add up to less than the message, whatever the encoding."""
    data = parts(
        "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n" + base64.b64encode(b"x" * 999).decode()
    )
    reading = read(data)
    assert sum(len(one.data) for one in reading.attachments) < len(data)
    with pytest.raises(Invalid, match="more than 0 attachments"):
        collect(RECIPE, data, {}, Limits(attachments=0))
