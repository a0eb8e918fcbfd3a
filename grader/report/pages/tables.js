"use strict";
// Tables that are sorted by a button in each head and filtered by what is typed. Without this they are plain tables.
for (const table of document.querySelectorAll("table[data-sorted]")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, at) => {
    const cell = row.cells[at];
    if (heads[at].dataset.by !== "number") return cell.textContent.trim();
    const text = cell.dataset.v ?? cell.textContent;
    return text === "" ? null : Number(text);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  const sort = (at, up) => {
    const rows = [...body.rows].map((row) => [value(row, at), row]);
    const missing = ([one]) => one === null || one === "";
    const order = rows.filter((pair) => !missing(pair)).sort((a, b) => (up ? 1 : -1) * compare(a[0], b[0]));
    body.append(...[...order, ...rows.filter(missing)].map((pair) => pair[1])); // what has no value comes last
    heads.forEach((head, k) => {
      if (k === at) head.setAttribute("aria-sort", up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  };
  heads.forEach((head, at) => {
    if (!head.dataset.by) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(at, head.getAttribute("aria-sort") !== "ascending"));
  });
}
for (const filter of document.querySelectorAll(".filter")) {
  const rows = [...document.getElementById(filter.dataset.of).tBodies[0].rows];
  const [words, kind, said] = ["input", "select", "output"].map((name) => filter.querySelector(name));
  const texts = rows.map((row) => row.textContent.toLocaleLowerCase());
  const apply = () => {
    const wanted = words.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, k) => {
      const fits = wanted.every((word) => texts[k].includes(word));
      const kept = fits && (kind.value === "" || (row.dataset.tags ?? "").split("|").includes(kind.value));
      row.hidden = !kept;
      count += kept;
    });
    said.value = `${count} of ${rows.length} shown`;
  };
  words.addEventListener("input", apply);
  kind.addEventListener("input", apply);
  filter.hidden = false;
  apply();
}
