"""The whole path in a real browser, on a real server: submit, watch, read the score, compare, find it on the board."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from micronet.jobs import JOBS
from tests.trips.browser import chromium, complaints, violations
from tests.trips.deployment import Deployment
from tests.trips.networks import write_slow

SCRIPT = "<script>document.title='attacked'</script>"
EXPECTED = {
    "kaist_v2_pr45.onnx": ("813", "0.007372"),
    "osi_60_folded.onnx": ("819", "0.007070"),
}
OWN_NORMALIZATION = {
    "kaist": ("0.5071, 0.4865, 0.4409", "0.2673, 0.2564, 0.2762"),
    "osi": ("0.5071, 0.4867, 0.4408", "0.2675, 0.2565, 0.2761"),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One for all: each test looks at jobs and entries of its own."""
    deployment = Deployment(tmp_path_factory.mktemp("server") / "home")
    deployment.start_api()
    deployment.start_worker()
    yield deployment
    deployment.stop()


@pytest.fixture
def page(browser: Browser, server: Deployment) -> Iterator[Page]:
    context = browser.new_context(base_url=server.url, reduced_motion="reduce")
    yield context.new_page()
    context.close()


def checked(page: Page) -> None:
    """As `looked_at`; a page that follows its job, and is replaced when that ends, is looked at from the start then."""
    try:
        looked_at(page)
    except Error as error:
        if "Execution context was destroyed" not in error.message:
            raise
        page.wait_for_load_state()
        looked_at(page)


def looked_at(page: Page) -> None:
    """In both themes, on a phone and on a desk: nothing for axe to find, and nothing wider than the window."""
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def submit_digits(page: Page, checkpoint: Path, name: str, bits: str | None = None) -> str:
    """Choose a file, see what it costs, queue it; the address of its job."""
    page.goto("/ui/submit?track=digits&policy=report")
    page.get_by_label("Architecture", exact=True).select_option("digits")
    page.get_by_label("Name of the entry").fill(name)
    if bits is not None:
        page.get_by_label("Weights").fill(bits)
    page.get_by_label("Checkpoint").set_input_files(checkpoint)
    page.wait_for_url("**/ui/submit?from=*")
    expect(page.get_by_text("if it reaches the floor")).to_be_visible(timeout=60_000)
    checked(page)
    page.get_by_role("button", name="Queue the score job").click()
    page.wait_for_url("**/ui/jobs/*")
    return page.url


def test_from_a_file_to_the_board(page: Page, digits: tuple[Path, str]) -> None:
    said = complaints(page)
    page.goto("/")
    checked(page)
    first = submit_digits(page, digits[0], SCRIPT)
    checked(page)
    expect(page.locator(".headline .status")).to_contain_text(
        "qualifies", timeout=60_000
    )  # by itself: the page looks again
    checked(page)
    second = submit_digits(page, digits[0], "five bits", bits="5")
    expect(page.get_by_role("heading", name="Score", exact=True)).to_be_visible(timeout=60_000)
    page.get_by_label("Compare with score").fill(first.rpartition("/")[2])
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(SCRIPT)
    checked(page)
    page.get_by_role("link", name="Jobs").click()
    checked(page)
    page.goto("/?track=digits&policy=report")
    entries = page.get_by_role("row").filter(has_text=re.compile("five bits|attacked"))
    expect(entries).to_have_count(2)
    checked(page)
    entries.first.get_by_role("link").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("five bits|script"))
    checked(page)
    assert second != first
    assert page.title() != "attacked"
    assert said == []


def test_a_dropped_file_and_faults_at_their_fields(page: Page, digits: tuple[Path, str]) -> None:
    page.goto("/ui/submit?track=digits&policy=report")
    page.get_by_label("Weights").fill("99")
    content = list(digits[0].read_bytes())
    page.evaluate(
        """(content) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(content)], 'dropped.pth'));
            document.querySelector('h1').dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true}));
        }""",
        content,
    )
    expect(page.get_by_role("alert")).to_contain_text("Weights")
    expect(page.get_by_label("Weights")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("dropped.pth is here already")).to_be_visible()
    checked(page)
    page.get_by_label("Weights").fill("9")
    page.get_by_role("button", name="What would this cost?").click()
    expect(page.locator("#counted")).to_contain_text("architecture", timeout=60_000)
    checked(page)  # a failed count says what is missing


