"""All pages for those who do not see colours, hold a mouse, or look at a screen."""

import pytest
from accessibility import violations, violations_in_all_windows
from browser import needs_browser, served
from sessions import TOKEN, open_session
from stories import write_fights
from test_report import contents_of, study_of
from view_stories import fight, scene

from mabe.io.project import Project
from mabe.viz.colours import NOTHING, OTHER_ACTION, animal_colours
from mabe.viz.report.page import render
from mabe.viz.review.server import build_app as build_review
from mabe.viz.studio.project_folder import open_project
from mabe.viz.studio.server import build_app as build_studio
from mabe.viz.studio.session import StudioSession

TAB, ENTER = "\ue004", "\ue007"


@pytest.fixture
def report(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render(contents_of(study_of(fight(), scene([(5, 9, 1)], [])))))
    browser.open(path.as_uri())
    return browser


@pytest.fixture
def review(browser, tmp_path):
    session = open_session(tmp_path / "data", tmp_path / "corrected")
    with served(
        lambda port: build_review(session, port=port, token=TOKEN), TOKEN
    ) as address:
        browser.open("about:blank")
        browser.errors()
        browser.open(address)
        browser.wait("window.mabe?.page.views && window.mabe.timeline.curves")
        yield browser
        browser.open("about:blank")  # it asks the server no more
    session.close()


@pytest.fixture
def studio(browser, tmp_path):
    write_fights(tmp_path / "p", videos=2, seconds=12, labelled=False)
    session = StudioSession.of_project(open_project(tmp_path / "p", Project()))
    session.start("read")
    with served(
        lambda port: build_studio(session, port=port, token=TOKEN), TOKEN
    ) as address:
        browser.open("about:blank")
        browser.errors()
        browser.open(address)
        browser.wait("window.mabe?.project.state?.isRead", 60)
        yield browser
        browser.open("about:blank")  # it asks the server no more
    session.close()


def requested(browser):
    """Return where the page's requests went, beside the page itself."""
    return browser.run(
        "return performance.getEntriesByType('resource').map(e => e.name).filter("
        "name => !name.startsWith(location.origin) && !/^(data|blob):/.test(name))"
    )


def tabbed(browser, most=60):
    """Return what the tab key reaches, in order, and whether its focus is seen."""
    browser.run(
        "document.body.tabIndex = -1; document.body.focus();"
        "document.body.removeAttribute('tabindex')"
    )
    places = []
    for _ in range(most):
        browser.keys(TAB)
        place, is_seen = browser.run(
            "const e = document.activeElement, s = getComputedStyle(e);"
            "const name = e.id || e.textContent.trim().slice(0, 20);"
            "return [e === document.body ? '' : name, s.outlineStyle !== 'none']"
        )
        if not place or (places and place == places[0]):
            break
        places.append(place)
        assert is_seen, place
    return places


@needs_browser
def test_axe_has_nothing_to_say_of_the_report(report):
    assert violations_in_all_windows(report) == {}
    assert requested(report) == []
    assert report.errors() == []


@needs_browser
def test_axe_has_nothing_to_say_of_the_review_page(review):
    assert violations_in_all_windows(review) == {}
    review.keys("n")  # chooses a bout
    assert violations_in_all_windows(review) == {}
    review.keys("?")
    assert violations(review) == []
    assert requested(review) == []
    assert review.errors() == []


@needs_browser
def test_axe_has_nothing_to_say_of_the_studio(studio):
    assert violations_in_all_windows(studio) == {}
    studio.run("document.getElementById('action-name').focus()")
    studio.keys("attack", ENTER)
    studio.wait("window.mabe.project.state.ethogram.length === 1")
    studio.wait("document.querySelector('#suggestions button')")
    assert violations_in_all_windows(studio) == {}
    studio.run("document.querySelector('#suggestions button').click()")
    studio.wait("!document.getElementById('suggestion').hidden")
    assert violations_in_all_windows(studio) == {}
    studio.keys("?")
    assert violations(studio) == []
    assert requested(studio) == []
    assert studio.errors() == []


@needs_browser
def test_axe_sees_what_is_wrong(report):
    report.run("document.querySelector('h1').style.color = '#eee'")
    assert any("color-contrast" in each for each in violations(report))


@needs_browser
def test_wide_tables_of_the_report_say_so_and_scroll_by_keys(report):
    report.resize(390, 860)
    report.run("dispatchEvent(new Event('resize'))")
    box = "document.querySelector('.scroll.sideways.more')"
    report.wait(box)
    told = f"return getComputedStyle({box}, '::before').content"
    assert "more columns" in report.run(told)
    report.run(f"window.box = {box}; box.focus()")
    assert report.run("return document.activeElement === box")
    report.run("box.scrollLeft = box.scrollWidth")
    report.wait("!box.classList.contains('more')")
    report.resize(1280, 860)


@needs_browser
def test_the_studio_is_walked_by_keys_alone(studio):
    studio.run("document.getElementById('action-name').focus()")
    # name, key, whom it concerns, whether it lasts, Add
    studio.keys("attack", TAB, TAB, TAB, TAB, ENTER)
    studio.wait("window.mabe.project.state.ethogram.length === 1")
    studio.wait("document.querySelector('#suggestions button')")
    reached = tabbed(studio)
    assert reached[:2] == ["to-project", "to-record"]
    assert reached.index("action-name") < reached.index("action-key")
    assert reached[-1] != "to-project"

    studio.run("document.querySelector('#table-body button').focus()")
    studio.run("await_poll = window.mabe.project.state")
    studio.wait("window.mabe.project.state !== await_poll")
    assert studio.run("return document.activeElement.textContent") == "1"
    studio.keys(ENTER)
    studio.wait("window.mabe.page.recording?.index === 0")
    assert {"play", "detail", "pair", "frame"} <= set(tabbed(studio))
    assert studio.errors() == []


@needs_browser
def test_a_chosen_bout_is_told_in_words(review):
    review.keys("n")
    told = review.run("return document.getElementById('spoken').textContent")
    assert told == "annotated: attack, 0:00.0 to 0:04.0"
    live = "return document.getElementById('spoken').getAttribute('role')"
    assert review.run(live) == "status"


def lightness_and_hue(colour):
    """Return a colour in CIE L*a*b*, from sRGB with the white D65."""
    linear = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    r, g, b = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4
        for each in linear
    )
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883
    x, y, z = (
        each ** (1 / 3) if each > 0.008856 else 7.787 * each + 16 / 116
        for each in (x, y, z)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("ground", ["on_light", "on_dark"])
def test_no_two_rows_have_colours_that_are_hard_to_tell_apart(ground):
    """The background and actions that are not predicted had nearly one grey."""
    colours = [
        lightness_and_hue(getattr(each, ground))
        for each in (NOTHING, OTHER_ACTION, *animal_colours())
    ]
    apart = [
        sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
        for at, one in enumerate(colours)
        for other in colours[:at]
    ]
    assert min(apart) > 20
