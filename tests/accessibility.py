"""What axe finds wrong with a page for those who read or steer it otherwise."""

from importlib.resources import files

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
_RUN = """
const done = arguments[1], options = { resultTypes: ["violations"], ...arguments[0] };
axe.run(document, options).then(({ violations }) => done(violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.failureSummary}`))));
"""
_COLOURS = {"runOnly": ["color-contrast"]}
WINDOWS = [(1280, False, {}), (1280, True, _COLOURS)]
WINDOWS += [(390, True, {}), (390, False, _COLOURS)]
"""Width, whether it is dark, and options: all rules at both widths, contrast in all."""


def violations(browser, **options):
    """Return what axe objects to in the page as it is now."""
    if not browser.run("return 'axe' in window"):
        browser.run(AXE)
    return browser.driver.execute_async_script(_RUN, options)


def violations_in_all_windows(browser):
    """Return the same, wide and narrow, in the light and in the dark."""
    found = {}
    for width, is_dark, options in WINDOWS:
        browser.resize(width, 860)
        browser.dark(is_dark)
        browser.run("dispatchEvent(new Event('resize'))")
        if of_window := violations(browser, **options):
            found[width, "dark" if is_dark else "light"] = of_window
    browser.resize(1280, 860)
    browser.dark(False)
    return found
