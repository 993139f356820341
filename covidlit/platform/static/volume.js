// The scan in space: three planes that the browser draws, lungs and lesions as surfaces.
// NiiVue is fetched when the view is opened; without it, or without WebGL 2, the page says so and
// has the slices that the server draws.
const section = document.querySelector(".volume");
const opener = section.querySelector(".open-volume");
const said = section.querySelector(".volume-said");
const stage = section.querySelector(".volume-stage");
const canvas = section.querySelector("canvas");
const control = (name) => section.querySelector(`.volume-${name}`);
const windows = document.querySelector(".viewer .window");
const SLICES = "The slices above show the whole scan.";
const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;
const WHITE = [255, 255, 255, 255];
const LUNGS_OPACITY = 0.3;
// In space the body would hide its lungs: a plane beyond its corner cuts all of it off. It is the
// second one, since the wheel moves the first.
const SURFACES_ALONE = [[2, 0, 0], [-1.8, 0, 0]];
const CLICK_PIXELS = 5;

let niivue; // the module
let view; // its viewer
let surfaces; // as the server has made them
let bodies = {}; // meshes of lungs and lesions

class Refused extends Error {}

async function fetched(address) {
  const answer = await fetch(address);
  if (answer.redirected) throw new Refused("The session has ended. Log in again, then open the page again.");
  if (!answer.ok) throw new Refused(`The volume cannot be loaded (${answer.status}). ${SLICES}`);
  return answer;
}

// What draws: a processor carries fewer voxels than a graphics card.
function isSmall(gl) {
  const about = gl.getExtension("WEBGL_debug_renderer_info");
  const name = about ? String(gl.getParameter(about.UNMASKED_RENDERER_WEBGL)) : "";
  return SOFTWARE.test(name) || matchMedia("(max-width: 700px)").matches;
}

async function open() {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) {
    said.textContent = `This browser has no WebGL 2, which the volume view draws with. ${SLICES}`;
    return;
  }
  control("size").selectedIndex = isSmall(gl) ? 0 : 1;
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  said.textContent = "Loading …";
  stage.hidden = false;
  opener.hidden = true;
  niivue = await import(section.dataset.script);
  view = new niivue.Niivue({
    backColor: [0, 0, 0, 1],
    crosshairColor: [1, 1, 1, 0.6],
    show3Dcrosshair: true,
    isOrientCube: true,
    isRadiologicalConvention: true, // the patient's right on the left, as in the slices
    sagittalNoseLeft: true,
    multiplanarShowRender: niivue.SHOW_RENDER.ALWAYS,
    multiplanarLayout: niivue.MULTIPLANAR_TYPE.GRID,
    crosshairWidth: 1,
    crosshairWidthUnit: "mm",
    meshThicknessOn2D: 0, // planes have the labels themselves
    isClipAllVolumes: true,
    dragAndDropEnabled: false,
    scrollRequiresFocus: true, // the page still scrolls over it
    clipPlaneHotKey: "none",
    cycleClipPlaneHotKey: "none",
    viewModeHotKey: "none",
    logLevel: "error",
    loadingText: "",
  });
  canvas.niivue = view; // for the console, and for tests
  await view.attachToCanvas(canvas, false);
  view.setClipPlanes(SURFACES_ALONE);
  await load();
  turnTo(control("view").value);
}

async function load() {
  said.textContent = "Loading …";
  const size = control("size").value;
  const { volume, labels } = section.dataset;
  const [scan, numbers, drawn] = await Promise.all([
    volumeOf(volume, size),
    labels && volumeOf(labels, size),
    surfaces ?? (labels && fetched(section.dataset.surfaces).then((answer) => answer.json())),
  ]);
  const isFirst = !view.volumes.length;
  while (view.volumes.length) view.removeVolumeByIndex(0);
  scan.colormap = "gray";
  view.addVolume(scan);
  if (labels) {
    numbers.setColormapLabel(coloursOf(drawn));
    view.addVolume(numbers);
    if (isFirst) embody(drawn);
  }
  applyWindow();
  applyShown();
  said.textContent = "";
  section.dataset.shown = size;
}

async function volumeOf(template, size) {
  const address = template.replace(/\/0\.nii\.gz$/, `/${size}.nii.gz`);
  const buffer = await (await fetched(address)).arrayBuffer();
  return niivue.NVImage.loadFromUrl({ url: buffer, name: "volume.nii.gz" });
}

