"""What a page must be for everybody: as wide as its window, named, readable, used by keyboard."""

from __future__ import annotations

from typing import Any

LEAST_CONTRAST, LEAST_OF_LARGE = 4.5, 3.0
"""WCAG 2.2, success criterion 1.4.3."""

_MOST_TABS = 700

_FAULTS = """
([least, leastLarge]) => {
  const faults = [];
  const name = (e) => {
    const id = e.id ? `#${e.id}` : "";
    return `<${e.tagName.toLowerCase()}${id}> ${(e.textContent || "").trim().slice(0, 30)}`;
  };
  const isSeen = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const width = document.scrollingElement.scrollWidth;
  if (width > innerWidth) {
    const wide = [...document.body.querySelectorAll("*")].filter(
      (e) => !e.closest(".wide, .skip, .hidden, .stage")
        && e.getBoundingClientRect().right > innerWidth + 1);
    const first = wide.slice(0, 3).map(name);
    faults.push(`the page is ${width} wide, its window ${innerWidth}: ${first}`);
  }
  for (const e of document.querySelectorAll(".wide")) {
    if (isSeen(e) && e.scrollWidth > e.clientWidth + 1) {
      if (e.tabIndex !== 0 || !e.getAttribute("aria-label"))
        faults.push(`cannot be scrolled by the keyboard: ${name(e)}`);
      const hint = e.previousElementSibling;
      const isHint = hint?.classList.contains("goes-on") && !hint.hidden;
      if (!isHint) faults.push(`no hint before ${name(e)}`);
    }
  }
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    const said = [...(e.labels ?? [])].map((l) => l.textContent.trim()).join("")
      || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby");
    if (!said) faults.push(`no label: ${name(e)} ${e.name}`);
  }
  for (const e of document.querySelectorAll("button, a[href], summary")) {
    const pictures = [...e.querySelectorAll("img[alt]")].map((i) => i.alt).join("");
    if (!(e.textContent.trim() || e.getAttribute("aria-label") || pictures))
      faults.push(`no name: ${name(e)}`);
  }
  for (const e of document.querySelectorAll("img")) if (!e.alt) faults.push(`no alt: ${e.src}`);
  for (const e of document.querySelectorAll("svg")) {
    const said = e.getAttribute("role") === "img" && e.getAttribute("aria-label");
    if (!said && e.getAttribute("aria-hidden") !== "true") faults.push("a drawing says nothing");
  }
  for (const e of document.querySelectorAll("thead th")) {
    if (e.scope !== "col" || !e.textContent.trim()) faults.push(`no head of a column: ${name(e)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids.filter((id, k) => ids.indexOf(id) !== k)))
    faults.push(`twice the id ${id}`);
  for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby], label[for]")) {
    for (const key of ["aria-labelledby", "aria-describedby", "for"])
      for (const id of (e.getAttribute(key) ?? "").split(" ").filter(Boolean))
        if (!document.getElementById(id)) faults.push(`${key} names nothing: ${id}`);
  }
  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
    .filter(isSeen).map((e) => Number(e.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1 || levels[0] !== 1)
    faults.push(`headings of levels ${levels}`);
  levels.forEach((level, k) => {
    if (k && level > levels[k - 1] + 1) faults.push(`a heading is left out: ${levels}`);
  });
  if (!document.title || !document.documentElement.lang) faults.push("no title or language");
  if (document.querySelectorAll("main").length !== 1) faults.push("no main part");

  // Colours as they come out on the screen: what lies on top of what, with its opacity.
  const parsed = (text) => {
    const part = text.match(/[\\d.]+/g).map(Number);
    return [part[0], part[1], part[2], part.length > 3 ? part[3] : 1];
  };
  const over = (top, below) => {
    const a = top[3];
    return [0, 1, 2].map((k) => top[k] * a + below[k] * (1 - a)).concat(1);
  };
  const paper = (e) => {
    const found = [];
    for (let at = e; at; at = at.parentElement) {
      found.push(parsed(getComputedStyle(at).backgroundColor));
      if (found.at(-1)[3] === 1) break;
    }
    return found.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const part = colour.slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const told = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const e = node.parentElement;
    if (!node.textContent.trim() || e.closest("script, style, noscript, title, option")) continue;
    if (!isSeen(e) || e.closest(":disabled")) continue;
    const style = getComputedStyle(e);
    const below = paper(e);
    const colour = parsed(e.namespaceURI.endsWith("svg") ? style.fill : style.color);
    let opacity = colour[3];
    for (let at = e; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const seen = over([...colour.slice(0, 3), opacity], below);
    const [a, b] = [light(seen), light(below)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    const key = `${e.tagName} ${e.className} ${style.color}`;
    if (ratio < (large ? leastLarge : least) && !told.has(key)) {
      told.add(key);
      faults.push(`contrast ${ratio.toFixed(2)}: ${name(e)}`);
    }
  }
  return faults;
}
"""

_MARK = """
() => {
  const can = "a[href], button, input:not([type=hidden]), select, textarea, summary, "
    + "[tabindex='0']";
  const groups = new Set();
  let n = 0;
  for (const e of document.querySelectorAll(can)) {
    if (e.disabled || !e.checkVisibility({ visibilityProperty: true })) continue;
    if (e.type === "radio") {
      if (groups.has(e.name)) continue; // one of a group is reached by Tab, the others by arrows
      groups.add(e.name);
      for (const each of document.getElementsByName(e.name)) each.dataset.reach = String(n);
    } else e.dataset.reach = String(n);
    n += 1;
  }
  document.body.tabIndex = -1;
  document.body.focus();
  return n;
}
"""

_FOCUSED = """
() => {
  const e = document.activeElement;
  const style = getComputedStyle(e);
  const box = e.getBoundingClientRect();
  const isShown = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  const inWindow = box.bottom > 0 && box.right > 0 && box.top < innerHeight
    && box.left < innerWidth;
  return [e.dataset.reach ?? null, isShown && inWindow, e.outerHTML.slice(0, 90)];
}
"""


def faults_of(page: Any) -> list[str]:
    """What is wrong with the page that a browser shows, in light colours and in dark ones."""
    found: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        told = page.evaluate(_FAULTS, [LEAST_CONTRAST, LEAST_OF_LARGE])
        found += [f"{fault} ({scheme})" if "contrast" in fault else fault for fault in told]
    page.emulate_media(color_scheme="light")
    return list(dict.fromkeys(found))


def unreached_of(page: Any) -> list[str]:
    """What can be used on the page and is not reached by Tab, or does not show that it is."""
    n = page.evaluate(_MARK)
    reached: set[str] = set()
    found: list[str] = []
    for _ in range(min(n + 40, _MOST_TABS)):
        page.keyboard.press("Tab")
        key, is_shown, html = page.evaluate(_FOCUSED)
        if key is not None and key not in reached:
            reached.add(key)
            if not is_shown:
                found.append(f"the focus is not seen on {html}")
        if len(reached) == n:
            break
    if len(reached) < min(n, _MOST_TABS):
        missing = sorted(set(map(str, range(n))) - reached, key=int)
        for key in missing[:5]:
            html = page.evaluate(f"document.querySelector('[data-reach=\"{key}\"]').outerHTML")
            found.append(f"not reached by Tab: {html[:90]}")
    return found
