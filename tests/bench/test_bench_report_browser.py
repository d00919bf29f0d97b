"""The report's page in a real browser: it opens alone, and all of it can be worked.

Set DIFFC_REQUIRE_BROWSER=1 where these tests must not be skipped.
"""

from __future__ import annotations

import io
import os
import shutil
import time

import pytest
from bench_folder import CODECS, COLOURS, TARGETS, make_run
from PIL import Image

from diffc.bench.report.page import write_report
from diffc.bench.report.results import read_results
from diffc.bench.run.records import RowStore

REQUIRED = os.environ.get("DIFFC_REQUIRE_BROWSER") == "1"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 375, "height": 812}
ORIGINAL = -1
DDCM, AVIF, SHRUNK, WEBP = range(len(CODECS))


def found_browser():
    """Return Chromium's path, or skip; fail instead where a browser is required."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        path, reason = None, "playwright is not installed"
    else:
        reason = "there is no chromium here"
    if path is None and REQUIRED:
        pytest.fail(f"{reason}, and DIFFC_REQUIRE_BROWSER=1 asks for it")
    if path is None:
        pytest.skip(reason)
    return path


@pytest.fixture(scope="module")
def browser():
    path = found_browser()
    pytest.importorskip("jinja2")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("run"), fails=("first", "avif", TARGETS[0]))
    return write_report(read_results(folder)).resolve().as_uri()


@pytest.fixture
def opened(browser, url):
    """Open a page; when the test ends, it must have been quiet and alone."""
    contexts, faults = [], []

    def open_page(address=url, viewport=None, **options):
        context = browser.new_context(viewport=viewport or WIDE, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))

        def note_request(request):
            if request.url != address and not request.url.startswith("data:"):
                faults.append(f"request: {request.url}")

        page.on("request", note_request)
        page.goto(address)
        wait_until(
            page,
            "() => [...document.querySelectorAll('.layer img')].every((each) => each.complete)",
        )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(opened):
    return opened()


def wait_until(page, function, *arguments):
    """Wait until a function of JavaScript is true.

    Playwright's own wait evaluates text inside the page, which the page's policy does not allow.
    """
    for _ in range(500):
        if page.evaluate(function, *arguments):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"this does not come true: {function}")


def value(page):
    return int(page.locator("#divider").get_attribute("aria-valuenow"))


def clipped(page):
    """Return the share of the stage that shows the left picture, in per cent."""
    style = page.locator("#left-layer").evaluate("each => getComputedStyle(each).clipPath")
    # inset(0 calc(100% - 30%) 0 0) comes back with its sum done
    return 100 - float(style.split()[1].removesuffix("%"))


def choose(page, side, codec):
    page.locator(f"input[name={side}][value='{codec}']").check()


def colour_at(page, side):
    """Return the colour of a side's picture in the square that tells the codec, as drawn."""
    return tuple(
        page.evaluate(
            """async (side) => {
              const image = document.getElementById(`${side}-picture`);
              await image.decode();
              const canvas = document.createElement("canvas");
              canvas.width = image.naturalWidth;
              canvas.height = image.naturalHeight;
              const context = canvas.getContext("2d");
              context.drawImage(image, 0, 0);
              return [...context.getImageData(16, 16, 1, 1).data].slice(0, 3);
            }""",
            side,
        )
    )


def shot_at(page, x, y):
    """Return the colour on the screen at a place of the stage, in pixels of the picture."""
    box = page.locator("#right-picture").bounding_box()
    scale = box["width"] / page.locator("#right-picture").evaluate("each => each.naturalWidth")
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        place = (int(box["x"] + (x + 0.5) * scale), int(box["y"] + (y + 0.5) * scale))
        return shot.convert("RGB").getpixel(place)


def test_the_page_opens_with_two_codecs_side_by_side(page):
    assert page.title() == "Image codecs at equal bytes"
    assert (value(page), clipped(page)) == (50, 50)
    assert colour_at(page, "right") == COLOURS[DDCM]
    assert colour_at(page, "left") == COLOURS[AVIF]
    assert page.locator("#theme").is_visible()
    assert page.locator("#charts svg").count() == 4


