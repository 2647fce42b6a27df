// matmul's first five rungs: b lies above y and a to its left, so that a row of a and a column of b meet in their y_ij. A box
// is a cache line. What happens in a step was counted in Python.

const CELL = 5, SIDE = CELL * data.n;
const LEFT = { a: 8, b: 190, y: 190, copy: 8 }, TOP = { a: 206, b: 24, y: 206, copy: 44 };
const BARS = 408, ROW = 22; // where the measured bars begin, and how far they are apart
const fastest = Math.max(...data.rungs.map((rung) => rung.gflops));
let rungs; // the list of choices: it follows the steps

// Where a matrix lies; every core has a copy of its own.
const at = (matrix, core) => [LEFT[matrix] + (matrix === "copy" ? 88 * core : 0), TOP[matrix]];

function drawLine(picture, matrix, core, line, kind) {
  const [left, top] = at(matrix, core), inRow = data.widths[matrix] / data.line;
  svg(picture, "rect", {
    x: left + CELL * data.line * (line % inRow), y: top + CELL * Math.floor(line / inRow),
    width: CELL * data.line - 1, height: CELL - 1, class: kind,
  });
}

function drawMatrix(picture, matrix, core) {
  const rows = matrix === "copy" ? data.depth : data.n;
  for (let line = 0; line < rows * data.widths[matrix] / data.line; line++) drawLine(picture, matrix, core, line, "line");
}

// Two cores may hold the same line: it is drawn twice, and looks the same. Returns how many lines were drawn.
function drawLines(picture, step, kind) {
  return step.cores.map((core, n) => Object.entries(core[kind]).reduce((count, [matrix, lines]) => {
    lines.forEach((line) => drawLine(picture, matrix, n, line, kind));
    return count + lines.length;
  }, 0));
}

function drawTouched(picture, step) {
  step.cores.forEach((core, n) => Object.entries(core.touched).forEach(([matrix, [row, column, bottom, right]]) => {
    const [left, top] = at(matrix, n);
    svg(picture, "rect", {
      x: left + CELL * column - 1, y: top + CELL * row - 1,
      width: CELL * (right - column) + 1, height: CELL * (bottom - row) + 1, class: "touched",
    });
  }));
}

function drawLegend(picture) {
  [["held", "in the cache", 8], ["fetched", "fetched", 134], ["touched", "loaded, stored", 224]].forEach(([kind, text, x]) => {
    svg(picture, "rect", { x, y: 379, width: 20, height: 10, class: kind });
    svg(picture, "text", { x: x + 26, y: 389, class: "left" }, text);
  });
}

function drawBars(picture, current) {
  svg(picture, "text", { x: 8, y: BARS + 12, class: "left" }, `measured GFLOP/s, ${data.measured}`);
  data.rungs.forEach((rung, n) => {
    const y = BARS + ROW * (n + 1);
    svg(picture, "text", { x: 8, y: y + 12, class: n === current ? "left strong" : "left" }, rung.name);
    const width = 112 * rung.gflops / fastest;
    svg(picture, "rect", { x: 206, y: y + 1, width, height: 13, class: n === current ? "hot" : "held" });
    svg(picture, "text", { x: 212 + width, y: y + 12, class: "left" }, rung.gflops);
  });
}

function draw(picture, number) {
  const step = data.steps[number], rung = data.rungs[step.rung];
  if (rungs) rungs.selectedIndex = step.rung;
  const copies = step.cores.filter((core) => core.touched.copy || core.held.copy.length).length;
  for (const matrix of ["a", "b", "y"]) {
    drawMatrix(picture, matrix, 0);
    const below = matrix !== "b";
    svg(picture, "text", { x: LEFT[matrix] + SIDE / 2, y: below ? TOP[matrix] - 6 : 16 }, matrix);
  }
  for (let core = 0; core < copies; core++) {
    drawMatrix(picture, "copy", core);
    const name = copies > 1 ? `core ${core}` : "copy of b's block";
    svg(picture, "text", { x: LEFT.copy + 88 * core, y: TOP.copy - 6, class: "left" }, name);
  }
  const held = drawLines(picture, step, "held");
  const fetched = drawLines(picture, step, "fetched");
  drawTouched(picture, step);
  drawLegend(picture);
  drawBars(picture, step.rung);

  const perFlop = step.flops ? step.loads / step.flops : null;
  const hitRate = 1 - step.read_misses / step.loads;
  const shown = [
    perFlop === null ? "no FLOP yet" : `${perFlop.toFixed(2)} loads per FLOP`, `${(100 * hitRate).toFixed(1)}\u00a0% hits`,
    `${step.fetches} fetches`,
  ];
  shown.forEach((text, n) => svg(picture, "text", { x: 8, y: 116 + 20 * n, class: "left" }, text));
  svg(picture, "text", { x: 8, y: 16, class: "left strong" }, rung.name);
  return {
    numbers: {
      rung: rung.name, "per flop": perFlop, "hit rate": hitRate, fetches: step.fetches,
      drawn: fetched.map((count, core) => [count, held[core]]),
    },
    say: `${rung.name}: ${step.what}. So far ${shown[0]}, ${shown[1]}, ${step.fetches} lines fetched.`,
  };
}

const go = figure({ width: 366, height: BARS + 6 * ROW, steps: data.steps.length, draw });
rungs = choice(root.querySelector(".moving-controls"), "Rung", data.rungs.map((rung) => rung.name),
  (n) => go(data.steps.findIndex((step) => step.rung === n)));
