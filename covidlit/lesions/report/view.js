"use strict";
(function () {
  const place = document.getElementById("view3d");
  const data = JSON.parse(document.getElementById("scene").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const axis = (text, origin) =>
    Float32Array.from(new Int16Array(bytes(text)), (tenths) => tenths / 10 + origin);
  try {
    if (!document.createElement("canvas").getContext("webgl")) throw new Error("no WebGL");
    const traces = data.surfaces.map((s) => {
      const corner = (text) => (s.wide ? new Uint32Array(bytes(text)) : new Uint16Array(bytes(text)));
      const owner = new Uint16Array(bytes(s.owner));
      return {
        type: "mesh3d", name: s.name, showlegend: true, color: s.colour, opacity: s.opacity,
        x: axis(s.x, data.origin[0]), y: axis(s.y, data.origin[1]), z: axis(s.z, data.origin[2]),
        i: corner(s.i), j: corner(s.j), k: corner(s.k), flatshading: false,
        text: Array.from(owner, (k) => s.texts[k]), hoverinfo: s.opacity < 0.3 ? "skip" : "text",
        lighting: { ambient: 0.55, diffuse: 0.7, specular: 0.1, roughness: 0.9 },
      };
    });
    const title = (text) => ({ title: { text: text }, showbackground: false, zeroline: false });
    const layout = {
      margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: true, legend: { x: 0, y: 1 },
      scene: {
        aspectmode: "data", xaxis: title("to the left (mm)"), yaxis: title("to the back (mm)"),
        zaxis: title("to the head (mm)"),
        camera: { eye: { x: 0, y: -2.0, z: 0.25 }, up: { x: 0, y: 0, z: 1 } },
      },
    };
    // Its own buttons only: plotly's default set has one that leads out of the page.
    const buttons = [["toImage", "zoom3d", "pan3d", "orbitRotation", "tableRotation", "resetCameraDefault3d"]];
    const config = { responsive: true, displaylogo: false, modeBarButtons: buttons };
    Plotly.newPlot(place, traces, layout, config).then(() => {
      place.dataset.drawn = String(traces.length);
      place.classList.add("drawn");
    });
  } catch (problem) {
    place.dataset.drawn = "0";
    place.classList.add("off");
    place.textContent = "This browser shows no 3D view; the picture below shows the same.";
  }
})();
