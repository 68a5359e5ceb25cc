"use strict";
// Headings of tables become buttons that sort by their column. Without this script the tables are in order as they are.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = table.querySelectorAll("thead th");
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") !== "descending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const value = (row) => row.cells[column].textContent.trim().replace(/\u2212/g, "-").replace(/,/g, "");
      const compare = (one, other) => {
        const [a, b] = [value(one), value(other)];
        const [x, y] = [parseFloat(a), parseFloat(b)];
        return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
      };
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((one, other) => (descending ? compare(other, one) : compare(one, other)));
      body.append(...rows);
    });
  });
}
// Paper has no details to open.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
