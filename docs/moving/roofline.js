// The roofline, both axes in powers of ten: to the right, operations per byte; upwards, operations per second. Nothing lies
// above the roof: memory gives bandwidth * intensity, the arithmetic its peak.

const LEFT = 46, RIGHT = 356, TOP = 10, BOTTOM = 240;
const INTENSITY = [0.1, 1000], PACE = [1, 1000];
const FIRST = data.rungs.length, LAST = FIRST + data.batches.length; // the step of the first batch, and of one's own kernel
let form = 0, width = data.widths.indexOf(data.width);
const own = { ...data.own };
let controls; // they follow the steps

const along = (value, [from, to], start, end) => start + (end - start) * Math.log(value / from) / Math.log(to / from);
const within = (value, [from, to]) => Math.max(from, Math.min(to, value));
const x = (intensity) => along(within(intensity, INTENSITY), INTENSITY, LEFT, RIGHT);
const y = (pace) => along(within(pace, PACE), PACE, BOTTOM, TOP);
const roof = (intensity) => Math.min(data.peak, data.bandwidth * intensity);
const round = (value) => Number(value.toPrecision(3));

function axes(picture) {
  for (const intensity of [0.1, 1, 10, 100, 1000]) {
    svg(picture, "line", { x1: x(intensity), y1: TOP, x2: x(intensity), y2: BOTTOM, stroke: "var(--faint)" });
    svg(picture, "text", { x: Math.min(x(intensity), RIGHT - 14), y: BOTTOM + 18 }, intensity);
  }
  for (const pace of [1, 10, 100, 1000]) {
    svg(picture, "line", { x1: LEFT, y1: y(pace), x2: RIGHT, y2: y(pace), stroke: "var(--faint)" });
    svg(picture, "text", { x: 22, y: y(pace) + 5 }, pace);
  }
  svg(picture, "text", { x: (LEFT + RIGHT) / 2, y: BOTTOM + 38 }, "FLOP/byte; upwards GFLOP/s");
  const corners = [within(PACE[0] / data.bandwidth, INTENSITY), data.peak / data.bandwidth, INTENSITY[1]];
  svg(picture, "polyline", {
    points: corners.map((i) => `${x(i)},${y(roof(i))}`).join(" "), fill: "none", stroke: "var(--ink)", "stroke-width": 2,
  });
}

// What the roof allows.
function allowed(name, { bytes, flops }) {
  const intensity = flops / bytes, most = roof(intensity);
  return { name, intensity, pace: most, roof: most, seconds: flops / (most * 1e9) };
}

const layer = (batch, f = form) =>
  allowed(`${data.forms[f]}, batch ${data.batches[batch]}, width ${data.widths[width]}`, data.layers[f][width][batch]);

const measured = ({ name, intensity, gflops }) => ({ name, intensity, pace: gflops, roof: roof(intensity) });

// "12.5 MB", "340 µs"; for units below one, parts of a thousand.
function si(value, unit) {
  const prefixes = ["n", "µ", "m", "", "k", "M", "G", "T"];
  const n = Math.max(-3, Math.min(4, Math.floor(Math.log10(value) / 3 + 1e-9)));
  return `${round(value / 1000 ** n)} ${prefixes[n + 3]}${unit}`;
}

function sentence(point, { bytes, flops } = {}) {
  const bound = point.roof < data.peak ? "memory" : "arithmetic";
  const name = bytes ? `${point.name}, ${si(bytes, "B")} and ${si(flops, "FLOP")}` : point.name;
  return `${name}: ${round(point.intensity)} operations per byte; ` + (point.seconds === undefined
    ? `measured ${round(point.pace)} of the ${round(point.roof)} GFLOP/s that ${bound} allows.`
    : `${bound} allows ${round(point.roof)} GFLOP/s, at least ${si(point.seconds, "s")}.`);
}

