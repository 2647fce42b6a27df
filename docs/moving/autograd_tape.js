// The autograd tape: scratchnet/course/scalar.py once more, because here the reader types the expression. A browser test
// compares the two.

const MOST = 24; // values that the picture has room for

// ---- values that remember what they were computed from, as scalar.py's -------------------------------------------------

const value = (number, name = "", parents = []) => ({ data: number, name, parents });
const asValue = (x) => (typeof x === "number" ? value(x) : x);

function add(a, b) {
  if (typeof a === "number") [a, b] = [b, a];
  if (typeof a === "number") return a + b;
  b = asValue(b);
  return value(a.data + b.data, "+", [[a, 1], [b, 1]]);
}

function multiply(a, b) {
  if (typeof a === "number") [a, b] = [b, a];
  if (typeof a === "number") return a * b;
  b = asValue(b);
  return value(a.data * b.data, "*", [[a, b.data], [b, a.data]]);
}

function power(a, n) {
  if (typeof n !== "number") throw new Error("The exponent of ** has to be a plain number.");
  if (typeof a === "number") return a ** n;
  return value(a.data ** n, `** ${n}`, [[a, n * a.data ** (n - 1)]]);
}

function subtract(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return add(asValue(a), multiply(asValue(b), -1));
}

function divide(a, b) {
  if (typeof a === "number" && typeof b === "number") return a / b;
  return multiply(asValue(a), power(asValue(b), -1));
}

function apply(name, x) {
  x = asValue(x);
  const y = name === "relu" ? Math.max(x.data, 0) : Math[name](x.data);
  const slope = { exp: y, log: 1 / x.data, relu: x.data > 0 ? 1 : 0, tanh: 1 - y * y }[name];
  return value(y, name, [[x, slope]]);
}

function history(result) {
  const order = [];
  const seen = new Set();
  const visit = (at) => {
    if (seen.has(at)) return;
    seen.add(at);
    at.parents.forEach(([parent]) => visit(parent));
    order.push(at);
  };
  visit(result);
  return order;
}

// ---- the parser: Python's precedence --------------------------------------------------------------------------------------

function parse(text, names) {
  const tokens = text.match(/\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|[A-Za-z_]\w*|\*\*|\S/g) || [];
  let at = 0;
  const take = (...which) => (which.includes(tokens[at]) ? tokens[at++] : null);

  function need(token) {
    if (!take(token)) throw new Error(`Expected ${token}, but found ${tokens[at] ?? "the end"}.`);
  }
  function sum() {
    let left = product();
    for (let sign; (sign = take("+", "-"));) left = (sign === "+" ? add : subtract)(left, product());
    return left;
  }
  function product() {
    let left = unary();
    for (let sign; (sign = take("*", "/"));) left = (sign === "*" ? multiply : divide)(left, unary());
    return left;
  }
  function unary() {
    return take("-") ? multiply(unary(), -1) : raised();
  }
  function raised() {
    const base = atom();
    return take("**") ? power(base, unary()) : base;
  }
  function atom() {
    if (take("(")) {
      const inside = sum();
      need(")");
      return inside;
    }
    const token = tokens[at++];
    if (/^[\d.]/.test(token)) return Number(token);
    if (data.functions.includes(token)) {
      need("(");
      const inside = sum();
      need(")");
      return apply(token, inside);
    }
    if (/^[A-Za-z_]/.test(token ?? "")) {
      if (names.has(token)) return names.get(token);
      throw new Error(`${token} has no value. Write ${token} = 1 into the field Values.`);
    }
    throw new Error(`A number, a name or ( has to stand before ${token ?? "the end"}.`);
  }

  const result = asValue(sum());
  if (at < tokens.length) throw new Error(`What is ${tokens[at]} doing after a complete expression?`);
  return result;
}

function parseValues(text) {
  return new Map(text.split(",").filter((part) => part.trim()).map((part) => {
    const found = part.match(/^\s*([A-Za-z_]\w*)\s*=\s*(-?[\d.]+(?:e[+-]?\d+)?)\s*$/);
    if (!found || Number.isNaN(Number(found[2]))) throw new Error(`"${part.trim()}" is not a value. Write x = 2, y = 3.`);
    return [found[1], value(Number(found[2]), found[1])];
  }));
}

// ---- the steps: inputs, results one by one, the result's grad, then backward one by one --------------------------------

let tape = []; // the values, each after its parents
let assigns = false; // = in place of +=

const results = () => tape.filter((at) => at.parents.length > 0);
const short = (x) => String(Number(x.toPrecision(4)));

// The gradients after `handed` results, from the last, have handed theirs on.
function gradients(handed, assign) {
  const grads = new Map(tape.map((at) => [at, 0]));
  grads.set(tape[tape.length - 1], 1);
  results().reverse().slice(0, handed).forEach((at) => at.parents.forEach(([parent, derivative]) => {
    const part = derivative * grads.get(at);
    grads.set(parent, assign ? part : grads.get(parent) + part);
  }));
  return grads;
}

function label(at) {
  if (!at.parents.length) return at.name || short(at.data);
  return `v${tape.indexOf(at)}`;
}

function formula(at) {
  const of = at.parents.map(([parent]) => label(parent));
  if (of.length === 2) return `${label(at)} = ${of[0]} ${at.name} ${of[1]}`;
  return at.name.startsWith("**") ? `${label(at)} = ${of[0]} ${at.name}` : `${label(at)} = ${at.name}(${of[0]})`;
}

