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
  showPrior();
}

// Another axis: begun in the middle.
function cut(index) {
  plane.selectedIndex = index;
  const option = plane.selectedOptions[0];
  address = option.value;
  count = Number(option.dataset.slices);
  place.max = String(count);
  place.value = String(Math.floor(count / 2) + 1);
}

// The other scan, in the same axis: at the same place of the patient, as far as both scans say where
// that is, else at the same part of the height; moved on by hand, it stays moved.
const other = { own: null, positions: null, shift: {}, slice: 0 };
const axisName = () => plane.selectedOptions[0].textContent;
const priorPlace = prior?.querySelector(".place");

async function choosePrior() {
  const wanted = prior.querySelector(".other").value;
  Object.assign(other, { positions: null, shift: {} });
  if (wanted) {
    const [mine, theirs] = await Promise.all([own.dataset.positions, wanted].map(positionsAt));
    if (wanted !== prior.querySelector(".other").value) return; // another one, meanwhile
    if (mine && theirs) Object.assign(other, { own: mine, positions: theirs });
  }
  showPrior();
  if (wanted && !other.positions) prior.querySelector(".together").textContent = "The other scan cannot be loaded.";
}

async function positionsAt(from) {
  const answer = await fetch(from);
  return answer.ok && !answer.redirected ? answer.json() : null;
}

function isAlong(mine, theirs) {
  const ends = ({ first_mm, step_mm, n_planes }) => [first_mm, first_mm + step_mm * (n_planes - 1)];
  const [[low, high], [lowest, highest]] = [ends(mine), ends(theirs)];
  const shared = Math.min(high, highest) - Math.max(low, lowest);
  return shared >= 0.5 * Math.min(high - low, highest - lowest) && shared > 0;
}

// The slice of the other scan beside one of this.
function beside(slice, mine, theirs) {
  if (isAlong(mine, theirs)) {
    return (mine.first_mm + slice * mine.step_mm - theirs.first_mm) / theirs.step_mm;
  }
  return (slice / Math.max(1, mine.n_planes - 1)) * (theirs.n_planes - 1);
}

function showPrior() {
  if (!prior) return;
  const picture = prior.querySelector(".slice");
  const together = prior.querySelector(".together");
  picture.hidden = prior.querySelector(".turning").hidden = !other.positions;
  together.textContent = "";
  if (!other.positions) return;
  const axis = axisName();
  const [mine, theirs] = [other.own[axis], other.positions[axis]];
  const isLinked = prior.querySelector(".linked").checked;
  const wanted = beside(Number(place.value) - 1, mine, theirs) + (other.shift[axis] ?? 0);
  if (isLinked) other.slice = Math.round(wanted);
  other.slice = Math.max(0, Math.min(theirs.n_planes - 1, other.slice));
  priorPlace.max = String(theirs.n_planes);
  priorPlace.value = String(other.slice + 1);
  prior.querySelector(".where").textContent = `${other.slice + 1} of ${theirs.n_planes}`;
  if (isLinked) {
    const how = isAlong(mine, theirs) ? "by position in millimetres" : "by the part of the way through, since their positions differ";
    const past = wanted < -0.5 || wanted > theirs.n_planes - 0.5;
    together.textContent = `Turned together ${how}.${past ? " The other scan ends before." : ""}`;
  }
  const { window, labels } = settings();
  picture.alt = `${axis[0].toUpperCase()}${axis.slice(1)} slice of the other scan`;
  picture.src = addressOf(theirs.address, other.slice, { window, labels, disease: own.dataset.disease });
}

function turnPrior(slice) {
  const axis = axisName();
  const theirs = other.positions[axis];
  other.slice = Math.max(0, Math.min(theirs.n_planes - 1, slice));
  other.shift[axis] = other.slice - beside(Number(place.value) - 1, other.own[axis], theirs);
  showPrior();
}

function turn(by) {
  place.value = String(Math.min(count, Math.max(1, Number(place.value) + by)));
  show();
}

const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
function turnBy(picture, turned) {
  picture.addEventListener("wheel", (event) => {
    event.preventDefault();
    turned(event.deltaY > 0 ? -1 : 1);
  }, { passive: false });
  picture.addEventListener("keydown", (event) => {
    if (event.key in STEPS) {
      event.preventDefault();
      turned(STEPS[event.key]);
    }
  });
}

place.addEventListener("input", show);
plane.addEventListener("change", () => {
  cut(plane.selectedIndex);
  show();
});
own.querySelector(".window").addEventListener("change", show);
own.querySelector(".outlines").addEventListener("change", show);
turnBy(own.querySelector(".slice"), turn);
if (prior) {
  prior.querySelector(".other").addEventListener("change", choosePrior);
  prior.querySelector(".linked").addEventListener("change", showPrior);
  priorPlace.addEventListener("input", () => turnPrior(Number(priorPlace.value) - 1));
  turnBy(prior.querySelector(".slice"), (by) => {
    if (prior.querySelector(".linked").checked) turn(by);
    else turnPrior(other.slice + by);
  });
}

// A lesion, chosen by its button or, in the volume view, by a click on it: event "lesion".
const buttons = [...document.querySelectorAll(".show")];
function choose(button) {
  for (const each of buttons) {
    each.setAttribute("aria-pressed", String(each === button));
    each.closest("tr").classList.toggle("chosen", each === button);
  }
  chosen.lesion = button.dataset.lesion;
  cut(0);
  place.value = String(Number(button.dataset.slice) + 1);
  show();
}
for (const button of buttons) {
  button.addEventListener("click", () => {
    choose(button);
    document.dispatchEvent(new CustomEvent("lesion", { detail: { number: Number(chosen.lesion) } }));
    // To the picture, unless the volume shows it.
    if (document.querySelector(".volume-stage:not([hidden])")) return;
    own.querySelector(".slice").scrollIntoView({ block: "center" });
    own.querySelector(".slice").focus({ preventScroll: true });
  });
}
document.addEventListener("lesion", ({ detail }) => {
  const button = buttons.find((each) => each.dataset.lesion === String(detail.number));
  if (detail.from === "volume" && button) choose(button);
});

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