function draw(picture, step) {
  if (controls) follow(step);
  axes(picture);
  const part = step < FIRST ? 0 : step < LAST ? 1 : 2;
  const cost = part === 1 ? data.layers[form][width][step - FIRST] : own;
  // The rungs, or the batches, up to this step are a path; beside a batch stands the other form of the layer.
  const path = part === 0 ? data.rungs.slice(0, step + 1).map(measured)
    : part === 1 ? data.batches.slice(0, step - FIRST + 1).map((_, batch) => layer(batch)) : [allowed("your kernel", own)];
  svg(picture, "polyline", {
    points: path.map((p) => `${x(p.intensity)},${y(p.pace)}`).join(" "), fill: "none", stroke: "var(--hot)",
  });
  path.forEach((p, i) => svg(picture, "circle", {
    cx: x(p.intensity), cy: y(p.pace), r: i === path.length - 1 ? 7 : 4,
    fill: i === path.length - 1 ? "var(--hot)" : "var(--paper)", stroke: "var(--hot)", "stroke-width": 2,
  }));
  if (part === 1) {
    const other = layer(step - FIRST, 1 - form);
    svg(picture, "circle", { cx: x(other.intensity), cy: y(other.pace), r: 10, fill: "none", stroke: "var(--ink)",
      "stroke-width": 2, "stroke-dasharray": "3 3" });
  }
  const point = path[path.length - 1];
  return { numbers: point, say: sentence(point, part === 0 ? {} : cost) };
}

const go = figure({ width: 366, height: 286, steps: LAST + 1, draw });
const again = () => go(Number(root.dataset.step));
const bar = root.querySelector(".moving-controls");
controls = {
  show: choice(bar, "Show", ["matmul's rungs", "a layer", "your kernel"], (part) => go([0, FIRST, LAST][part])),
  batch: slider(bar, "Batch", 0, data.batches.length - 1, 0, (batch) => go(FIRST + batch)),
  width: slider(bar, "Width", 0, data.widths.length - 1, width, (value) => { width = value; again(); }),
  fused: html(html(bar, "label", {}, "Fused "), "input", { type: "checkbox" }),
  bytes: slider(bar, "Bytes", 30, 100, 10 * Math.log10(own.bytes), (tenths) => { own.bytes = 10 ** (tenths / 10); again(); }),
  flops: slider(bar, "FLOPs", 30, 130, 10 * Math.log10(own.flops), (tenths) => { own.flops = 10 ** (tenths / 10); again(); }),
};
controls.fused.addEventListener("change", () => { form = Number(controls.fused.checked); again(); });

function follow(step) {
  const part = step < FIRST ? 0 : step < LAST ? 1 : 2;
  controls.show.selectedIndex = part;
  if (part === 1) controls.batch.value = step - FIRST;
  controls.flops.value = 10 * Math.log10(own.flops);
  for (const [name, value] of [["batch", data.batches[controls.batch.value]], ["width", data.widths[width]],
    ["bytes", si(own.bytes, "B")], ["flops", si(own.flops, "FLOP")]]) {
    controls[name].setAttribute("aria-valuetext", value);
  }
  for (const name of ["batch", "width", "fused"]) controls[name].parentElement.hidden = part !== 1;
  for (const name of ["bytes", "flops"]) controls[name].parentElement.hidden = part !== 2;
}
follow(0);

// One's own kernel can be dragged along the roof: its bytes stay, its operations follow.
const picture = root.querySelector("svg");
picture.style.touchAction = "pan-y";
picture.addEventListener("pointerdown", (event) => {
  if (Number(root.dataset.step) === LAST) picture.setPointerCapture(event.pointerId);
});
picture.addEventListener("pointermove", (event) => {
  if (!picture.hasPointerCapture(event.pointerId)) return;
  const { left, width: pixels } = picture.getBoundingClientRect();
  const place = within((event.clientX - left) / pixels * 366, [LEFT, RIGHT]);
  own.flops = own.bytes * INTENSITY[0] * (INTENSITY[1] / INTENSITY[0]) ** ((place - LEFT) / (RIGHT - LEFT));
  again();
});
