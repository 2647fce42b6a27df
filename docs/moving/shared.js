// What all figures share. docs/ext/moving.py puts this before a figure's own script, in one function with `root`, the <figure>.

const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);

// An SVG element with attributes and, if given, a text, as the last child of `parent`.
function svg(parent, tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.appendChild(element);
  return element;
}

// The same for HTML.
function html(parent, tag, attributes, text) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.appendChild(element);
  return element;
}

// A slider, and a list of choices, each with its label; change(number) is called for every new value.
function slider(parent, label, min, max, value, change) {
  const box = html(parent, "label", {}, label + " ");
  const input = html(box, "input", { type: "range", min, max, value });
  input.addEventListener("input", () => change(Number(input.value)));
  return input;
}

function choice(parent, label, options, change) {
  const box = html(parent, "label", {}, label + " ");
  const select = html(box, "select", {});
  options.forEach((option, i) => html(select, "option", { value: i }, option));
  select.addEventListener("change", () => change(Number(select.value)));
  return select;
}

// A figure in steps. draw(picture, step) fills the empty <svg> and returns { numbers, say }: what the figure
// shows now, for the test, and the same in a sentence, for those who listen. `steps` is a function where a reader's input decides
// how many there are. Returns go(step) for a figure's own controls.
function figure({ width, height, steps, draw }) {
  root.querySelector(".moving-still").remove();
  const controls = html(root, "div", { class: "moving-controls", role: "group", "aria-label": "Steps" });
  const button = (label, action) => {
    const element = html(controls, "button", { type: "button" }, label);
    element.addEventListener("click", action);
    return element;
  };
  const picture = svg(root, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const spoken = html(root, "p", { class: "moving-says", "aria-live": "polite" });
  root.tabIndex = 0;
  root.setAttribute("aria-label", "A figure in steps: the arrow keys go back and forward, the space bar plays");

  let step = 0;
  let timer = 0;
  function go(to) {
    const last = (typeof steps === "function" ? steps() : steps) - 1;
    step = Math.max(0, Math.min(last, to));
    picture.replaceChildren();
    const { numbers, say } = draw(picture, step);
    picture.setAttribute("aria-label", say);
    spoken.textContent = say;
    root.dataset.step = step;
    root.dataset.steps = last + 1;
    root.dataset.numbers = JSON.stringify(numbers);
    back.disabled = step === 0;
    next.disabled = step === last;
    if (next.disabled) stop();
  }
  function stop() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
    spoken.setAttribute("aria-live", "polite");
  }
  function start() {
    if (next.disabled) go(0);
    play.textContent = "Pause";
    spoken.setAttribute("aria-live", "off"); // twice a second is too much to listen to
    timer = setInterval(() => go(step + 1), 500);
  }
  const move = (by) => { stop(); go(step + by); };
  const back = button("Back", () => move(-1));
  const next = button("Step", () => move(1));
  const play = button("Play", () => (timer ? stop() : start()));
  // Who asked for less motion steps by hand.
  play.hidden = matchMedia("(prefers-reduced-motion: reduce)").matches;

  root.addEventListener("keydown", (event) => {
    if (event.target !== root) return; // a slider or a button has its own keys
    if (event.key === "ArrowRight") move(1);
    else if (event.key === "ArrowLeft") move(-1);
    else if (event.key === " " && !play.hidden) play.click();
    else return;
    event.preventDefault();
  });
  go(0);
  return (to) => { stop(); go(to); };
}