def test_the_divider_moves_by_mouse(page):
    stage = page.locator("#stage").bounding_box()
    y = stage["y"] + 30
    page.mouse.move(stage["x"] + stage["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(stage["x"] + stage["width"] * 0.25, y, steps=4)
    page.mouse.up()
    assert value(page) == 25
    assert clipped(page) == pytest.approx(25, abs=0.2)
    page.mouse.click(stage["x"] + stage["width"] * 0.8, y)
    assert value(page) == 80


def test_the_divider_moves_by_keyboard(page):
    divider = page.locator("#divider")
    divider.focus()
    for key, expected in [
        ("ArrowRight", 51),
        ("ArrowLeft", 50),
        ("ArrowUp", 51),
        ("ArrowDown", 50),
        ("PageUp", 60),
        ("PageDown", 50),
        ("Home", 0),
        ("ArrowLeft", 0),
        ("End", 100),
    ]:
        page.keyboard.press(key)
        assert value(page) == expected
        assert clipped(page) == pytest.approx(expected, abs=0.01)
    assert divider.get_attribute("aria-valuetext") == (
        "100 %: avif to the left, ddcm:steps=2 to the right"
    )


def test_the_divider_decides_which_picture_is_seen(page):
    # the square is in the left half of the picture
    assert shot_at(page, 16, 16) == COLOURS[AVIF]
    page.locator("#divider").focus()
    page.keyboard.press("Home")
    assert shot_at(page, 16, 16) == COLOURS[DDCM]


def test_each_codec_shows_its_own_picture(page):
    for codec in (SHRUNK, WEBP, DDCM, AVIF):
        choose(page, "right", codec)
        assert colour_at(page, "right") == COLOURS[codec]
        choose(page, "left", codec)
        assert colour_at(page, "left") == COLOURS[codec]
        assert shot_at(page, 16, 16) == COLOURS[codec]
    choose(page, "left", ORIGINAL)
    assert colour_at(page, "left") not in COLOURS
    assert "18,432 raw" in page.locator("#facts").inner_text()


def test_keys_choose_codecs_and_sides(page):
    page.locator("#divider").focus()
    page.keyboard.press("4")
    assert colour_at(page, "right") == COLOURS[WEBP]
    page.keyboard.press("Shift+Digit3")
    assert colour_at(page, "left") == COLOURS[SHRUNK]
    page.keyboard.press("s")
    assert colour_at(page, "left") == COLOURS[WEBP]
    assert colour_at(page, "right") == COLOURS[SHRUNK]
    page.keyboard.press("0")
    assert colour_at(page, "right") not in COLOURS
    # there is no ninth
    page.keyboard.press("9")
    assert colour_at(page, "right") not in COLOURS


def test_another_image_and_another_target(page, url):
    assert page.locator("#right-picture").evaluate("each => each.naturalWidth") == 96
    page.locator("#divider").focus()
    page.keyboard.press("]")
    assert page.locator("#image").input_value() == "1"
    colour_at(page, "right")
    assert page.locator("#right-picture").evaluate("each => each.naturalWidth") == 64
    page.keyboard.press("]")
    assert page.locator("#image").input_value() == "0"
    page.locator("#image").select_option("second")
    colour_at(page, "right")
    assert page.locator("#right-picture").evaluate("each => each.naturalWidth") == 64
    before = page.locator("#right-picture").get_attribute("src")
    page.locator("#divider").focus()
    page.keyboard.press(",")
    assert page.locator("input[name=target][value='0']").is_checked()
    assert page.locator("#right-picture").get_attribute("src") != before


def test_what_is_shown_is_said_with_its_real_bytes(page):
    facts = page.locator("#facts")
    assert facts.locator(".fact").nth(1).inner_text().split() == [
        "File,", "bytes", "Left", "767", "Right", "768",
    ]  # fmt: skip
    page.locator("#divider").focus()
    page.keyboard.press(",")
    assert (
        "avif has no picture here: the codec has no mind to"
        in page.locator("#missing").inner_text()
    )
    page.keyboard.press("Shift+Digit4")
    assert "(over)" in facts.inner_text()
    assert page.locator("#missing").is_hidden()


def test_zoom_and_place(page):
    level = page.locator("#zoom-level")
    assert level.inner_text() == "800 %"
    page.locator("#zoom-in").click()
    assert level.inner_text() == "1600 %"
    picture = page.locator("#right-picture")
    assert picture.evaluate("each => getComputedStyle(each).imageRendering") == "pixelated"
    stage = page.locator("#stage").bounding_box()
    middle = (stage["x"] + stage["width"] * 0.7, stage["y"] + stage["height"] / 2)
    before = picture.bounding_box()
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 50, middle[1] - 20, steps=3)
    page.mouse.up()
    after = picture.bounding_box()
    assert after["x"] - before["x"] == pytest.approx(50, abs=1)
    assert after["y"] - before["y"] == pytest.approx(-20, abs=1)
    # both pictures are in the same place
    assert page.locator("#left-picture").bounding_box() == after
    assert value(page) == 50
    page.keyboard.press("Shift+ArrowRight")
    assert picture.bounding_box()["x"] - after["x"] == pytest.approx(-40, abs=1)
    page.keyboard.press("f")
    assert level.inner_text() == "800 %"
    page.keyboard.press("+")
    page.keyboard.press("-")
    assert level.inner_text() == "800 %"
    page.mouse.dblclick(*middle)
    assert level.inner_text() == "3200 %"
    page.mouse.dblclick(*middle)
    assert level.inner_text() == "800 %"


def test_the_wheel_scrolls_until_the_picture_is_taken_hold_of(page):
    level, stage = page.locator("#zoom-level"), page.locator("#stage").bounding_box()
    page.mouse.move(stage["x"] + 100, stage["y"] + 100)
    page.mouse.wheel(0, 30)
    # the hint goes again after a while
    wait_until(page, "() => scrollY > 0 && !document.getElementById('wheel-hint').hidden")
    assert level.inner_text() == "800 %"
    page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    page.mouse.click(stage["x"] + 100, stage["y"] + 100)
    page.mouse.wheel(0, -200)
    wait_until(page, "() => document.getElementById('zoom-level').textContent !== '800 %'")
    assert page.evaluate("scrollY") == 0


def touch(session, kind, *points, **options):
    session.send(
        "Input.dispatchTouchEvent",
        {
            **options,
            "type": kind,
            "touchPoints": [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)],
        },
    )


