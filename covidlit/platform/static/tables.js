"use strict";

// A table that is wider than its place says that it goes on, and is scrolled by the keyboard too.
for (const place of document.querySelectorAll(".wide")) {
  const heading =
    place.querySelector("caption") ??
    place.closest("section")?.querySelector("h2") ??
    document.querySelector("h1");
  const hint = document.createElement("p");
  hint.className = "hint goes-on";
  hint.textContent = "The table goes on to the right: swipe, or arrow keys in the table.";
  hint.hidden = true;
  place.before(hint);
  const fit = () => {
    const isWide = place.scrollWidth > place.clientWidth + 1;
    hint.hidden = !isWide;
    place.classList.toggle("shaded", isWide);
    if (isWide) {
      place.tabIndex = 0;
      place.setAttribute("role", "region");
      place.setAttribute("aria-label", `Table: ${heading?.textContent.trim() ?? "data"}`);
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) place.removeAttribute(name);
    }
  };
  const watch = new ResizeObserver(fit);
  for (const each of [place, ...place.children]) watch.observe(each);
}
