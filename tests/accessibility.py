"""What axe finds wrong with a page for those who read or steer it otherwise."""

from importlib.resources import files

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
_RUN = """
const done = arguments[0], options = { resultTypes: ["violations"] };
axe.run(document, options).then(({ violations }) => done(violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.failureSummary}`))));
"""
WINDOWS = [(width, is_dark) for width in (1280, 390) for is_dark in (False, True)]


def violations(browser):
    """Return what axe objects to in the page as it is now."""
    if not browser.run("return 'axe' in window"):
        browser.run(AXE)
    return browser.driver.execute_async_script(_RUN)


def violations_in_all_windows(browser):
    """Return the same, wide and narrow, in the light and in the dark."""
    found = {}
    for width, is_dark in WINDOWS:
        browser.resize(width, 860)
        browser.dark(is_dark)
        browser.run("dispatchEvent(new Event('resize'))")
        if of_window := violations(browser):
            found[width, "dark" if is_dark else "light"] = of_window
    browser.resize(1280, 860)
    browser.dark(False)
    return found
