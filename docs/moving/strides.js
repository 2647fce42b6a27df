// Strides: position = offset + sum of index * stride. Above, the view as rows and columns; below, the line of memory.

const CELL = 30;
let views; // the list of choices: it follows the steps

// Every element of every view, in order: one step each.
const walk = data.views.flatMap((view) =>
  Array.from({ length: view.shape[0] * view.shape[1] }, (_, n) => ({
    view, index: [Math.floor(n / view.shape[1]), n % view.shape[1]],
  })));

function position(view, index) {
  return view.offset + index[0] * view.strides[0] + index[1] * view.strides[1];
}

// A box with a number in it: "hot" is the element of this step, "seen" one that the view has read.
function cell(picture, x, y, number, kind) {
  svg(picture, "rect", { x, y, width: CELL - 2, height: CELL - 2, class: kind });
  const text = kind === "hot" ? "on-hot" : "";
  svg(picture, "text", { x: x + CELL / 2 - 1, y: y + 19, class: text }, number);
}

function draw(picture, step) {
  const { view, index } = walk[step];
  const [rows, columns] = view.shape;
  const here = position(view, index);
  const read = new Set();
  if (views) views.selectedIndex = data.views.indexOf(view);
  svg(picture, "text", { x: 4, y: 18, class: "left" }, view.name);
  svg(picture, "text", { x: 4, y: 38, class: "left" },
    `shape (${view.shape.join(", ")}), strides (${view.strides.join(", ")}), offset ${view.offset}`);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const before = i * columns + j - (index[0] * columns + index[1]);
      if (before <= 0) read.add(position(view, [i, j]));
      const kind = before === 0 ? "hot" : before < 0 ? "seen" : "";
      cell(picture, 4 + CELL * j, 52 + CELL * i, position(view, [i, j]), kind);
    }
  }
  svg(picture, "text", { x: 4, y: 200, class: "left" }, "memory");
  for (let p = 0; p < data.memory; p++) {
    cell(picture, 4 + CELL * p, 210, p, p === here ? "hot" : read.has(p) ? "seen" : "");
  }
  const sum = `${view.offset} + ${index[0]} × ${view.strides[0]} + ${index[1]} × ${view.strides[1]}`;
  return {
    numbers: { view: view.name, index, position: here },
    say: `${view.name}: element [${index.join(", ")}] lies at ${sum} = ${here}.`,
  };
}

const go = figure({ width: 366, height: 242, steps: walk.length, draw });
views = choice(root.querySelector(".moving-controls"), "View", data.views.map((view) => view.name),
  (i) => go(walk.findIndex((at) => at.view === data.views[i])));
