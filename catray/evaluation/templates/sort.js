"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const number = head.classList.contains("n");
    const down = head.ariaSort ? head.ariaSort === "ascending" : number; // numbers start with the largest
    const body = table.tBodies[0];
    const key = (row) => {
      const cell = row.cells[column], text = cell.dataset.sort ?? cell.textContent.trim();
      return number ? (cell.dataset.sort === undefined ? NaN : parseFloat(text)) : text;
    };
    const order = (a, b) => {
      if (!number) return (down ? -1 : 1) * a.localeCompare(b, undefined, { numeric: true });
      if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b); // a dash stands last either way
      return (down ? -1 : 1) * (a - b);
    };
    body.append(...[...body.rows].sort((a, b) => order(key(a), key(b))));
    for (const other of heads) other.removeAttribute("aria-sort");
    head.ariaSort = down ? "descending" : "ascending";
  }));
}
