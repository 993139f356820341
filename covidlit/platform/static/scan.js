"use strict";

// The slices of a scan, and of another one beside it: pictures that the server draws.
function addressOf(template, slice, settings) {
  return `${template.replace(/\/0\.png$/, `/${slice}.png`)}?${new URLSearchParams(settings)}`;
}

const [own, prior] = document.querySelectorAll(".viewer");
let count = Number(own.dataset.slices);
let address = own.dataset.address;
const plane = own.querySelector(".plane");
const place = own.querySelector(".place");
const chosen = { lesion: "" };

function settings() {
  const found = {
    window: own.querySelector(".window").value,
    labels: own.querySelector(".outlines").checked ? "1" : "0",
  };
  if (chosen.lesion) found.lesion = chosen.lesion;
  if (own.dataset.version) found.version = own.dataset.version;
  else if (own.dataset.disease) found.disease = own.dataset.disease;
  return found;
}

function show() {
  const slice = Number(place.value) - 1;
  own.querySelector(".slice").src = addressOf(address, slice, settings());
  own.querySelector(".where").textContent = `${slice + 1} of ${count}`;
  // The neighbours are fetched ahead, so that turning does not wait.
  for (const next of [slice + 1, slice - 1]) {
    if (next >= 0 && next < count) new Image().src = addressOf(address, next, settings());
  }
  if (plane.selectedIndex === 0) showPrior(slice);
}

// Another axis: begun in the middle, with the other scan left where it is.
function cut(index) {
  plane.selectedIndex = index;
  const option = plane.selectedOptions[0];
  address = option.value;
  count = Number(option.dataset.slices);
  place.max = String(count);
  place.value = String(Math.floor(count / 2) + 1);
}

let priorSlice = 0;
function showPrior(slice) {
  if (!prior) return;
  const picture = prior.querySelector(".slice");
  const option = prior.querySelector(".other").selectedOptions[0];
  picture.hidden = !option.value;
  if (!option.value) return;
  const slices = Number(option.dataset.slices);
  // Together: at the same part of the height.
  if (prior.querySelector(".linked").checked) {
    priorSlice = Math.round((slice / Math.max(1, count - 1)) * (slices - 1));
  }
  picture.src = addressOf(option.value, Math.min(priorSlice, slices - 1), {
    window: settings().window,
    labels: settings().labels,
    disease: own.dataset.disease,
  });
}

function turn(by) {
  place.value = String(Math.min(count, Math.max(1, Number(place.value) + by)));
  show();
}

place.addEventListener("input", show);
plane.addEventListener("change", () => {
  cut(plane.selectedIndex);
  show();
});
own.querySelector(".window").addEventListener("change", show);
own.querySelector(".outlines").addEventListener("change", show);
own.querySelector(".slice").addEventListener("wheel", (event) => {
  event.preventDefault();
  turn(event.deltaY > 0 ? -1 : 1);
}, { passive: false });
own.querySelector(".slice").addEventListener("keydown", (event) => {
  const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
  if (event.key in steps) {
    event.preventDefault();
    turn(steps[event.key]);
  }
});
for (const button of document.querySelectorAll(".show")) {
  button.addEventListener("click", () => {
    chosen.lesion = button.dataset.lesion;
    cut(0);
    place.value = String(Number(button.dataset.slice) + 1);
    show();
    own.querySelector(".slice").scrollIntoView({ block: "center" });
    own.querySelector(".slice").focus({ preventScroll: true });
  });
}
if (prior) {
  for (const name of [".other", ".linked"]) {
    prior.querySelector(name).addEventListener("change", () => showPrior(Number(place.value) - 1));
  }
}

// A correction that is being measured: the page is shown anew when it is a version.
const measured = document.querySelector("[data-state]");
async function watch(version) {
  const answer = await fetch(measured.dataset.state);
  if (!answer.ok) return;
  const now = await answer.json();
  const ended = now.state === "failed" || now.state === "cancelled";
  if (version !== undefined && (now.version !== version || ended)) {
    location.reload();
    return;
  }
  if (now.state === "waiting" || now.state === "running") setTimeout(() => watch(now.version), 2000);
}
if (measured) watch();
