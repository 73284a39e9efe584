"""The guide says all that there is, and only what is so: every part of it against the table it speaks of."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.pages import guide as package
from app.pages.guide.body import SECTIONS, guide_body
from app.pages.guide.submissions import SUBMISSIONS, Submission
from app.pages.guide.worked import Sum, counted, worked
from micronet.architectures import architectures
from micronet.jobs import JOBS
from micronet.reference import reference
from micronet.tracks import BUILT_IN
from tests.app.pages.guide_page import UPLOAD_BYTES, guide, read

PAGES = Path(package.__file__).parents[1]


def test_sections_and_kinds_have_the_anchors_that_were_promised() -> None:
    promised = {"policies", "score", "costs", "formats", "tracks", "architectures", "jobs", "errors"}
    assert SECTIONS.keys() == promised
    assert promised | {f"settings-{kind}" for kind in JOBS} <= set(guide().ids)


def test_anchors_are_unique_and_links_to_them_lead_somewhere() -> None:
    page = guide()
    assert len(page.ids) == len(set(page.ids))
    inner = {link[1:] for link in page.links if link.startswith("#")}
    assert len(inner) > 20
    assert inner <= set(page.ids)


def test_links_of_other_pages_to_the_guide_lead_somewhere() -> None:
    text = "\n".join(path.read_text() for path in PAGES.rglob("*.html"))
    fixed = set(re.findall(r"/guide#([a-z-]+)(?=\")", text))
    assert "policies" in fixed
    assert fixed <= set(guide().ids)
    made = set(re.findall(r"/guide#([a-z]+-)\{\{", text))
    assert made == {"settings-", "error-"}


def test_the_guide_brings_no_script_and_no_style_of_its_own() -> None:
    page = guide()
    assert not {"script", "style", "iframe", "img"} & page.tags
    assert not {name for name in page.attributes if name == "style" or name.startswith("on")}


def test_tracks_are_those_given_escaped_and_with_their_numbers() -> None:
    own = BUILT_IN["digits"].model_copy(update={"name": "own", "title": "<script>alert(1)</script>", "note": "a & b"})
    page = read(guide_body((own,), False, UPLOAD_BYTES))
    assert "track-own" in page.ids
    assert not {f"track-{name}" for name in BUILT_IN} & set(page.ids)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.within["track-own"]
    assert any("sign-in" in link for link in page.links)
    assert {f"track-{name}" for name in BUILT_IN} <= set(guide().ids)
    assert not any("sign-in" in link for link in guide().links)


def test_architectures_are_there_with_every_option() -> None:
    for name, row in architectures().items():
        assert f"architecture-{name}" in guide().ids
        assert set(row.options.model_fields) <= guide().code


def test_no_architecture_is_described_from_the_middle_of_a_sentence_on() -> None:
    """The summary stands for the first sentence, which may have a full stop in a number: "section 4.2"."""
    body = guide_body(tuple(BUILT_IN.values()), True, UPLOAD_BYTES)
    described = re.findall(r'<h3 id="architecture-(\w+)">.*?<p>(.*?)</p>', body, re.DOTALL)
    assert [name for name, _ in described] == list(architectures())
    for name, text in described:
        rest = text.removeprefix(f"{architectures()[name].summary}. ")
        assert rest != text, name
        assert re.match(r"[A-Z]|$", rest), text


def test_shuffles_and_blocks_are_told_as_they_are_charged() -> None:
    text = " ".join(guide_body(tuple(BUILT_IN.values()), True, UPLOAD_BYTES).split())
    assert "a shuffle, or a selection, gives them another" in text
    assert "a bit for each element also where whole blocks are zero" in text


def test_operations_and_formats_are_there() -> None:
    facts = reference()
    named = {name for group in facts.costs for cost in group.costs for name in cost.operations}
    files = facts.checkpoints
    lists = (files.calls, files.wrappers, files.prefixes, files.storages, files.integers, facts.onnx.operations)
    named |= {name for each in lists for name in each}
    named |= {fact.name for fact in files.containers} | {limit.name for limit in (*files.limits, *facts.onnx.limits)}
    assert named <= guide().code


def arithmetic(text: str) -> float:
    """What a sum comes to, as people write it."""
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", text).replace("×", "*").replace("−", "-")
    assert re.fullmatch(r"[-+*/(), .\dmin]+", plain), text
    return float(eval(plain, {"__builtins__": {}, "min": min}))  # its letters are those of min


def sums() -> list[Sum]:
    """Every sum of the worked example."""
    of_counts = [part for row in counted(reference().examples[0]) for part in (row.multiplications, row.additions)]
    of_scores = [part for each in worked(reference()) for part in (*each.math, *each.storage, *each.totals)]
    return [*filter(None, of_counts), *of_scores]


@pytest.mark.parametrize("part", sums(), ids=lambda part: f"{part.what}: {part.text}")
def test_every_sum_comes_to_what_the_library_says(part: Sum) -> None:
    rounded = 1e-6 if part.what == "score" else 0
    assert arithmetic(part.text) == pytest.approx(part.value, rel=1e-12, abs=rounded)


def test_sums_add_up_to_the_examples() -> None:
    assert len(worked(reference())) == len(reference().examples) == 3
    for each in worked(reference()):
        assert sum(part.value for part in each.math) == each.example.math_bits
        assert sum(part.value for part in each.storage) == each.example.storage_bits
        assert each.totals[-1].value == each.example.score.total
    for example in reference().examples:
        assert [(row.multiplications, row.additions) for row in counted(example)] == [
            (row.multiplications, row.additions) for row in counted(reference().examples[0])
        ]


def test_the_bound_of_proven_accumulators_is_the_one_that_is_proven() -> None:
    """The ends of a sum, as `micronet.analysis.accumulators` has them: narrower than magnitudes times the largest."""
    text = " ".join(guide_body(tuple(BUILT_IN.values()), True, UPLOAD_BYTES).split())
    assert "between P × lowest − N × highest + bias and P × highest − N × lowest + bias" in text
    assert "magnitudes" not in text


@pytest.mark.parametrize("row", SUBMISSIONS, ids=lambda row: row.name)
def test_the_published_scores_come_from_their_totals(row: Submission) -> None:
    assert f"{row.score:.4f}" == row.published
    assert arithmetic(row.terms) == pytest.approx(row.score, rel=1e-12)


def test_making_the_guide_needs_no_torch() -> None:
    program = (
        "import sys; from app.pages.guide.body import guide_body; from micronet.tracks import BUILT_IN;"
        "guide_body(tuple(BUILT_IN.values()), True, 1); print({'torch', 'onnx', 'numpy'} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
