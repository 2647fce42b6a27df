// Tables of figures: a click on a column's head, or Enter, sorts by that column; another one turns the order around.
document.querySelectorAll(".sortable table").forEach((table) => {
  const body = table.tBodies[0];
  const key = (row, at) => row.cells[at].textContent.trim();
  table.querySelectorAll("thead th").forEach((head, at) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const way = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a, at), key(b, at)];
        const [m, n] = [parseFloat(x), parseFloat(y)];
        if (isNaN(m) || isNaN(n)) return isNaN(m) && isNaN(n) ? way * x.localeCompare(y) : isNaN(m) - isNaN(n);
        return way * (m - n);
      });
      body.append(...rows);
    });
  });
});