function sentence(step, here, grads) {
  const count = results().length;
  const last = tape[tape.length - 1];
  const inputs = tape.filter((at) => at.name && !at.parents.length);
  if (step === 0) return `The inputs: ${inputs.map((at) => `${at.name} = ${short(at.data)}`).join(", ") || "none"}.`;
  if (step <= count) {
    const notes = here.parents.map(([parent, derivative]) => `${short(derivative)} to ${label(parent)}`);
    return `Forward: ${formula(here)} = ${short(here.data)}. On the arrows: ${notes.join(", ")}.`;
  }
  if (step === count + 1) return `Backward begins: ${label(last)} moves as fast as itself, grad 1.`;
  const parts = here.parents.map(([parent, derivative]) =>
    `${label(parent)}.grad ${assigns ? "=" : "+="} ${short(derivative)} × ${short(grads.get(here))}`);
  let text = `${formula(here)} hands on: ${parts.join(", ")}.`;
  if (step === 2 * count + 1) {
    const right = gradients(count, false);
    const wrong = inputs.filter((at) => grads.get(at) !== right.get(at)).map((at) =>
      ` ${at.name}.grad is ${short(grads.get(at))}, but should be ${short(right.get(at))}: what came first was overwritten.`);
    text += ` That is the end.${wrong.join("")}`;
  }
  return text;
}

function draw(picture, step) {
  const count = results().length;
  const backward = step > count;
  const here = step === 0 ? null : backward ? results().reverse()[step - count - 2] : results()[step - 1];
  const grads = backward ? gradients(step - count - 1, assigns) : null;
  const known = (at) => !at.parents.length || backward || results().indexOf(at) < step;
  const y = (at) => 34 + 30 * tape.indexOf(at);
  picture.setAttribute("viewBox", `0 0 366 ${44 + 30 * tape.length}`);
  [["the tape", 44], ["value", 158], ["grad", 222]].forEach(([text, x]) => svg(picture, "text", { x, y: 22 }, text));

  const drawn = [];
  tape.forEach((at) => at.parents.forEach(([parent, derivative], n) => {
    const from = y(parent) + 13;
    const to = y(at) + 13;
    const bend = Math.min(120, 24 + (to - from) * 0.55) + (n && at.parents[0][0] === parent ? 40 : 0);
    const hot = at === here;
    svg(picture, "path", { d: `M262 ${from} Q${262 + bend} ${(from + to) / 2} 262 ${to}`, class: hot ? "seen" : "",
      fill: "none", stroke: "currentColor", "stroke-opacity": hot ? 1 : known(at) ? 0.4 : 0.1 });
    if (hot) drawn.push([266 + bend / 2, (from + to) / 2 + 5, `× ${short(derivative)}`]);
  }));
  // Over the arrows, with a rim of paper.
  const rim = "paint-order: stroke; stroke: var(--paper); stroke-width: 5px";
  drawn.forEach(([x, top, text]) => svg(picture, "text", { x, y: top, class: "left", style: rim }, text));

  tape.forEach((at) => {
    const top = y(at);
    const given = backward && here && here.parents.some(([parent]) => parent === at);
    svg(picture, "rect", { x: 4, y: top, width: 258, height: 26, class: at === here ? "hot" : given ? "seen" : "" });
    const write = (x, text, left) => svg(picture, "text", { x, y: top + 18,
      class: [left ? "left" : "", at === here ? "on-hot" : ""].join(" ").trim() }, text);
    write(10, at.parents.length ? formula(at) : label(at), true);
    if (known(at)) write(158, short(at.data));
    if (grads) write(222, short(grads.get(at)));
  });
  return {
    numbers: { data: tape.map((at) => (known(at) ? at.data : null)), grad: tape.map((at) => (grads ? grads.get(at) : null)) },
    say: sentence(step, here, grads),
  };
}

// ---- controls -----------------------------------------------------------------------------------------------------------

function read(text, values) {
  const order = history(parse(text, parseValues(values)));
  if (order.length > MOST) throw new Error(`The tape has ${order.length} values; the picture has room for ${MOST}.`);
  const bad = order.find((at) => ![at.data, ...at.parents.map(([, derivative]) => derivative)].every(Number.isFinite));
  if (bad) throw new Error(`${bad.name || bad.data} has no finite value or slope here. Choose other values.`);
  return order;
}

const written = (values) => Object.entries(values).map(([name, number]) => `${name} = ${number}`).join(", ");
tape = read(data.examples[0].text, written(data.examples[0].values));
const go = figure({ width: 366, height: 200, steps: () => 2 * results().length + 2, draw });
const controls = root.querySelector(".moving-controls");
choice(controls, "Example", data.examples.map((example) => example.text), (i) => {
  expression.value = data.examples[i].text;
  values.value = written(data.examples[i].values);
  change();
});
const field = (name) => html(html(controls, "label", {}, `${name} `), "input", { type: "text", spellcheck: "false" });
const expression = field("Expression");
const values = field("Values");
const box = html(controls, "label", {});
const check = html(box, "input", { type: "checkbox" });
box.append(" = for +=");
const error = html(root, "p", { role: "alert" });
expression.value = data.examples[0].text;
values.value = written(data.examples[0].values);

function change() {
  try {
    tape = read(expression.value, values.value);
    error.textContent = "";
    go(0);
  } catch (problem) {
    error.textContent = problem.message;
  }
}
expression.addEventListener("change", change);
values.addEventListener("change", change);
check.addEventListener("change", () => {
  assigns = check.checked;
  go(Number(root.dataset.step));
});
