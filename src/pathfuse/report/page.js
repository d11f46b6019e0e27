"use strict";
(() => {
  const root = document.documentElement;
  const say = text => { document.getElementById("status").textContent = text; };

  // Light or dark: the system's choice until the reader chooses.
  const toggle = document.getElementById("theme");
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = window.localStorage.getItem("pathfuse-theme"); } catch { /* no memory, no harm */ }
  const isDark = () => (chosen ? chosen === "dark" : prefersDark.matches);
  const paint = () => {
    if (chosen) root.dataset.theme = chosen;
    toggle.setAttribute("aria-pressed", String(isDark()));
  };
  toggle.addEventListener("click", () => {
    chosen = isDark() ? "light" : "dark";
    try { window.localStorage.setItem("pathfuse-theme", chosen); } catch { /* as above */ }
    paint();
  });
  prefersDark.addEventListener("change", paint);
  paint();
  toggle.hidden = false;

  // Tables sort by the button in a column's head; blank cells stay at the end.
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
  };
  const compare = (a, b) => {
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
  };
  const sort = (table, heads, head) => {
    const column = heads.indexOf(head);
    const before = head.getAttribute("aria-sort");
    const first = head.dataset.first || "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const order = before === first ? second : first;
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, place) => ({ row, place, value: valueOf(row, column) }));
    const blank = value => value === "" || value === "—";
    rows.sort((a, b) =>
      blank(a.value) - blank(b.value)
      || (blank(a.value) ? 0 : sign * compare(a.value, b.value))
      || a.place - b.place);
    body.append(...rows.map(one => one.row));
    say(`Sorted by ${head.textContent.trim()}, ${order}.`);
  };
  document.querySelectorAll("table[data-sortable]").forEach(table => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach(head => head.querySelector("button").addEventListener("click", () => sort(table, heads, head)));
  });

  // Copying needs a permission that a page opened from a folder may lack: then the text is selected instead.
  const select = node => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  document.querySelectorAll("button[data-copy]").forEach(button => {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const node = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(node.innerText);
        say("Copied.");
        button.textContent = "Copied";
      } catch {
        select(node);
        const done = document.execCommand("copy");
        say(done ? "Copied." : "Selected; copy it with the keyboard.");
        button.textContent = done ? "Copied" : "Selected";
      }
    });
  });

  // Paper cannot be unfolded.
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach(one => { one.open = true; });
  });
})();
