"use strict";
(() => {
  const make = (tag, properties, ...inside) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...inside);
    return element;
  };

  // Sorting: the buttons in the heads move the rows, and stand in for the radio buttons.
  const value = (row, at) => row.cells[at].textContent.trim();
  const figure = (text) => (/\d/.test(text) ? Number(text.replace(/[^\d.-]/g, "")) : -1);
  const sortBy = (table, head, at) => {
    const numeric = head.classList.contains("n");
    const first = numeric && head.textContent.trim() !== "#" ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    for (const one of head.parentElement.cells) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const collator = new Intl.Collator("en", { numeric: true });
    const compare = numeric
      ? (one, two) => figure(value(one, at)) - figure(value(two, at))
      : (one, two) => collator.compare(value(one, at), value(two, at));
    const rows = [...table.tBodies[0].rows];
    rows.sort((one, two) => sign * compare(one, two));
    table.tBodies[0].append(...rows);
  };

  // Filtering: a row stays while it holds every word.
  const filterBy = (table, text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const content = row.textContent.toLowerCase().replaceAll("\u00a0", " ");
      row.hidden = !words.every((word) => content.includes(word));
      if (!row.hidden) shown += 1;
    }
    return shown;
  };

  for (const box of document.querySelectorAll(".sortable")) {
    const table = box.querySelector("table");
    const order = box.querySelector(".order");
    order.querySelector(".ranked").checked = true;
    order.remove();
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      if (head.classList.contains("unsorted")) return;
      const button = make("button", { type: "button" }, ...head.childNodes);
      button.addEventListener("click", () => sortBy(table, head, at));
      head.append(button);
    });
    const input = make("input", { type: "search", name: `${table.id}-filter`, autocomplete: "off", spellcheck: false });
    const count = make("span", { role: "status" });
    input.addEventListener("input", () => {
      const shown = filterBy(table, input.value);
      count.textContent = input.value ? `${shown} of ${table.tBodies[0].rows.length} rows` : "";
    });
    const label = make("label", {}, "Filter ", input);
    box.querySelector(".fields").append(make("div", { className: "search" }, label, count));
  }

  // Copying.
  for (const block of document.querySelectorAll(".copy")) {
    const pre = block.querySelector("pre");
    const button = make("button", { type: "button" }, "Copy");
    button.setAttribute("aria-label", `Copy: ${block.getAttribute("aria-label")}`);
    const say = (word) => {
      button.textContent = word;
      setTimeout(() => (button.textContent = "Copy"), 2000);
    };
    const select = () => {
      const selection = getSelection();
      selection.removeAllRanges();
      const range = document.createRange();
      range.selectNodeContents(pre);
      selection.addRange(range);
      say(document.execCommand("copy") ? "Copied" : "Selected");
    };
    button.addEventListener("click", () => {
      if (!navigator.clipboard) select();
      else navigator.clipboard.writeText(pre.textContent).then(() => say("Copied"), select);
    });
    block.querySelector(".label").append(button);
  }

  // A link to a place inside of something folded unfolds it; paper has everything unfolded.
  const unfold = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (!target) return;
    const commands = target.querySelector(":scope > details.commands");
    if (commands) commands.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });
})();