// Each lesion in the colour of its class, by its number.
function coloursOf(drawn) {
  const table = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [""] };
  for (const surface of drawn.surfaces) {
    const [red, green, blue] = surface.colour.match(/\d+/g).map(Number);
    for (const number of surface.numbers.filter(Boolean)) {
      table.R.push(red);
      table.G.push(green);
      table.B.push(blue);
      table.A.push(255);
      table.I.push(number);
      table.labels.push(String(number));
    }
  }
  return table;
}

function numbersIn(text, Kind) {
  return new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

// Surfaces come in tenths of a millimetre, LPS; NiiVue has RAS.
function pointsOf(surface, origin) {
  const [x, y, z] = ["x", "y", "z"].map((axis) => numbersIn(surface[axis], Int16Array));
  const points = new Float32Array(3 * x.length);
  for (let k = 0; k < x.length; k++) {
    points[3 * k] = -(x[k] / 10 + origin[0]);
    points[3 * k + 1] = -(y[k] / 10 + origin[1]);
    points[3 * k + 2] = z[k] / 10 + origin[2];
  }
  return points;
}

function cornersOf(surface) {
  const Kind = surface.wide ? Uint32Array : Uint16Array;
  const [i, j, k] = ["i", "j", "k"].map((corner) => numbersIn(surface[corner], Kind));
  const corners = new Uint32Array(3 * i.length);
  for (let n = 0; n < i.length; n++) corners.set([i[n], j[n], k[n]], 3 * n);
  return corners;
}

// One mesh for the lungs, one for all lesions: of each vertex, its lesion and its colour.
function embody(drawn) {
  surfaces = drawn;
  const lesions = { points: [], corners: [], owners: [], colours: [] };
  for (const surface of drawn.surfaces) {
    const points = pointsOf(surface, drawn.origin);
    const corners = cornersOf(surface);
    const colour = [...surface.colour.match(/\d+/g).map(Number), Math.round(255 * surface.opacity)];
    if (surface.name === "Lungs") {
      bodies.lungs = meshOf(points, corners, "lungs", new Uint8Array([...colour.slice(0, 3), 255]), LUNGS_OPACITY);
      continue;
    }
    const before = lesions.owners.length;
    lesions.points.push(...points);
    for (const corner of corners) lesions.corners.push(corner + before);
    for (const place of numbersIn(surface.owner, Uint16Array)) {
      lesions.owners.push(surface.numbers[place]);
      lesions.colours.push(...colour);
    }
  }
  if (lesions.owners.length) {
    const colours = new Uint8Array(lesions.colours);
    bodies.lesions = meshOf(new Float32Array(lesions.points), new Uint32Array(lesions.corners), "lesions", colours, 1);
    Object.assign(bodies, { owners: lesions.owners, colours });
    view.addMesh(bodies.lesions);
  }
  if (bodies.lungs) view.addMesh(bodies.lungs); // last: one sees through them
}

function meshOf(points, corners, name, colours, opacity) {
  return new niivue.NVMesh(points, corners, name, colours, opacity, true, view.gl);
}

function applyWindow() {
  const { low, high } = windows.selectedOptions[0].dataset;
  control("window").value = windows.value;
  if (!view?.volumes.length) return;
  Object.assign(view.volumes[0], { cal_min: Number(low), cal_max: Number(high) });
  view.updateGLVolume();
}

function applyShown() {
  if (view.volumes[1]) view.setOpacity(1, control("lesions").checked ? 0.4 : 0);
  if (bodies.lesions) bodies.lesions.visible = control("lesions").checked;
  if (bodies.lungs) bodies.lungs.visible = control("lungs").checked;
  view.drawScene();
}

function turnTo(name) {
  view.setSliceType(niivue.SLICE_TYPE[name]);
}

// To a lesion, and its surface in white.
function lookAt(number) {
  if (!surfaces) return;
  const centre = surfaces.centres[number];
  if (centre) view.scene.crosshairPos = view.mm2frac([-centre[0], -centre[1], centre[2]]);
  mark(number);
}

function mark(number) {
  if (!bodies.lesions) return;
  const colours = bodies.colours.slice();
  bodies.owners.forEach((owner, k) => owner === number && colours.set(WHITE, 4 * k));
  bodies.lesions.rgba255 = colours;
  bodies.lesions.updateMesh(view.gl);
  view.drawScene();
}

// The lesion at a place of the picture, 0 where there is none.
function lesionAt([x, y]) {
  const index = view.screenSlices.findIndex(({ leftTopWidthHeight: [left, top, wide, high] }) => {
    const first = Math.min(left, left + wide); // a mirrored one has a negative width
    return x >= first && x < first + Math.abs(wide) && y >= top && y < top + high;
  });
  const tile = view.screenSlices[index];
  if (!tile) return 0;
  if (tile.axCorSag === niivue.SLICE_TYPE.RENDER) return foremost([x, y], tile);
  const where = view.screenXY2TextureFrac(x, y, index);
  if (where[0] < 0) return 0;
  const labels = view.volumes[1];
  return Math.round(labels.getValue(...labels.mm2vox(view.frac2mm(where))));
}

// The lesion whose surface is foremost at a place in 3D.
function foremost([x, y], tile) {
  if (!bodies.lesions?.visible) return 0;
  const { pts, tris } = bodies.lesions;
  const [left, top, wide, high] = tile.leftTopWidthHeight;
  const { renderAzimuth, renderElevation } = view.scene;
  const [m] = view.calculateMvpMatrix(null, tile.leftTopWidthHeight, renderAzimuth, renderElevation);
  // Corners as they are drawn: pixels from the place, and depth.
  const drawn = new Float32Array(pts.length);
  for (let k = 0; k < pts.length; k += 3) {
    const [right, up, depth, scale] = [0, 1, 2, 3].map(
      (row) => m[row] * pts[k] + m[row + 4] * pts[k + 1] + m[row + 8] * pts[k + 2] + m[row + 12],
    );
    drawn[k] = left + ((right / scale + 1) / 2) * wide - x;
    drawn[k + 1] = top + ((1 - up / scale) / 2) * high - y;
    drawn[k + 2] = depth / scale;
  }
  let nearest = Infinity;
  let found = 0;
  for (let t = 0; t < tris.length; t += 3) {
    const [i, j, k] = [3 * tris[t], 3 * tris[t + 1], 3 * tris[t + 2]];
    // Twice the areas that the place makes with the sides: of one sign where it lies within.
    const c = drawn[i] * drawn[j + 1] - drawn[j] * drawn[i + 1];
    const a = drawn[j] * drawn[k + 1] - drawn[k] * drawn[j + 1];
    const b = drawn[k] * drawn[i + 1] - drawn[i] * drawn[k + 1];
    if (!((a >= 0 && b >= 0 && c >= 0) || (a <= 0 && b <= 0 && c <= 0)) || a + b + c === 0) continue;
    const depth = (a * drawn[i + 2] + b * drawn[j + 2] + c * drawn[k + 2]) / (a + b + c);
    if (depth < nearest) [nearest, found] = [depth, bodies.owners[tris[t]]];
  }
  return found;
}

let pressed;
canvas.addEventListener("pointerdown", (event) => {
  pressed = [event.offsetX, event.offsetY];
  canvas.focus({ preventScroll: true }); // which NiiVue keeps the browser from
});
canvas.addEventListener("pointerup", (event) => {
  const moved = pressed && Math.hypot(event.offsetX - pressed[0], event.offsetY - pressed[1]);
  if (moved > CLICK_PIXELS || !view?.volumes[1]) return;
  const ratio = canvas.width / canvas.clientWidth;
  const place = [event.offsetX * ratio, event.offsetY * ratio];
  const number = lesionAt(place);
  if (!number) return;
  if (view.inRenderTile(...place) >= 0) lookAt(number);
  else mark(number); // the cross is where the click was
  document.dispatchEvent(new CustomEvent("lesion", { detail: { number, from: "volume" } }));
});
document.addEventListener("lesion", ({ detail }) => {
  if (detail.from !== "volume" && view) lookAt(detail.number);
});

const KEYS = { ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1], ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], PageUp: [0, 1, 0], PageDown: [0, -1, 0] };
canvas.addEventListener("keydown", (event) => {
  if (!view || !(event.key in KEYS)) return;
  event.preventDefault();
  const [x, y, z] = KEYS[event.key];
  if (control("view").value === "RENDER") {
    const { renderAzimuth, renderElevation } = view.scene;
    view.setRenderAzimuthElevation(renderAzimuth + 5 * x, renderElevation + 5 * (y + z));
  } else {
    view.moveCrosshairInVox(x, y, z);
  }
});

function tell(error) {
  stage.hidden = !view?.volumes.length;
  opener.hidden = !stage.hidden;
  said.textContent = error instanceof Refused ? error.message : `The volume view failed: ${error.message} ${SLICES}`;
}

opener.addEventListener("click", () => open().catch(tell));
control("size").addEventListener("change", () => load().catch(tell));
control("view").addEventListener("change", (event) => turnTo(event.target.value));
for (const name of ["lungs", "lesions"]) control(name).addEventListener("change", applyShown);
windows.addEventListener("change", applyWindow);
control("window").addEventListener("change", (event) => {
  windows.value = event.target.value;
  windows.dispatchEvent(new Event("change"));
});