def test_touch_moves_the_divider_and_two_fingers_zoom(opened):
    page = opened(viewport=NARROW, has_touch=True, is_mobile=True)
    page.locator("#stage").scroll_into_view_if_needed()
    stage = page.locator("#stage").bounding_box()
    x, y = stage["x"] + stage["width"] * 0.5, stage["y"] + stage["height"] * 0.3
    session = page.context.new_cdp_session(page)
    touch(session, "touchStart", (x, y))
    for step in range(1, 6):
        touch(session, "touchMove", (x + 15 * step, y))
    touch(session, "touchEnd")
    wait_until(page, "() => document.getElementById('divider').ariaValueNow > 60")
    before = page.locator("#zoom-level").inner_text()
    touch(session, "touchStart", (x - 20, y), (x + 20, y))
    for step in range(1, 6):
        touch(session, "touchMove", (x - 20 - 6 * step, y), (x + 20 + 6 * step, y))
    touch(session, "touchEnd")
    wait_until(
        page, "before => document.getElementById('zoom-level').textContent !== before", before
    )
    assert "zoomed" in page.locator("#stage").get_attribute("class")
    # and one finger moves what two have enlarged
    before, share = page.locator("#right-picture").bounding_box(), value(page)
    touch(session, "touchStart", (x - 60, y))
    for step in range(1, 6):
        touch(session, "touchMove", (x - 60 - 4 * step, y))
    touch(session, "touchEnd")
    wait_until(
        page,
        "before => document.getElementById('right-picture').getBoundingClientRect().x < before",
        before["x"],
    )
    assert value(page) == share


def test_two_taps_zoom(opened):
    page = opened(viewport=NARROW, has_touch=True, is_mobile=True)
    stage = page.locator("#stage").bounding_box()
    at = (stage["x"] + stage["width"] * 0.2, stage["y"] + stage["height"] * 0.3)
    session = page.context.new_cdp_session(page)
    for pause, expected in ((0.1, "1200 %"), (0.5, "1200 %"), (0.1, "300 %")):
        # the events say when they happened, however slow the machine is
        now = time.time()
        for seconds in (now, now + pause):
            touch(session, "touchStart", at, timestamp=seconds)
            touch(session, "touchEnd", timestamp=seconds + 0.05)
        assert page.locator("#zoom-level").inner_text() == expected


def test_curves_tell_values_and_codecs_can_be_hidden(page):
    chart = page.locator(".chart").first
    chart.scroll_into_view_if_needed()
    point = chart.locator("circle").first.bounding_box()
    page.mouse.move(point["x"] + 3, point["y"] + 3)
    assert chart.locator(".tooltip").inner_text() == "ddcm:steps=2\n22.50 dB at 0.500 bpp"
    curves = chart.locator("polyline").count()
    button = page.locator("#legend button").first
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert chart.locator("polyline").count() == curves - 1
    button.click()
    assert chart.locator("polyline").count() == curves


def test_a_tap_on_a_curve_tells_its_value(opened):
    page = opened(viewport=NARROW, has_touch=True, is_mobile=True)
    chart = page.locator(".chart").first
    chart.scroll_into_view_if_needed()
    point = chart.locator("circle").first.bounding_box()
    page.touchscreen.tap(point["x"] + 3, point["y"] + 3)
    assert "22.50 dB" in chart.locator(".tooltip").inner_text()