def test_a_running_job_is_watched_and_canceled(page: Page, server: Deployment, tmp_path: Path) -> None:
    job = server.submit(
        write_slow(tmp_path / "slow.onnx", 100), '{"track": "digits", "bits": null, "policy": "challenge"}'
    )
    page.goto(job["urls"]["page"])
    server.running(job["id"])
    expect(page.get_by_text("evaluate", exact=True)).to_be_visible(timeout=60_000)
    expect(page.get_by_text("left in this stage")).to_be_visible(timeout=240_000)  # two batches, however slow
    checked(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("canceled", exact=False).first).to_be_visible(timeout=30_000)
    checked(page)
    assert server.ended(job["id"])["status"] == "canceled"


def test_by_keyboard_alone(page: Page, server: Deployment, digits: tuple[Path, str]) -> None:
    """Every control is reached by Tab in the order of the page, and the form is sent by Enter."""
    page.goto("/ui/submit")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")
    page.keyboard.press("Enter")
    reached = []
    for _ in range(80):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()")
        reached.append(name)
        if name == "Queue the score job":
            break
    assert {"checkpoint", "track", "policy", "bits/param_bits", "What would this cost?"} <= set(reached)
    page.locator("[name=checkpoint]").focus()
    page.locator("[name=checkpoint]").set_input_files(digits[0])
    page.wait_for_url("**/ui/submit?from=*")
    page.locator("[name='architecture/name']").focus()
    page.keyboard.type("digits")
    page.locator("#send").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/jobs/*")


def test_without_scripts(browser: Browser, server: Deployment, digits: tuple[Path, str]) -> None:
    context = browser.new_context(base_url=server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/ui/submit")
    page.get_by_label("Track").select_option("digits")
    page.get_by_label("Architecture", exact=True).select_option("digits")
    page.get_by_label("Checkpoint").set_input_files(digits[0])
    page.get_by_role("button", name="What would this cost?").click()
    _look_until(page, "if it reaches the floor")
    page.get_by_role("button", name="Queue the score job").click()
    _look_until(page, "qualifies")
    expect(page.get_by_role("heading", name="Where it comes from")).to_be_visible()
    page.goto("/?track=digits")
    page.get_by_role("columnheader", name="Top-1").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile("sort=top1"))
    context.close()


def test_every_form_can_be_read_and_used_by_everybody(page: Page) -> None:
    """With every group opened, on a phone; and with something wrong in fields and in JSON, everywhere."""
    said = complaints(page)
    page.set_viewport_size({"width": 390, "height": 844})
    for kind in JOBS.keys() - {"count"}:
        page.goto(f"/ui/submit?kind={kind}")
        page.evaluate("document.querySelectorAll('details').forEach(group => group.open = true)")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        unlabelled = "all => all.filter(one => !one.labels.length).map(one => one.name)"
        assert page.locator(".submit :is(input:not([type=hidden]), select, textarea)").evaluate_all(unlabelled) == []
    page.goto("/ui/submit?kind=pipeline")
    page.get_by_label("Recipe", exact=True).select_option("digits")
    page.get_by_label("Seed").fill("4")
    page.get_by_text("More settings, as JSON").first.click()
    page.get_by_label("More settings, as JSON").fill('{"seed": 5}')
    page.get_by_role("button", name="Queue the pipeline job").click()
    expect(page.get_by_role("alert")).to_contain_text("take one of the two out")
    for label in ("Seed", "More settings, as JSON"):
        expect(page.get_by_label(label, exact=True)).to_have_attribute("aria-invalid", "true")
    page.evaluate("document.querySelectorAll('details').forEach(group => group.open = true)")
    checked(page)
    assert [line for line in said if "422" not in line] == []


def test_a_network_is_trained_and_a_recipe_is_changed_without_scripts(browser: Browser, server: Deployment) -> None:
    """And the form of the first job, filled in again, means the same job."""
    context = browser.new_context(base_url=server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/ui/submit?kind=train")
    page.get_by_label("Track").select_option("digits")
    page.get_by_label("Architecture", exact=True).select_option("digits")
    page.get_by_label("Its options").fill("width=16")
    page.get_by_label("Epochs", exact=True).fill("1")
    page.get_by_text("Augmentation", exact=True).click()
    page.get_by_label("Flip").uncheck()
    page.get_by_role("button", name="Queue the train job").click()
    trained = server.ended(page.url.rpartition("/")[2])
    assert trained["status"] == "succeeded", trained["error"]
    page.goto("/ui/submit?kind=pipeline")
    page.get_by_role("link", name=re.compile("Fill in its settings ?: digits")).click()
    rest = page.get_by_label("More settings, as JSON")
    first, *_, fuse, _ = json.loads(rest.input_value())["stages"]
    rest.fill(json.dumps({"stages": [first | {"epochs": 1}, fuse]}))
    page.get_by_label("Floor", exact=True).fill("none")
    page.get_by_label("Name of the entry").fill("two stages of five")
    page.get_by_role("button", name="Queue the pipeline job").click()
    ended = server.ended(page.url.rpartition("/")[2])
    assert ended["status"] == "succeeded", ended["error"]
    assert [stage["stage"] for stage in ended["result"]["stages"]] == ["train", "fuse"]
    page.goto(f"/ui/submit?from={trained['id']}")
    page.get_by_role("button", name="Queue the train job").click()
    again = server.job(page.url.rpartition("/")[2])
    assert again["settings"] == trained["settings"]
    assert (again["settings"]["epochs"], again["settings"]["augmentation"]["flip"]) == (1, False)
    context.close()


def _look_until(page: Page, words: str) -> None:
    for _ in range(120):
        if page.get_by_text(words).count():
            return
        page.wait_for_timeout(500)
        page.get_by_role("link", name="Look again").click()
    raise AssertionError(f"{words!r} was never shown, but {page.inner_text('main')}")


@pytest.mark.slow
def test_the_published_networks(
    browser: Browser, embedded: Deployment, shared_dir: Path, few_cifar100_dir: Path
) -> None:
    """A file of each team, with the normalization it was trained with: its answers on the first 1,000 images as the
    library gives them, and its known score."""
    embedded.environment = {**embedded.environment, "MICRONET_DATA": str(few_cifar100_dir)}
    embedded.start_api()
    embedded.start_worker()
    context = browser.new_context(base_url=embedded.url)
    page = context.new_page()
    addresses = []
    for name, (correct, score) in EXPECTED.items():
        page.goto("/ui/submit")
        page.get_by_label("Name of the entry").fill(name)
        page.get_by_label("Track").select_option("few")
        page.get_by_label("Policy").select_option("challenge")
        page.get_by_label("Quantize to these widths").uncheck()
        page.get_by_text("Normalization", exact=True).click()
        mean, std = OWN_NORMALIZATION[name.partition("_")[0]]
        page.get_by_label("Mean").fill(mean)
        page.get_by_label("Standard deviation").fill(std)
        page.get_by_label("Checkpoint").set_input_files(shared_dir / "checkpoints" / name)
        expect(page.locator("#counted")).to_contain_text(score, timeout=60_000)
        page.get_by_role("button", name="Queue the score job").click()
        page.wait_for_url("**/ui/jobs/*")
        expect(page.get_by_role("region", name="Score", exact=True)).to_contain_text(correct, timeout=300_000)
        expect(page.get_by_role("region", name="Score", exact=True)).to_contain_text(score)
        addresses.append(page.url.rpartition("/")[2])
    page.goto(f"/ui/compare?a={addresses[0]}&b={addresses[1]}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("kaist_v2_pr45.onnx and osi_60_folded.onnx")
    page.goto("/?track=few&policy=challenge")
    names = page.locator("#entries ~ div a[href^='/ui/entries/']").all_inner_texts()
    assert names == ["osi_60_folded.onnx", "kaist_v2_pr45.onnx"]
    context.close()
