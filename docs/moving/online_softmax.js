// The online softmax. Bars are exp(x - m) of the scores read so far; their sum is l. When m rises, all of them shrink.

const WIDTH = 44; // of a score's column
const BAR = 96; // the height of exp(0) = 1
const FLOOR = 206; // where bars stand

const names = Object.keys(data.rows);
let shows = null; // the two lists of choices, which follow the steps
let rows = null;

const fixed = (x) => x.toFixed(data.digits);
const column = (j) => 4 + WIDTH * j;

function box(picture, j, y, text, kind) {
  svg(picture, "rect", { x: column(j), y, width: WIDTH - 4, height: 26, class: kind });
  const size = String(text).length > 5 ? 11 : 14;
  svg(picture, "text", { x: column(j) + WIDTH / 2 - 2, y: y + 18, class: kind === "hot" ? "on-hot" : "", "font-size": size }, text);
}

// What one more score has done to a state, as a sum.
function update(state) {
  const { x, before, factor } = state;
  if (!before) return `${x} is the first score: m = ${x}, l = 1`;
  if (x > before.m) {
    return `${x} is larger than m = ${before.m}: l = ${fixed(before.l)} × exp(${before.m} − ${x}) + 1 = ${fixed(state.l)}`;
  }
  return `${x} is not larger than m = ${before.m}: l = ${fixed(before.l)} + exp(${x} − ${before.m}) = ${fixed(state.l)}`;
}

function updateOfValues(state) {
  const value = data.values[state.read - 1];
  if (!state.before) return `o = ${value}`;
  const kept = state.factor === 1 ? fixed(state.before.o) : `${fixed(state.before.o)} × ${fixed(state.factor)}`;
  return `o = ${kept} + exp(${state.x} − ${state.m}) × ${value} = ${fixed(state.o)}`;
}

function sentence({ part, states, end }) {
  if (end && part === 0) {
    return `Every bar divided by l = ${fixed(states[0].l)} is the softmax: ${end.p.map(fixed).join(", ")}.`;
  }
  if (end) {
    return `o / l = ${fixed(states[0].o)} / ${fixed(states[0].l)} = ${fixed(end.y)}; ` +
      `attention in one go gives ${fixed(end["y once"])}.`;
  }
  const [state] = states;
  if (state.joined) {
    const sums = state.joined.map((half, i) => `${fixed(half.l)} × ${fixed(state.factors[i])}`);
    return `The halves are joined: m = ${state.m}, l = ${sums.join(" + ")} = ${fixed(state.l)}.`;
  }
  if (part === 1) return `Left: ${update(states[0])}. Right: ${update(states[1])}.`;
  return update(state) + (part === 2 ? `. ${updateOfValues(state)}.` : ".");
}

function draw(picture, step) {
  const now = data.steps[step];
  const { part, states, terms, end } = now;
  const scores = data.rows[now.row];
  scores.forEach((x, j) => {
    const last = !end && states.some((state) => !state.joined && state.read - 1 === j);
    const kind = last ? "hot" : terms[j] === null ? "" : "seen";
    box(picture, j, 24, x, kind);
    if (part === 2) box(picture, j, 54, data.values[j], kind);
    if (terms[j] === null) return;
    // The outline is what the bar was before m rose.
    const state = states.find(({ first, read }) => first <= j && j < read);
    const rose = !end && state.before && state.factor < 1 && j < state.read - 1;
    if (rose) {
      const height = Math.min(1, terms[j] / state.factor) * BAR;
      svg(picture, "rect", { x: column(j), y: FLOOR - height, width: WIDTH - 4, height, "stroke-dasharray": "3 3" });
    }
    const height = terms[j] * BAR;
    svg(picture, "rect", { x: column(j), y: FLOOR - height, width: WIDTH - 4, height, class: "hot" });
    svg(picture, "text", { x: column(j) + WIDTH / 2 - 2, y: FLOOR + 16, "font-size": 12 }, terms[j].toFixed(3));
    if (end && part === 0) {
      svg(picture, "text", { x: column(j) + WIDTH / 2 - 2, y: FLOOR + 56, "font-size": 12 }, end.once[j].toFixed(3));
    }
  });
  svg(picture, "text", { x: 4, y: 16, class: "left" }, part === 2 ? "scores, and below them the values" : "scores");
  svg(picture, "text", { x: 4, y: 100, class: "left" }, end ? "exp(x − m) / l" : "exp(x − m)");
  svg(picture, "line", { x1: 4, y1: FLOOR, x2: 352, y2: FLOOR, stroke: "currentColor" });
  if (states.length === 2) {
    svg(picture, "line", { x1: 178, y1: 20, x2: 178, y2: 280, stroke: "currentColor", "stroke-dasharray": "2 4" });
  }

  if (end && part === 0) {
    svg(picture, "text", { x: 4, y: FLOOR + 38, class: "left" }, "the softmax in one go:");
  } else {
    states.forEach((state, i) => {
      const lines = [`m = ${state.m}`, `l = ${fixed(state.l)}`];
      if (part === 2) lines.push(`o = ${fixed(state.o)}`);
      if (end) lines.push(`y = o / l = ${fixed(end.y)}`);
      lines.forEach((text, k) => svg(picture, "text", { x: i === 0 ? 4 : 186, y: FLOOR + 40 + 20 * k, class: "left" }, text));
    });
  }
  if (rows) [shows.selectedIndex, rows.selectedIndex] = [part, names.indexOf(now.row)];
  return { numbers: numbers(now), say: sentence(now) };
}

function numbers({ part, states, end }) {
  if (end) return part === 0 ? { p: end.p.map(fixed) } : { y: fixed(end.y) };
  return { states: states.map(({ m, l, o }) => ({ m: fixed(m), l: fixed(l), ...(part === 2 ? { o: fixed(o) } : {}) })) };
}

const go = figure({ width: 358, height: 312, steps: data.steps.length, draw });
const controls = root.querySelector(".moving-controls");
function choose({ part = shows.selectedIndex, row = rows.selectedIndex }) {
  go(data.steps.findIndex((step) => step.row === names[row] && step.part === part));
}
shows = choice(controls, "Show", data.parts, (part) => choose({ part }));
rows = choice(controls, "Row", names, (row) => choose({ row }));
