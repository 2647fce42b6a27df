// float32's number line. Python has computed in float32; JavaScript's numbers are float64, which hold every float32.

const LOWEST = -149; // the exponents of the smallest number and of the end
const HIGHEST = 128;
const UNIT = 54; // between two neighbours

const walk = [
  ...data.places.map((place) => ({ part: 0, place })),
  ...data.variances.map((row) => ({ part: 1, row })),
  ...data.sums.map((row) => ({ part: 2, row })),
];

let shows = null; // the two lists of choices, which follow the steps
let places = null;

const errorOf = (got, exact) => Number((Math.abs(got - exact) / exact).toExponential(1));
const brief = (x) => (x !== 0 && (x < 1e-3 || x >= 1e6) ? x.toExponential(1) : String(Number(x.toPrecision(4))));
const grouped = (n) => n.toLocaleString("en");

// ---- the line -----------------------------------------------------------------------------------------------------------

function drawLine(picture, place) {
  const { value, around, texts } = place;
  const middle = around.indexOf(value);
  const isLast = middle === around.length - 1;
  const step = isLast ? value - around[middle - 1] : around[middle + 1] - value;
  const at = (exponent) => 12 + (342 * (exponent - LOWEST)) / (HIGHEST - LOWEST);
  const line = (x1, y1, x2, y2, kind = "") => svg(picture, "line", { x1, y1, x2, y2, stroke: "currentColor", class: kind });

  svg(picture, "text", { x: 4, y: 16, class: "left" }, "all float32 above 0, by their exponent");
  line(12, 44, 354, 44);
  [[-149, "2⁻¹⁴⁹"], [-126, "2⁻¹²⁶"], [0, "1"], [24, "2²⁴"], [128, "2¹²⁸"]].forEach(([exponent, text], i) => {
    line(at(exponent), 40, at(exponent), 48);
    svg(picture, "text", { x: at(exponent) + [8, 4, 0, 0, -8][i], y: i === 0 ? 36 : 64, "font-size": 12 }, text);
  });
  svg(picture, "circle", { cx: at(Math.log2(value)), cy: 44, r: 6, class: "hot" });

  svg(picture, "text", { x: 4, y: 104, class: "left" }, "its neighbours");
  line(4, 136, 362, 136);
  around.forEach((number, i) => {
    const x = 183 + ((number - value) / step) * UNIT;
    const here = i === middle;
    line(x, 124, x, 148, here ? "seen" : "");
    if (here) svg(picture, "circle", { cx: x, cy: 136, r: 6, class: "hot" });
    const beside = Math.abs(i - middle) === 1;
    if (here || beside) svg(picture, "text", { x, y: here ? 118 : i < middle ? 168 : 186, "font-size": 12 }, texts[i]);
  });
  svg(picture, "text", { x: 4, y: 216, class: "left" }, `from here to the ${isLast ? "one before" : "next"}: ${brief(step)}`);
  svg(picture, "text", { x: 4, y: 236, class: "left" }, `as a part of the number: ${brief(step / value)}`);

  let about = "";
  if (value < 2 ** -126) about = "Below 2⁻¹²⁶ the step stays what it is, and digits get fewer: these are the denormal numbers.";
  else if (isLast) about = "What is larger than this becomes infinity.";
  else if (step > 1) about = `Of the whole numbers only every ${grouped(step)}${step === 2 ? "nd" : "th"} is there.`;
  else if (step === 1) about = "All whole numbers are there, and no fractions.";
  return {
    numbers: { value, step },
    say: `${place.name}: the step to the ${isLast ? "one before" : "next float32"} is ${brief(step)}. ${about}`.trim(),
  };
}

// ---- errors as digits: a bar of 7.2 boxes is a number whose first seven digits are right -------------------------------

function drawDigits(picture, title, { ways, exact }, about) {
  const errors = ways.map(({ got }) => errorOf(got, exact));
  svg(picture, "text", { x: 4, y: 16, class: "left" }, title);
  svg(picture, "text", { x: 4, y: 40, class: "left" }, `exact: ${Number(exact.toPrecision(9))}`);
  ways.forEach(({ name, got }, i) => {
    const y = 56 + 62 * i;
    const digits = Math.max(0, Math.min(9, errors[i] === 0 ? 9 : -Math.log10(errors[i])));
    svg(picture, "text", { x: 4, y: y + 14, class: "left" }, `${name}: ${Number(got.toPrecision(9))}`);
    svg(picture, "rect", { x: 4, y: y + 22, width: 279, height: 16 });
    svg(picture, "rect", { x: 4, y: y + 22, width: 31 * digits, height: 16, class: "hot" });
    for (let x = 35; x < 283; x += 31) {
      svg(picture, "line", { x1: x, y1: y + 22, x2: x, y2: y + 38, stroke: "currentColor", "stroke-opacity": 0.3 });
    }
    svg(picture, "text", { x: 292, y: y + 35, class: "left" }, `${digits.toFixed(1)} digits`);
  });
  const said = ways.map(({ name }, i) => `${name.split(":")[0]} ${brief(errors[i])}`);
  return { numbers: { errors }, say: `${about} Relative errors: ${said.join(", ")}.` };
}

function draw(picture, step) {
  const { part, place, row } = walk[step];
  if (places) {
    [shows.selectedIndex, places.selectedIndex] = [part, data.places.indexOf(place)];
    places.parentElement.hidden = part !== 0;
  }
  if (part === 0) return drawLine(picture, place);
  if (part === 1) {
    return drawDigits(picture, `variance of 1,000 numbers around ${grouped(row.mean)}`, row, `Mean ${grouped(row.mean)}.`);
  }
  return drawDigits(picture, `sum of ${grouped(row.count)} numbers between 0 and 1`, row, `${grouped(row.count)} terms.`);
}

const go = figure({ width: 366, height: 250, steps: walk.length, draw });
const controls = root.querySelector(".moving-controls");
shows = choice(controls, "Show", ["the number line", "variance", "orders of a sum"],
  (part) => go(walk.findIndex((at) => at.part === part)));
places = choice(controls, "Place", data.places.map(({ name }) => name), go);