@pytest.mark.parametrize(("scheme", "other"), [("dark", "light"), ("light", "dark")])
def test_colours_are_those_of_the_system_until_one_chooses(opened, scheme, other):
    page = opened(color_scheme=scheme)

    def brightness():
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) / 3

    assert (brightness() < 60) == (scheme == "dark")
    button = page.locator("#theme")
    assert button.inner_text() == "Auto"
    button.click()
    assert button.inner_text() == other.title()
    assert (brightness() < 60) == (other == "dark")
    page.reload()
    assert (brightness() < 60) == (other == "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast(opened, scheme):
    page = opened(color_scheme=scheme)
    weak = page.evaluate(
        """() => {
          const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
          const parse = (text) => {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = text;
            canvas.fillRect(0, 0, 1, 1);
            const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
            return { rgb: [r, g, b], alpha: a / 255 };
          };
          const luminance = (rgb) => rgb.map((each) => each / 255)
            .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
            .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0);
          const ground = (node) => {
            for (let each = node; each; each = each.parentElement) {
              const found = parse(getComputedStyle(each).backgroundColor);
              if (found.alpha > 0.7) return found.rgb;
            }
            return [255, 255, 255];
          };
          const weak = [];
          for (const node of document.querySelectorAll("body *")) {
            const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
            if (!own || !node.checkVisibility() || node.closest("script, [disabled], svg")) continue;
            const first = luminance(parse(getComputedStyle(node).color).rgb);
            const second = luminance(ground(node));
            const ratio = (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05);
            if (ratio < 4.5) weak.push(`${node.tagName} ${node.textContent.trim()} ${ratio}`);
          }
          return weak;
        }"""
    )
    assert weak == []


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_nothing_is_wider_than_the_window(opened, width):
    page = opened(viewport={"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        """() => [...document.querySelectorAll("main *")]
          .filter((each) => !each.closest(".scroll, .layer, .divider, .hidden"))
          .filter((each) => each.checkVisibility())
          .filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5)
          .map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert wide == []


def test_everything_that_can_be_worked_has_a_name_and_can_be_reached(page):
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, [role=slider], a")]
          .filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim()
            || [...(each.labels || [])].some((label) => label.textContent.trim())))
          .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1
    images = page.locator("img")
    assert [images.nth(n).get_attribute("alt") for n in range(images.count())] == [
        "first, ddcm:steps=2",
        "first, avif",
    ]
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))
    slider = page.get_by_role("slider", name="Divider between left and right picture")
    slider.focus()
    page.keyboard.press("ArrowRight")
    outline = page.locator(".knob").evaluate("each => getComputedStyle(each).outlineStyle")
    assert outline == "solid"


def test_help_opens_and_closes_by_keyboard(page):
    page.locator("#divider").focus()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    assert dialog.is_visible()
    page.keyboard.press("ArrowRight")
    assert value(page) == 50
    page.keyboard.press("Escape")
    assert dialog.is_hidden()


def test_keys_leave_other_parts_of_the_page_alone(page):
    page.locator("#legend button").first.focus()
    page.keyboard.press("4")
    page.keyboard.press("ArrowRight")
    assert colour_at(page, "right") == COLOURS[DDCM]
    assert value(page) == 50


def test_a_page_of_one_image_one_codec_and_few_figures(opened, tmp_path):
    folder = make_run(tmp_path, images=("only",), codecs=("ddcm",), targets=(1.0,))
    page = opened(write_report(read_results(folder)).resolve().as_uri())
    assert colour_at(page, "right") == COLOURS[0]
    assert colour_at(page, "left") not in COLOURS
    assert page.locator("#image-next").is_disabled()


def test_a_page_without_any_row_opens(opened, tmp_path):
    folder = make_run(tmp_path)
    (folder / "rows.jsonl").unlink()
    page = opened(write_report(read_results(folder)).resolve().as_uri())
    assert "has no picture here" in page.locator("#missing").inner_text()


def test_hostile_texts_stay_texts_in_the_viewer(opened, tmp_path):
    hostile = "<img src=x onerror=alert(1)>"
    folder = make_run(
        tmp_path, codecs=(f"avif:{hostile}", "webp"), fails=("first", "webp", 1.0), error=hostile
    )
    rows = RowStore(folder).rows()
    (folder / "rows.jsonl").unlink()
    store = RowStore(folder)
    for row in rows:
        store.append(type(row)(**{**vars(row), "setting": hostile}))
    dialogs = []
    page = opened(write_report(read_results(folder), title=hostile).resolve().as_uri())
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    choose(page, "right", 1)
    assert hostile in page.locator("#missing").inner_text()
    choose(page, "right", 0)
    assert hostile in page.locator("#facts").inner_text()
    assert page.locator("img").count() == 2
    assert page.evaluate("document.querySelector('[src=x]')") is None
    assert dialogs == []
