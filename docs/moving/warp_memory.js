// A warp loads: 32 lanes ask for a word of 4 bytes each. Global memory moves whole sectors; shared memory reads its banks
// side by side, but from each one word at a time.

const CELL = 10;
const GAP = 6; // between sectors
let loads; // the list of choices: it follows the steps

function count(loads, key) {
  const counts = new Map();
  for (const load of loads) counts.set(key(load), (counts.get(key(load)) || 0) + 1);
  return counts;
}

// Global memory: a row holds four sectors. What is asked for is filled; what moves with it has a bright border.
function drawGlobal(picture, asked) {
  const inSector = data.sector / data.word;
  const moved = count(asked, (word) => Math.floor(word / inSector));
  const rows = 8;
  for (let word = 0; word < rows * data.row; word++) {
    const sector = Math.floor(word / inSector);
    const column = word % data.row;
    const x = 4 + CELL * column + GAP * Math.floor(column / inSector);
    const kind = asked.has(word) ? "hot" : moved.has(sector) ? "seen" : "";
    svg(picture, "rect", { x, y: 52 + (CELL + 6) * Math.floor(word / data.row), width: CELL - 2, height: CELL, class: kind });
  }
  svg(picture, "text", { x: 4, y: 42, class: "left" }, "global memory: a row is four sectors of 32 bytes");
  return moved.size;
}

// Shared memory: a column is a bank. The words of the bank that has most to do have a border around their column.
function drawShared(picture, asked) {
  const work = count(asked, (word) => word % data.banks);
  const passes = Math.max(...work.values());
  const rows = 32;
  for (let word = 0; word < rows * data.row; word++) {
    const x = 4 + CELL * (word % data.banks);
    const y = 52 + CELL * Math.floor(word / data.row);
    svg(picture, "rect", { x, y, width: CELL - 2, height: CELL - 2, class: asked.has(word) ? "hot" : "" });
  }
  if (passes > 1) {
    const busiest = [...work.keys()].find((bank) => work.get(bank) === passes);
    svg(picture, "rect", { x: 3 + CELL * busiest, y: 51, width: CELL, height: CELL * rows, class: "seen" });
  }
  svg(picture, "text", { x: 4, y: 42, class: "left" }, "shared memory: a column is a bank");
  return passes;
}

function draw(picture, step) {
  const { memory, code, words } = data.loads[step];
  const asked = new Set(words);
  const wanted = data.word * asked.size;
  svg(picture, "text", { x: 4, y: 18, class: "left" }, code);
  if (loads) loads.selectedIndex = step;
  if (memory === "global") {
    const sectors = drawGlobal(picture, asked);
    return {
      numbers: { code, wanted, sectors },
      say: `${code}: the lanes want ${wanted} bytes; ${sectors} ${sectors === 1 ? "sector moves" : "sectors move"}, ` +
        `${sectors * data.sector} bytes.`,
    };
  }
  const passes = drawShared(picture, asked);
  const why = asked.size === 1 ? "all lanes take the same word" : passes === 1 ? "every lane has a bank for itself"
    : `up to ${passes} lanes want different words of one bank`;
  return {
    numbers: { code, wanted, passes },
    say: `${code}: ${why}; shared memory is read ${passes === 1 ? "once" : `${passes} times, one after the other`}.`,
  };
}

const go = figure({ width: 350, height: 376, steps: data.loads.length, draw });
loads = choice(root.querySelector(".moving-controls"), "Load", data.loads.map((load) => load.code), go);
