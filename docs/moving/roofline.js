// The roofline, both axes in powers of ten: to the right, operations per byte; upwards, operations per second. Nothing lies
// above the roof: memory gives bandwidth * intensity, the arithmetic its peak.

const LEFT = 46, RIGHT = 356, TOP = 10, BOTTOM = 240;
const INTENSITY = [0.1, 1000], PACE = [1, 1000];
let points; // the list of choices: it follows the steps

const along = (value, [from, to], start, end) => start + (end - start) * Math.log(value / from) / Math.log(to / from);
const x = (intensity) => along(intensity, INTENSITY, LEFT, RIGHT);
const y = (pace) => along(pace, PACE, BOTTOM, TOP);
const roof = (intensity) => Math.min(data.peak, data.bandwidth * intensity);

function place(point) {
  const intensity = point.measured ? point.intensity : point.flops / point.bytes;
  return { intensity, pace: point.measured ? point.gflops : roof(intensity) };
}

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
  const ridge = data.peak / data.bandwidth;
  const line = [PACE[0] / data.bandwidth, ridge, INTENSITY[1]].map((i) => Math.max(i, INTENSITY[0]));
  svg(picture, "polyline", {
    points: line.map((i) => `${x(i)},${y(roof(i))}`).join(" "), fill: "none", stroke: "var(--ink)", "stroke-width": 2,
  });
}

function draw(picture, step) {
  if (points) points.selectedIndex = step;
  axes(picture);
  // The rungs up to this step are a path; a layer stands beside its other form, fused or not, at the same batch.
  const shown = data.points.slice(0, step + 1).filter((point) => point.measured === data.points[step].measured);
  const at = shown.map(place);
  if (shown[0].measured) {
    svg(picture, "polyline", {
      points: at.map((p) => `${x(p.intensity)},${y(p.pace)}`).join(" "), fill: "none", stroke: "var(--hot)",
    });
  }
  at.forEach((p, i) => svg(picture, "circle", {
    cx: x(p.intensity), cy: y(p.pace), r: i === at.length - 1 ? 7 : 4,
    fill: i === at.length - 1 ? "var(--hot)" : "var(--paper)", stroke: "var(--hot)", "stroke-width": 2,
  }));
  const { intensity, pace } = at[at.length - 1];
  const { name, measured } = data.points[step];
  const allowed = roof(intensity);
  const bound = allowed < data.peak ? "memory" : "arithmetic";
  const round = (value) => Number(value.toPrecision(3));
  return {
    numbers: { name, intensity, pace, roof: allowed },
    say: `${name}: ${round(intensity)} operations per byte; ` + (measured
      ? `measured ${round(pace)} of the ${round(allowed)} GFLOP/s that ${bound} allows.`
      : `${bound} allows ${round(allowed)} GFLOP/s.`),
  };
}

const go = figure({ width: 366, height: 286, steps: data.points.length, draw });
points = choice(root.querySelector(".moving-controls"), "Point", data.points.map((point) => point.name), go);
