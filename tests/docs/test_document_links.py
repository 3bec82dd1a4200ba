"""Every file, folder and heading that the documents name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    path
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
    if "node_modules" not in path.parts
]
SOURCES = [
    f"/{path.relative_to(ROOT)}"
    for folder in ("capabilities", "server", "docs", "examples", "tests")
    for path in (ROOT / folder).rglob("*")
    if "node_modules" not in path.parts
]

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<(?:img|source)[^>]*(?:src|srcset)=\"([^\"]+)\"")
NAMED_FILE = re.compile(r"`([A-Za-z0-9_./-]+\.(?:py|cedar|md))`")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)

OF_THE_READER = {"desk.py", "agent.py", "policy.cedar", "shop.py", "test_parcels.py"}
"""Files that a document tells its reader to write."""


def prose(document: Path) -> str:
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    broken = []
    for found in LINK.finditer(prose(document)):
        target = found[1] or found[2]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        leads_to = (document.parent / path).resolve() if path else document
        if not leads_to.exists() or (anchor and anchor not in anchors(leads_to)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_named_file_exists(document: Path) -> None:
    named = set(NAMED_FILE.findall(prose(document))) - OF_THE_READER
    assert not [name for name in named if not any(path.endswith(f"/{name}") for path in SOURCES)]


def test_every_document_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in reached:
            continue
        reached.add(document)
        for found in LINK.finditer(prose(document)):
            target = (document.parent / (found[1] or found[2]).partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists():
                waiting.append(target)
    assert not [str(path.relative_to(ROOT)) for path in DOCUMENTS if path not in reached]


def test_every_make_target_that_the_documents_name_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {name for document in DOCUMENTS for name in re.findall(r"\bmake ([a-z]+)`", document.read_text())}
    assert named
    assert named <= targets


def test_no_document_names_a_path_of_one_machine() -> None:
    for document in DOCUMENTS:
        assert not re.search(r"(?<![\w.])/(work|root|tmp|home)/", document.read_text()), document


def test_pictures_have_a_text_in_their_place() -> None:
    for document in DOCUMENTS:
        for picture in re.findall(r"<img[^>]*>", document.read_text()):
            assert re.search(r'alt="[^"]{10,}"', picture), picture
        assert not re.search(r"!\[\s*\]\(", document.read_text()), document
