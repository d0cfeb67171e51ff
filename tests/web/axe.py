"""axe-core, which finds accessibility problems of a page."""

from pathlib import Path

import axe_playwright_python
from playwright.async_api import Page

_AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
# Includes rules that are off by default: WCAG level AAA, and the size of targets. Only experimental rules read
# preloaded stylesheets.
_RUN = """wantedTag => axe.run({
  preload: false,
  resultTypes: ["violations"],
  runOnly: {
    type: "rule",
    values: axe.getRules()
      .filter(({tags}) => !tags.includes("experimental") && !tags.includes("deprecated"))
      .filter(({tags}) => !wantedTag || tags.includes(wantedTag))
      .map(({ruleId}) => ruleId),
  },
})"""


async def find_violations(page: Page) -> list[str]:
    """Return the violations on the current page: of all rules in light mode, of the rules about colours in dark mode.

    The colour scheme changes nothing but colours.
    """
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_AXE)
    found = []
    for scheme, tag in (("light", None), ("dark", "cat.color")):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # a literal all the same
        results = await page.evaluate(_RUN, tag)
        found += [f"{scheme}: {each['id']}: {each['nodes'][0]['html']}" for each in results["violations"]]
    return found
