"""XML of an Office archive, read without entities and without the network."""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Mapping

from lxml import etree

RELATED = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_STRICT = "{http://purl.oclc.org/ooxml/officeDocument/relationships}"


def parse(body: bytes) -> etree._Element:
    """Raises `etree.XMLSyntaxError`."""
    return etree.fromstring(
        body, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    )


def local(element: etree._Element) -> str:
    """An element's name without its namespace; "" for a comment."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def named(root: etree._Element, *names: str) -> list[etree._Element]:
    """All elements of these names in any namespace, in order; a list, so that they may be moved."""
    return [one for name in [f"{{*}}{name}" for name in names] for one in root.iter(name)]


def child(element: etree._Element, *names: str) -> etree._Element | None:
    """The descendant by a path of names, in any namespace."""
    for name in names:
        found = next((one for one in element if local(one) == name), None)
        if found is None:
            return None
        element = found
    return element


def value(element: etree._Element | None, name: str = "val") -> str | None:
    """An attribute in any namespace."""
    if element is None:
        return None
    return next(
        (str(text) for key, text in element.attrib.items() if str(key).rpartition("}")[2] == name),
        None,
    )


def is_on(element: etree._Element | None) -> bool:
    """Whether a switch of Word is there, and not off."""
    return element is not None and value(element) not in ("0", "false", "off")


def target(element: etree._Element, name: str) -> str | None:
    """The id of another part that an attribute `r:NAME` holds."""
    found = element.get(RELATED + name) or element.get(_STRICT + name)
    return None if found is None else str(found)


def texts(root: etree._Element) -> list[str]:
    """The paragraphs of DrawingML in an element that have words."""
    found = ("".join(one.text or "" for one in named(line, "t")) for line in named(root, "p"))
    return [" ".join(text.split()) for text in found if text.strip()]


def unwrap(element: etree._Element) -> None:
    """Put an element's children in its place."""
    above = element.getparent()
    if above is not None:
        place = above.index(element)
        above[place : place + 1] = list(element)


def replace(element: etree._Element, *others: etree._Element) -> None:
    """Put others in an element's place; the text behind it stays."""
    above = element.getparent()
    if above is not None:
        place = above.index(element)
        above[place : place + 1] = list(others)


def related(book: zipfile.ZipFile, part: str) -> dict[str, str]:
    """Id -> name of the part in the archive, of everything that a part refers to."""
    folder, name = posixpath.split(part)
    try:
        root = parse(book.read(f"{folder}/_rels/{name}.rels"))
    except (KeyError, etree.XMLSyntaxError):
        return {}
    found = {}
    for one in named(root, "Relationship"):
        place = str(one.get("Target", ""))
        whole = place[1:] if place.startswith("/") else posixpath.join(folder, place)
        found[str(one.get("Id"))] = posixpath.normpath(whole)
    return found


def rewritten(book: zipfile.ZipFile, changed: Mapping[str, bytes]) -> bytes:
    """The archive with other contents of some parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as made:
        for entry in book.infolist():
            if entry.filename in changed:
                made.writestr(entry.filename, changed[entry.filename])
            else:
                made.writestr(entry.filename, book.read(entry))
    return file.getvalue()
