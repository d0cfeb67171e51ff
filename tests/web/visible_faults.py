"""Scripts that a test runs in the browser. Each returns the faults that it finds on the page."""

MIN_TEXT_PIXELS, MIN_TARGET_PIXELS = 15, 44

# Visible texts that are too small.
SMALL_TEXT = """minimum => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, parent = text.parentElement;
    if (text.data.trim() && parent.checkVisibility() && parseFloat(getComputedStyle(parent).fontSize) < minimum)
      found.push(`small text: ${text.data.trim()}`);
  }
  return found;
}"""

# Elements that move although the visitor prefers reduced motion.
MOVING = """() => [...document.querySelectorAll("*")].filter(each => {
  const style = getComputedStyle(each);
  return style.animationName !== "none" || parseFloat(style.transitionDuration) || style.scrollBehavior === "smooth";
}).map(each => `moves: ${each.outerHTML.slice(0, 80)}`)"""

# Targets that are too small for a finger. A checkbox in a label is as large as the label, which ticks it, too.
SMALL_TARGETS = """minimum => [...document.querySelectorAll(
  "button:not(.visually-hidden), .button, input:not([type=hidden]), select, textarea"
)].filter(each => each.checkVisibility() && !(["checkbox", "radio"].includes(each.type) && !each.closest("label")))
  .filter(each => (each.closest("label") ?? each).getBoundingClientRect().height < minimum)
  .map(each => `small target: ${each.outerHTML.slice(0, 80)}`)"""
