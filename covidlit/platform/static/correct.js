"use strict";

// Contours drawn over slices that the server draws. What is drawn stands in the field Points, in
// pixels of the picture, so that typing, drawing and a page without this script do the same.
const viewer = document.querySelector(".drawing");

function start() {
  const picture = viewer.querySelector(".slice");
  const canvas = viewer.querySelector(".canvas");
  const polygon = canvas.querySelector("polygon");
  const corners = canvas.querySelector(".corners");
  const place = document.getElementById("place");
  const slice = document.getElementById("slice");
  const kind = document.getElementById("kind");
  const lesion = document.getElementById("lesion");
  const field = document.getElementById("points");
  const view = document.getElementById("window");
  const count = Number(viewer.dataset.slices);
  const [, , width, height] = canvas.getAttribute("viewBox").split(" ").map(Number);
  const MOST = 900;
  const STEP = Math.min(2.5, width / 150); // pixels of the picture between points of a line
  let points = read();
  let stroke = null;

  function read() {
    const found = field.value.split(/[\s;]+/).filter(Boolean).map((word) => word.split(",").map(Number));
    return found.filter((point) => point.length === 2 && point.every(Number.isFinite));
  }

  function paint() {
    polygon.setAttribute("points", points.map((point) => point.join(",")).join(" "));
    corners.replaceChildren(...(points.length > 60 ? [] : points).map(([x, y]) => {
      const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
      dot.setAttribute("r", width / 200);
      return dot;
    }));
  }

  function keep() {
    field.value = points.map((point) => point.map((value) => value.toFixed(1)).join(",")).join(" ");
    paint();
  }

  function pointOf(event) {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    const y = ((event.clientY - box.top) / box.height) * height;
    return [Math.min(width, Math.max(0, x)), Math.min(height, Math.max(0, y))].map((v) => Math.round(v * 10) / 10);
  }

  function crosses(list) {
    const side = (a, b, c) => Math.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]));
    const next = (k) => list[(k + 1) % list.length];
    for (let i = 0; i < list.length; i += 1) {
      for (let j = i + 2; j < list.length; j += 1) {
        if (i === 0 && j === list.length - 1) continue;
        const [a, b, c, d] = [list[i], next(i), list[j], next(j)];
        if (side(a, b, c) !== side(a, b, d) && side(c, d, a) !== side(c, d, b)) return true;
      }
    }
    return false;
  }

  // A line that runs on over its own beginning ends where it meets it.
  function trim() {
    const least = Math.ceil(points.length * 0.7);
    const whole = points;
    while (points.length > Math.max(3, least) && crosses(points)) points = points.slice(0, -1);
    if (crosses(points)) points = whole;
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    stroke = { moved: false };
    points.push(pointOf(event));
    keep();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || points.length >= MOST) return;
    const [x, y] = pointOf(event);
    const last = points[points.length - 1];
    if (Math.hypot(x - last[0], y - last[1]) < STEP) return;
    stroke.moved = true;
    points.push([x, y]);
    keep();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (stroke && stroke.moved) trim();
      stroke = null;
      keep();
    });
  }
  document.getElementById("unpoint").addEventListener("click", () => { points.pop(); keep(); });
  document.getElementById("clear").addEventListener("click", () => { points = []; keep(); });
  field.addEventListener("input", () => { points = read(); paint(); });

  function show() {
    const index = Number(place.value) - 1;
    const asked = new URLSearchParams({ disease: viewer.dataset.disease, state: viewer.dataset.state, window: view.value, lesion: lesion.value });
    const addressOf = (one) => `${viewer.dataset.address.replace(/\/0\.png$/, `/${one}.png`)}?${asked}`;
    picture.src = addressOf(index);
    for (const next of [index + 1, index - 1]) {
      if (next >= 0 && next < count) new Image().src = addressOf(next);
    }
    viewer.querySelector(".where").textContent = `${index + 1} of ${count}`;
    slice.value = place.value;
    for (const here of document.querySelectorAll(".here")) here.value = place.value;
    document.querySelector("#edit [name=window]").value = view.value;
  }

  function fit() {
    for (const part of document.querySelectorAll("[data-for]")) {
      part.hidden = !part.dataset.for.split(" ").includes(kind.value);
    }
    canvas.classList.toggle("idle", !["new", "replace", "add", "cut"].includes(kind.value));
  }

  place.addEventListener("input", show);
  view.addEventListener("change", show);
  lesion.addEventListener("change", show);
  slice.addEventListener("change", () => { place.value = slice.value; show(); });
  kind.addEventListener("change", fit);
  viewer.querySelector(".turning").addEventListener("submit", (event) => event.preventDefault());
  viewer.addEventListener("wheel", (event) => {
    if (!event.target.closest(".sheet") || document.getElementById("zoom").value !== "1") return;
    event.preventDefault();
    place.value = String(Number(place.value) + (event.deltaY > 0 ? -1 : 1));
    show();
  }, { passive: false });
  document.getElementById("zoom").addEventListener("change", (event) => {
    viewer.querySelector(".stage").dataset.zoom = event.target.value;
  });
  fit();
  paint();
}

if (viewer) start();
