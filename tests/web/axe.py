"""axe-core, which finds accessibility problems of a page."""

from pathlib import Path

import axe_playwright_python
from playwright.async_api import Page

_AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
# Includes rules that are off by default: WCAG level AAA, and the size of targets.
_RUN = """axe.run({
  resultTypes: ["violations"],
  rules: Object.fromEntries(
    axe.getRules().filter(({tags}) => !tags.includes("experimental") && !tags.includes("deprecated"))
      .map(({ruleId}) => [ruleId, {enabled: true}])
  ),
})"""


async def violations(page: Page) -> list[str]:
    """Return the violations of all rules on the current page, in light and dark mode."""
    await page.evaluate(_AXE)
    found = []
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        results = await page.evaluate(_RUN)
        found += [f"{scheme}: {each['id']}: {each['nodes'][0]['html']}" for each in results["violations"]]
    return found
