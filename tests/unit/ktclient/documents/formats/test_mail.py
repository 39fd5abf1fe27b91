"""Mails, mailboxes and saved pages: their words, and what is attached."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from ktclient.documents import document as documents
from ktclient.errors import DocumentUnusable

pytestmark = pytest.mark.each_python

DATA = Path(__file__).parents[4] / "data" / "documents"
PAGE = "<html><body><p>Dear Bob, 10<sup>6</sup> cars.<table><tr><td>Oban<td>7:30</table>"
MHT = (
    "From: <Saved by Blink>\r\nSnapshot-Content-Location: https://x.example/\r\nSubject: Tides\r\n"
    'MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="B"\r\n\r\n--B\r\n'
    "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    "<html><head><title>Tides</title></head><body><p>4 =E2=82=AC<sup>2</sup></p><img src=3Da>"
    "</body></html>\r\n--B\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    f"{'iVBORw0KGgo' * 2000}\r\n--B--\r\n"
)


def mail(subject: str = "Fähre nach Mull") -> EmailMessage:
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "Ann <ann@x.example>", "bob@x.example"
    made["Date"], made["MIME-Version"] = "Sun, 29 Nov 2026 10:00:00 +0000", "1.0"
    return made


HEADERS = (
    "Subject: Fähre nach Mull\nFrom: Ann <ann@x.example>\nTo: bob@x.example\n"
    "Date: Sun, 29 Nov 2026 10:00:00 +0000\n\n"
)


def test_a_mail_in_base64_is_its_words() -> None:
    """Of two forms the plain one; raw it is what it is."""
    made = mail()
    made.set_content("Die Fähre fährt.\n", cte="base64")
    made.add_alternative("<p>Die <b>Fähre</b> fährt.", subtype="html")
    read = documents.from_bytes(made.as_bytes(), "a.eml")
    assert read.text == f"{HEADERS}Die Fähre fährt.\n"
    assert read.read_as.startswith("mail, ") and read.read_as.endswith(" words, by ktjob")
    assert "multipart/alternative" in documents.from_bytes(made.as_bytes(), "a", raw=True).text


def test_a_page_in_a_mail_is_read_as_a_page() -> None:
    """Alone, or where the plain text only says that there is one."""
    made = mail()
    made.set_content(PAGE, subtype="html")
    expected = f"{HEADERS}Dear Bob, 10^6 cars.\n\n| Oban | 7:30 |\n| --- | --- |\n"
    assert documents.from_bytes(made.as_bytes(), "a.eml").text == expected
    both = mail()
    both.set_content("See the page.")
    both.add_alternative(PAGE + "<p>" + "Many words. " * 20, subtype="html")
    assert "10^6 cars." in documents.from_bytes(both.as_bytes(), "a.eml").text


def test_attachments_are_named_and_read_or_said() -> None:
    """By the readers of documents; other mails too; a picture is not read."""
    made, other = mail(), mail("Earlier")
    other.set_content("Before.")
    made.set_content("Now.")
    ferry = (DATA / "ferry.pdf").read_bytes()
    made.add_attachment(ferry, maintype="application", subtype="pdf", filename="ferry.pdf")
    made.add_attachment("a,b\n1,2\n", filename="times.csv")
    made.add_attachment(b"\x89PNG\r\n\x1a\n" + bytes(500), "image", "png", filename="map.png")
    made.add_attachment(b"%PDF-1.4 torn", "application", "pdf", filename="torn.pdf")
    made.add_attachment(other)
    read = documents.from_bytes(made.as_bytes(), "a.eml")
    for words in (
        "Now.",
        "## Attachment: ferry.pdf\n\nPDF, 2 pages\n\n# Fog\n\nAnn waited",
        "## Attachment: times.csv\n\na,b\n1,2",
        "[attachment: map.png, 508 bytes, not read]",
        "[attachment: torn.pdf, which is a damaged PDF",
        "## Attached mail\n\nSubject: Earlier\n",
        "Before.",
    ):
        assert words in read.text
    assert "with 5 attachments, without 2 unread attachments" in read.read_as


def test_encodings_that_are_declared_and_that_lie() -> None:
    """Old names, a wrong name, none."""
    head = "Subject: =?gb2312?B?uuzCpcPO?=\nFrom: a@x\nMIME-Version: 1.0\nContent-Type: text/plain"
    for charset, body in (
        ("; charset=gb2312", "镕红楼梦".encode("gb18030")),
        ("; charset=us-ascii", "镕红楼梦".encode()),
        ("", "镕红楼梦".encode()),
    ):
        read = documents.from_bytes(f"{head}{charset}\n\n".encode() + body, "a.eml")
        assert read.text == "Subject: 红楼梦\nFrom: a@x\n\n镕红楼梦\n"


def test_lines_that_flow_are_joined() -> None:
    """RFC 3676."""
    text = (
        "From: a@x\nMIME-Version: 1.0\nSubject: s\nContent-Type: text/plain; format=flowed\n\n"
        "One long \nline.\nNext.\n"
    )
    assert documents.from_bytes(text.encode(), "a").text.endswith("One long line.\nNext.\n")


def test_a_mailbox_is_all_its_mails() -> None:
    """Not what merely begins with From."""
    one = (
        "From a@x Sun Nov 29\nFrom: a@x\nSubject: {0}\nMessage-ID: <1>\n\n"
        "Text {0}.\nFrom here on.\n\n"
    )
    read = documents.from_bytes((one.format(1) + one.format(2)).encode(), "a.mbox")
    assert read.text.count("Subject: ") == 2 and read.text.count("From here on.") == 2
    assert "of 2 mails" in read.read_as


def test_a_saved_page() -> None:
    """Without what it shows."""
    read = documents.from_bytes(MHT.encode(), "a.mht")
    assert read.text == "# Tides\n\n4 €^2\n"
    assert read.read_as == "MHT, 4 words, without 1 picture, by markdownify"


def test_text_that_only_looks_like_a_mail_is_text() -> None:
    """Names above a text, data, and a file about mails."""
    for text in (
        "From: Ann\nTo: Bob\nSubject: ferry\n\nHello.",
        "name: x\nversion: 1\n",
        "Received: yes\n",
        "MIME-Version: 1.0\nThis is a header of mails.\nFrom: x\n\n",
    ):
        assert documents.from_bytes(text.encode(), "t").text == text


def test_a_mail_without_words_is_refused() -> None:
    """With what is missing."""
    made = mail()
    made.add_attachment(b"\x89PNG\r\n\x1a\n" + bytes(9), "image", "png", filename="map.png")
    with pytest.raises(DocumentUnusable, match=r"a\.eml contains no text, only headers"):
        documents.from_bytes(made.as_bytes(), "a.eml")


def test_mails_within_mails_end() -> None:
    """However deep."""
    text = "end"
    for number in range(60):
        text = (
            f"From: a@x\nSubject: {number}\nMIME-Version: 1.0\n"
            f"Content-Type: message/rfc822\n\n{text}"
        )
    read = documents.from_bytes(text.encode(), "a.eml")
    assert "without 1 deeply nested part" in read.read_as


@pytest.mark.parametrize("plain", [" \n", "This message is in HTML; open it in a browser.\n"])
def test_a_plain_form_without_the_words_of_the_other_hides_nothing(plain: str) -> None:
    """Programs write blanks or a remark there."""
    both = mail()
    both.set_content(plain)
    both.add_alternative("<p>The ferry leaves at 7:30 from Craignure.</p>", subtype="html")
    assert "leaves at 7:30" in documents.from_bytes(both.as_bytes(), "a.eml").text
