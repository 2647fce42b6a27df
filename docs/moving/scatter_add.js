// Scatter-add with duplicates: dx[index[i]] += g[i], by two threads, in an order that Python has drawn.

const CELL = 38;
let modes = null; // the list of choices, which follows the steps

// The state before the first event of every mode and after each: dx, and what each thread holds in its register.
const walk = data.modes.flatMap((mode, m) => {
  const [dx, holds] = [Array(data.rows).fill(0), Array(data.threads).fill(null)];
  let now = { mode, m, event: null, at: 0, dx, holds, done: [], lost: 0 };
  return [now, ...mode.events.map((event, k) => (now = after(now, event, k + 1)))];
});

function after(before, event, at) {
  const dx = [...before.dx];
  const holds = [...before.holds];
  const done = [...before.done];
  const { thread, i, action } = event;
  const row = data.index[i];
  let lost = 0;
  if (action === "read") holds[thread] = dx[row];
  if (action === "write") {
    lost = dx[row] - holds[thread]; // what others have added since it was read
    dx[row] = holds[thread] + data.grad[i];
    holds[thread] = null;
  }
  if (action === "add") dx[row] += data.grad[i];
  if (action === "write" || action === "add") done.push(i);
  return { mode: before.mode, m: before.m, event, at, dx, holds, done, lost };
}

const isLast = ({ mode, at }) => at === mode.events.length;
const wrongRows = ({ dx }) => dx.map((_, k) => k).filter((k) => dx[k] !== data.exact[k]);

function sentence(now) {
  const { mode, m, event, dx, holds, lost } = now;
  if (!event) return `${mode.name}: dx is 0 everywhere.`;
  const row = data.index[event.i];
  const who = `Thread ${event.thread}`;
  const entry = `dx[${row}]`;
  let text = "";
  if (event.action === "sort") {
    const each = data.rows / data.threads;
    const owners = holds.map((_, t) => `thread ${t} owns rows ${t * each} to ${(t + 1) * each - 1}`);
    text = `The positions are sorted by row, and ${owners.join(", ")}.`;
  }
  const g = data.grad[event.i];
  const how = m === 1 ? ", in one piece," : ", the owner,";
  if (event.action === "read") text = `${who} reads ${entry} = ${holds[event.thread]}, to add g[${event.i}] = ${g}.`;
  if (event.action === "write") text = `${who} writes ${entry} = ${dx[row] - g} + ${g} = ${dx[row]}.`;
  if (event.action === "add") text = `${who}${how} adds g[${event.i}] = ${g} to ${entry}, now ${dx[row]}.`;
  if (lost) text += ` The ${lost} that was added meanwhile is lost.`;
  if (isLast(now)) {
    const wrong = wrongRows(now).map((k) => `dx[${k}] is ${dx[k]}, but should be ${data.exact[k]}`);
    text += wrong.length ? ` At the end ${wrong.join(", and ")}.` : " At the end every row has the oracle's sum.";
  }
  return text;
}

function box(picture, x, y, text, kind) {
  svg(picture, "rect", { x, y, width: CELL - 2, height: 28, class: kind });
  svg(picture, "text", { x: x + CELL / 2 - 1, y: y + 19, class: kind === "hot" ? "on-hot" : "" }, text);
}

function draw(picture, step) {
  const now = walk[step];
  const { event, dx, holds, done, m } = now;
  const sorted = m === 2 && event !== null;
  const order = sorted ? data["by row"] : data.index.map((_, i) => i);
  const left = (y, text) => svg(picture, "text", { x: 4, y, class: "left" }, text);
  const x = (place) => 58 + CELL * place;
  const owner = (i) => Math.floor(data.threads * (sorted ? data.index[i] / data.rows : i / data.index.length));

  left(25, "thread");
  left(58, "index");
  left(90, "g");
  order.forEach((i, place) => {
    const kind = event && event.i === i ? "hot" : done.includes(i) ? "seen" : "";
    svg(picture, "text", { x: x(place) + CELL / 2 - 1, y: 25 }, owner(i));
    box(picture, x(place), 38, data.index[i], kind);
    box(picture, x(place), 70, data.grad[i], kind);
  });

  const rowX = (k) => 58 + 76 * k;
  if (event && event.i !== null) {
    const from = x(order.indexOf(event.i)) + CELL / 2 - 1;
    const to = rowX(data.index[event.i]) + 34;
    const dashes = event.action === "read" ? "4 4" : "none";
    svg(picture, "line", { x1: from, y1: 100, x2: to, y2: 160, class: "seen", "stroke-dasharray": dashes });
  }
  left(180, "dx");
  left(218, "row");
  dx.forEach((sum, k) => {
    const wrong = isLast(now) && wrongRows(now).includes(k);
    const kind = event && data.index[event.i] === k ? "seen" : "";
    svg(picture, "rect", { x: rowX(k), y: 161, width: 68, height: 28, class: kind });
    svg(picture, "text", { x: rowX(k) + 34, y: 180 }, sum);
    svg(picture, "text", { x: rowX(k) + 34, y: 218 }, wrong ? `${k}: ✗ ${data.exact[k]}` : isLast(now) ? `${k}: ✓` : k);
  });
  if (m === 0) {
    holds.forEach((held, t) => left(250 + 22 * t, `thread ${t} holds ${held === null ? "nothing" : held}`));
  }
  if (modes) modes.selectedIndex = m;
  return { numbers: { dx, wrong: isLast(now) ? wrongRows(now).length : null }, say: sentence(now) };
}

const go = figure({ width: 366, height: 284, steps: walk.length, draw });
modes = choice(root.querySelector(".moving-controls"), "Threads", data.modes.map(({ name }) => name),
  (m) => go(walk.findIndex((at) => at.m === m)));
